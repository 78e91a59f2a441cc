"""The drawn flowers as a data set of pictures with captions.

Drawing 16,122 of them takes some ten seconds, so they are kept in the cache folder.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from minidl.data.cache import load_arrays, save_arrays
from minidl.data.captioned.dataset import CaptionedDataset
from minidl.data.flowers.attributes import COMBINATIONS, describe, split_combinations
from minidl.data.flowers.captions import captions
from minidl.data.flowers.extended import CLASSES, extended_captions, extended_flowers
from minidl.data.flowers.render import TILT, draw
from minidl.errors import ArgumentError
from minidl.shapes import is_int, is_number

SPLITS = ("train", "held-out")
EXTENDED = 0.15
KEPT_FROM = 1000  # pictures; fewer are drawn anew each time


def load_flowers(
    split: str = "train", size: int = 32, per_combination: int = 12, seed: int = 0,
    extended: float = EXTENDED, tilt: float = TILT,
) -> CaptionedDataset:  # fmt: skip
    """Draw the flowers of a split, each with its captions.

    The class of a picture is its combination: the six attributes of class c < 1344 are
    COMBINATIONS[c]. Higher classes are extended flowers, which are in the training part alone and
    show no combination that is held out.

    Args:
        split: "train" for 1,142 combinations, "held-out" for the other 202.
        size: pixels of a side, 32 or 64.
        per_combination: pictures of each combination.
        seed: of place, size, tilt and light of each flower. The split is the same for all seeds.
        extended: share of extended flowers among the training pictures, from 0 to less than 1.
        tilt: degrees, as in draw(). By default flowers stand upright, with a petal that points up,
            so a network can tell numbers of petals apart by where petals are, without counting
            them; 180 turns each flower by any angle, which is much harder. Figures for one say
            nothing about the other.

    Returns:
        13,704 pictures and 2,418 extended ones by default, or 2,424 held out.

    Raises:
        ArgumentError: an argument is something else.

    >>> from minidl.data.flowers import load_flowers
    >>> load_flowers("held-out", per_combination=1)
    CaptionedDataset(202 pictures, 1818 captions, 202 classes)
    """
    check_arguments(split, per_combination, seed, extended)
    pictures, classes = drawn_or_kept(split, size, per_combination, seed, extended, tilt)
    names = class_names()
    return CaptionedDataset(
        pictures,
        [class_captions(number) for number in classes],
        classes,
        names,
        [f"{i}: {names[number]}" for i, number in enumerate(classes)],
    )


def drawn_or_kept(
    split: str, size: int, per_combination: int, seed: int, extended: float, tilt: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and classes, from the cache if they are there; arguments as of load_flowers."""
    classes = np.repeat(split_combinations()[SPLITS.index(split)], per_combination)
    if len(classes) < KEPT_FROM:
        return draw_split(classes, split, size, seed, extended, tilt)
    wanted = repr((split, size, per_combination, seed, extended, tilt))
    name, digest = f"flowers-{hashed(wanted.encode())[:16]}", hash_of_program()
    kept = load_arrays(name, digest)
    if kept is not None:
        return kept["pictures"], kept["classes"]
    pictures, classes = draw_split(classes, split, size, seed, extended, tilt)
    save_arrays(name, digest, {"pictures": pictures, "classes": classes})
    return pictures, classes


def draw_split(
    classes: np.ndarray, split: str, size: int, seed: int, extended: float, tilt: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of flowers of these classes and, to train on, of extended ones; their classes."""
    rng = np.random.Generator(np.random.PCG64([seed, SPLITS.index(split)]))
    pictures = draw(COMBINATIONS[classes], size, rng, tilt)
    more = round(len(classes) * extended / (1 - extended)) if split == "train" else 0
    if not more:
        return pictures, classes
    flowers, their_classes = extended_flowers(more, rng)
    pictures = np.concatenate([pictures, draw(flowers, size, rng, tilt)])
    return pictures, np.concatenate([classes, their_classes])


def hash_of_program() -> str:
    """Of what draws the flowers: the modules beside this one, and NumPy's version."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return hashed(np.__version__.encode(), *(path.read_bytes() for path in modules))


def hashed(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def class_captions(number: int) -> list[str]:
    """All captions of a class: a combination, or one of extended flowers.

    Args:
        number: of the class, 0 to 1494.

    Raises:
        ArgumentError: there is no such class.
    """
    last = len(COMBINATIONS) + len(CLASSES) - 1
    if not is_int(number) or not 0 <= number <= last:
        raise ArgumentError(
            "class_captions", f"number is an int from 0 to {last}", {"number": number}
        )
    return captions_once(int(number))


@functools.cache
def captions_once(number: int) -> list[str]:
    """class_captions, made once for each class: its pictures share the list."""
    if number < len(COMBINATIONS):
        return captions(COMBINATIONS[number])
    return extended_captions(number)


@functools.cache
def class_names() -> list[str]:
    """A name for each class, such as "yellow 5 round brown dark green large"."""
    base = [" ".join(str(v) for v in describe(row).values()) for row in COMBINATIONS]
    return base + [f"{kind.name} {' '.join(row.values())}" for kind, row in CLASSES]


def check_arguments(split: Any, per_combination: Any, seed: Any, extended: Any) -> None:
    """The arguments of load_flowers that draw() does not check."""
    if split not in SPLITS:
        raise ArgumentError("load_flowers", 'split is "train" or "held-out"', {"split": split})
    if not is_int(per_combination) or per_combination < 1:
        raise ArgumentError(
            "load_flowers", "per_combination is an int >= 1", {"per_combination": per_combination}
        )
    if not is_int(seed) or seed < 0:
        raise ArgumentError("load_flowers", "seed is an int >= 0", {"seed": seed})
    if not is_number(extended) or not 0 <= extended < 1:
        raise ArgumentError(
            "load_flowers", "extended is a share from 0 to less than 1", {"extended": extended}
        )
