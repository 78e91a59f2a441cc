"""Pictures with captions as training needs them: of one size, with the words of their captions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from apps.caption.settings import DataOptions
from apps.shared.captioned import DRAWN
from apps.shared.preprocessing import VALIDATION_MOST
from minidl.data import ArrayDataset, Dataset, Subset, open_captioned, tokenize, transforms
from minidl.data.captioned import CaptionedDataset, EmptySplit, Finding
from minidl.data.captioned.dataset import MAX_IN_MEMORY
from minidl.data.pictures import decode_all
from minidl.errors import DataError

OP = "data"  # what errors begin with, unless a command says its own name


class Pictures(Dataset):
    """The pictures of captioned data, brought to one size.

    Args:
        dataset: of pictures of any sizes.
        geometry: what brings them to it.
    """

    classes = ["picture"]

    def __init__(self, dataset: CaptionedDataset, geometry: transforms.Compose):
        self.dataset, self.geometry, self.names = dataset, geometry, dataset.names

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.geometry(self.dataset.picture(int(index))), 0

    @property
    def labels(self) -> np.ndarray:
        return np.zeros(len(self), np.int64)


@dataclass
class Part:
    """Some pictures with their captions.

    Args:
        pictures: of one size, uint8 (S, S, 3). Their labels mean nothing.
        captions: of each picture its texts, at least one, each of at least one word.
        classes: of each picture the number of its class in the data; None without classes.
    """

    pictures: Dataset
    captions: list[list[str]]
    classes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def names(self) -> list[str]:
        """What messages and reports call the pictures."""
        return self.pictures.names or []

    def picture(self, index: int) -> np.ndarray:
        """One picture, uint8 (S, S, 3)."""
        return self.pictures[int(index)][0]

    @cached_property
    def references(self) -> list[list[list[str]]]:
        """Of each picture the words of its captions."""
        known = {text: tokenize(text) for texts in self.captions for text in texts}
        return [[known[text] for text in texts] for texts in self.captions]

    def spread(self, count: int) -> Part:
        """Not more than `count` pictures, from all places of the part."""
        return self.subset(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int))

    def subset(self, indexes: np.ndarray) -> Part:
        """Some of the pictures with what belongs to them, in the order given."""
        return Part(
            Subset(self.pictures, indexes), [self.captions[i] for i in indexes],
            None if self.classes is None else self.classes[indexes],
        )  # fmt: skip

    @cached_property
    def facts(self) -> dict[str, Any]:
        """By which a checkpoint knows the data again: how many, and a hash of all.

        Of pictures that do not fit into memory the names alone.
        """
        text = "\n".join("\t".join(texts) for texts in self.captions)
        content = hashlib.sha256(text.encode("utf-8", "surrogateescape"))
        if isinstance(self.pictures, ArrayDataset):
            content.update(np.ascontiguousarray(self.pictures.images).data)
        else:
            content.update("\n".join(self.names).encode("utf-8", "surrogateescape"))
        return {
            "pictures": len(self), "captions": sum(map(len, self.captions)),
            "content": content.hexdigest()[:16],
        }  # fmt: skip


@dataclass
class Parts:
    """What a run learns from.

    Args:
        train: all pictures that the LSTM learns from.
        validation: pictures that it is watched by; None where there are none.
    """

    train: Part
    validation: Part | None

    @property
    def watched(self) -> Part:
        """Pictures that it is watched by, whether held out or not."""
        return self.train if self.validation is None else self.validation

    @property
    def monitor(self) -> str:
        """The metric that decides which epoch is best."""
        return "loss" if self.validation is None else "val_cider"


# --- opening ------------------------------------------------------------------------------------


def open_parts(
    settings: DataOptions, geometry: transforms.Compose, log: Callable[[str], None]
) -> Parts:
    """The pictures to train on and to validate with.

    Args:
        settings: which data.
        geometry: what brings pictures to one size.
        log: called with what was noticed in the data.

    Raises:
        DataError: missing or damaged, or nothing in it.
    """
    train, held_out = parted(settings, log)
    validation = part_of(held_out, geometry) if held_out is not None else None
    return Parts(part_of(train, geometry), validation)


def parted(
    settings: DataOptions, log: Callable[[str], None] = lambda text: None
) -> tuple[CaptionedDataset, CaptionedDataset | None]:
    """The pictures to train on and those held out, None for none; arguments as of open_parts."""
    whole = open_split(settings, "train", log)
    try:
        held_out = open_split(settings, "val")
    except EmptySplit:  # the data name none
        if not settings.val_share:
            return whole, None
        share = min(settings.val_share, VALIDATION_MOST / len(whole))
        whole, held_out = whole.split(share)
    return whole, held_out if len(held_out) else None


def open_part(
    settings: DataOptions, split: str, geometry: transforms.Compose,
    log: Callable[[str], None] = lambda text: None,
) -> Part:  # fmt: skip
    """The pictures of one split; arguments as of open_parts."""
    return part_of(open_split(settings, split, log), geometry)


def open_split(
    settings: DataOptions, split: str, log: Callable[[str], None] = lambda text: None
) -> CaptionedDataset:
    """One split of the data that the settings name, without captions that have no word."""
    drawn_size = 32 if settings.size <= 32 else 64  # there are these two
    size = drawn_size if settings.data in DRAWN else None
    found = open_captioned(
        settings.data, split, size=size, data_dir=settings.data_dir,
        skip_missing=settings.skip_missing,
    )  # fmt: skip
    for finding in found.findings:
        log(str(finding))
    return with_words(found, log)


def with_words(dataset: CaptionedDataset, log: Callable[[str], None]) -> CaptionedDataset:
    """The data without captions that have no word ("?!"), and pictures that have no other.

    Raises:
        DataError: there is no caption with a word.
    """
    has_words = {text: bool(tokenize(text)) for texts in dataset.captions for text in texts}
    if all(has_words.values()):
        return dataset
    empty = [
        name for name, texts in zip(dataset.names, dataset.captions)
        if not all(has_words[text] for text in texts)
    ]  # fmt: skip
    log(str(Finding("no words", "pictures have captions without a word, left out", empty)))
    kept = [[text for text in texts if has_words[text]] for texts in dataset.captions]
    some = np.flatnonzero([bool(texts) for texts in kept])
    if not len(some):
        raise DataError(OP, "no caption has a word", {"pictures": len(dataset)})
    found = dataset.subset(some)
    found.captions = [kept[i] for i in some]
    return found


def part_of(dataset: CaptionedDataset, geometry: transforms.Compose) -> Part:
    """Captioned data with pictures of one size, in memory where they fit."""
    pictures = decode_all(Pictures(dataset, geometry), MAX_IN_MEMORY)
    return Part(pictures, dataset.captions, dataset.classes)
