"""Pictures with captions as training needs them: in memory, with their classes and neighbours.

A "wrong" caption is that of a picture of another class. Where the data have no classes, pictures
with the same captions are one. In flowers a class is a combination of attributes, and those that
differ in one attribute are neighbours: their captions are the wrong ones that are hard to tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from apps.draw.settings import DataOptions
from apps.shared.captioned import DRAWN
from apps.shared.rows import Rows
from minidl.data.captioned import CaptionedDataset, EmptySplit
from minidl.errors import DataError

OP = "data"  # what errors begin with, unless a command says its own name
MARGIN = 32 / 27  # of the sides of pictures from which parts are cut: 76 for 64, as Reed's


@dataclass
class Pairs:
    """Pictures with their captions.

    Args:
        pictures: uint8 (N, H, W, 3), perhaps larger than what the networks see.
        classes: int64 (N,), from 0 on.
        texts: the captions, each once.
        captions: of each picture, numbers of its captions.
        members: of each class, numbers of its pictures.
        numbers: of each class, its number in the data set; of flowers, the combination.
        neighbours: of each class, classes that differ in one attribute; None where nobody knows.
    """

    pictures: np.ndarray
    classes: np.ndarray
    texts: list[str]
    captions: Rows
    members: Rows
    numbers: np.ndarray
    neighbours: Rows | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.pictures[i], int(self.classes[i])

    def caption_groups(self) -> list[np.ndarray]:
        """Numbers of captions that say the same: those of one picture, each group once."""
        rows = (self.captions[i] for i in range(len(self)))
        return [np.array(row) for row in dict.fromkeys(tuple(sorted(row)) for row in rows)]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """By which a checkpoint knows the data again: how many, and a hash of all."""
        content = hashlib.sha256("\n".join(self.texts).encode())
        for part in (self.captions.sizes, self.captions.flat, self.classes, self.pictures):
            content.update(np.ascontiguousarray(part).data)
        return {
            "pictures": len(self), "classes": len(self.members), "captions": len(self.texts),
            "content": content.hexdigest()[:16],
        }  # fmt: skip

    def other_class(
        self, classes: np.ndarray, random: np.random.Generator, near_share: float = 0.0
    ) -> np.ndarray:
        """Classes that are others than these, one for each.

        Args:
            classes: int (N,).
            random: where the choice comes from.
            near_share: share of them that are neighbours, where those are known.
        """
        # One of the other C - 1, by a step of 1 to C - 1 around the circle of all.
        step = 1 + (random.random(len(classes)) * (len(self.members) - 1)).astype(np.int64)
        other = (classes + step) % len(self.members)
        near = random.random(len(classes)) < near_share
        return other if self.neighbours is None else np.where(
            near & (self.neighbours.sizes[classes] > 0),
            self.neighbours.pick(classes, random), other,
        )  # fmt: skip


def open_pairs(
    settings: DataOptions,
    split: str = "train",
    needs_classes: bool = True,
    log: Callable[[str], None] = lambda text: None,
) -> Pairs:
    """The pictures and captions that the settings name.

    Args:
        settings: which data, of which size.
        split: "train" or "test".
        needs_classes: whether there must be captions of another class, as wrong ones or for a text
            encoder to tell apart.
        log: called with what was noticed in the data.

    Raises:
        DataError: missing or damaged, or all of one class where others are needed.
    """
    from minidl.data.captioned import open_captioned

    size = settings.size if settings.augment != "crop" else round(settings.size * MARGIN)
    found = open_captioned(
        settings.data, split, size=size, data_dir=settings.data_dir,
        skip_missing=settings.skip_missing,
    )  # fmt: skip
    for finding in found.findings:
        log(str(finding))
    pairs = pairs_of(found, settings.data in DRAWN)
    if needs_classes and len(pairs.members) < 2:
        raise DataError(
            OP, "all pictures are of one class, so no caption is of another",
            {"data": settings.data, "pictures": len(pairs)}, hint_for_one_class(pairs),
        )  # fmt: skip
    return pairs


def hint_for_one_class(pairs: Pairs) -> str:
    """What helps; leaving classes out does where pictures have captions of their own."""
    alone = "" if len(pairs.caption_groups()) < 2 else "leave the class out of your data, and "
    alone += alone and "pictures with the same captions are one; "
    return f"add pictures of another class; {alone}or --gan gan, which needs no captions"


def held_out_pairs(settings: DataOptions) -> Pairs | None:
    """The part that is held out, unchanged; None where there is nothing in it.

    Raises:
        DataError: missing or damaged.
    """
    try:
        return open_pairs(replace(settings, augment="none"), "test", needs_classes=False)
    except EmptySplit:
        return None


def pairs_of(dataset: CaptionedDataset, is_flowers: bool = False) -> Pairs:
    """A data set in memory.

    Args:
        dataset: of pictures of one size.
        is_flowers: whether classes are numbers of combinations.
    """
    pictures = np.stack([dataset.picture(i) for i in range(len(dataset))])
    found = classes_by_captions(dataset) if dataset.classes is None else dataset.classes
    numbers, classes = np.unique(found, return_inverse=True)
    number: dict[str, int] = {}
    captions = [
        [number.setdefault(text, len(number)) for text in texts] for texts in dataset.captions
    ]
    order = np.argsort(classes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(classes))[:-1])
    return Pairs(
        pictures, classes, list(number), Rows(captions), Rows(members), numbers,
        neighbours_among(numbers) if is_flowers else None,
    )  # fmt: skip


def classes_by_captions(dataset: CaptionedDataset) -> np.ndarray:
    """Classes of pictures that come without: those with the same captions have the same."""
    number: dict[frozenset[str], int] = {}
    return np.array([number.setdefault(frozenset(c), len(number)) for c in dataset.captions])


def neighbours_among(combinations: np.ndarray) -> Rows:
    """Of each combination of flowers, the places of those that differ in one attribute.

    Args:
        combinations: their numbers, ascending. Extended flowers, from 1,344 on, have none.
    """
    from minidl.data.flowers import COMBINATIONS, neighbours

    place = {int(number): i for i, number in enumerate(combinations)}
    rows = [
        [place[int(n)] for n in neighbours(number) if int(n) in place]
        if number < len(COMBINATIONS) else []
        for number in combinations
    ]  # fmt: skip
    return Rows(rows)
