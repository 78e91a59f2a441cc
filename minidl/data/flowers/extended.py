"""Flowers beyond the 1,344: what six sentences of Oxford-102 ask for (captions.py).

A kind of extended flower has some attributes that its captions name. The other attributes of the
six are drawn by chance, flower by flower, and its captions are silent about them. Flowers of the
first and the last kind look like those of the 1,344: none of them is of a combination held out.

    centered   color, center            two of the six alone: "the flower has yellow petals and ..."
    stamens    anther, pistil, color    in place of the center
    veined     color, second, third     petals of three colors, from the inside out, with dark lines
    many       color                    three crowns of small round petals without a center
    ruffled    color                    wide round petals with wavy edges
    rounded    color                    round petals, with nothing said about their number

Each combination of what is named is a class of its own; they are numbered from 1,344 on.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.data.flowers.attributes import (
    ATTRIBUTES,
    COLUMN,
    COMBINATIONS,
    EXTRAS,
    VALUES,
    check_generator,
    split_combinations,
)
from minidl.data.flowers.palette import ANTHERS, CENTERS, PETALS, PISTILS
from minidl.errors import ArgumentError
from minidl.shapes import is_int


@dataclass(frozen=True)
class Kind:
    """A kind of extended flower.

    Args:
        name: what it is called.
        named: attribute -> its values that occur.
        fixed: attribute -> the number that all flowers of the kind have.
        templates: of its captions.
    """

    name: str
    named: dict[str, tuple[str, ...]]
    fixed: dict[str, int]
    templates: tuple[str, ...]

    @functools.cached_property
    def combinations(self) -> list[dict[str, str]]:
        """Attribute -> value for each class; colors of one flower differ."""
        rows = itertools.product(*self.named.values())
        found = [dict(zip(self.named, row)) for row in rows]
        if "third" not in self.named:
            return found
        return [row for row in found if len(set(row.values())) == len(row)]


ALL = tuple(PETALS)
LARGE = {"size": 1}  # so that there are pixels enough for what is small in the flower
KINDS = (
    Kind(
        "centered", {"color": ALL, "center": tuple(CENTERS)}, {},
        (
            "the flower has {color} petals and the center of it is {center}",
            "the petals on this flower are {color} with a {center} center",
            "a {color} flower with a {center} center",
            "this flower is {color} in color and its center is {center}",
        ),
    ),
    Kind(
        "stamens", {"color": ALL, "anther": tuple(ANTHERS), "pistil": tuple(PISTILS)}, LARGE,
        (
            "the flower shown has {anther} anther {pistil} pistil and bright {color} petals",
            "this flower has {anther} anthers, a {pistil} pistil and bright {color} petals",
            "bright {color} petals around a {pistil} pistil with {anther} anthers",
        ),
    ),
    Kind(
        "veined",
        {
            "color": ("yellow", "white"), "second": ("white", "yellow", "pink"),
            "third": ("purple", "blue", "red", "pink", "orange"),
        },
        LARGE | {"lines": 1},
        (
            "this flower has petals that are {color}, {second} and {third} and has dark lines",
            "the petals are {third}, {second} and {color} with dark lines",
            "a flower with dark lines on {color}, {second} and {third} petals",
        ),
    ),
    Kind(
        "many", {"color": ALL}, LARGE | {"many": 1},
        (
            "this flower has a lot of small round {color} petals",
            "a {color} flower with a lot of small round petals",
            "many small round petals that are {color}",
        ),
    ),
    Kind(
        "ruffled", {"color": ALL}, LARGE | {"ruffled": 1, "shape": 0},
        (
            "this flower is {color} in color, and has petals that are ruffled and rounded",
            "the petals on this flower are {color}, ruffled and rounded",
            "a {color} flower with ruffled edges on its rounded petals",
        ),
    ),
    Kind(
        "rounded", {"color": ALL}, {"shape": 0},
        (
            "this flower is {color} in color, and has petals that are smooth and rounded",
            "the petals on this flower are {color}, smooth and rounded",
            "a {color} flower with smooth edges on its rounded petals",
        ),
    ),
)  # fmt: skip

CLASSES = tuple((kind, row) for kind in KINDS for row in kind.combinations)
FIRST_CLASS = len(COMBINATIONS)


def extended_captions(number: int) -> list[str]:
    """All captions of a class of extended flowers, a sentence per template.

    Args:
        number: of the class, from 1,344 on.
    """
    kind, row = CLASSES[number - FIRST_CLASS]
    return [template.format(**row) for template in kind.templates]


def extended_flowers(count: int, rng: Any) -> tuple[np.ndarray, np.ndarray]:
    """Extended flowers, as many of each kind, and within it of each class, as the count allows.

    Args:
        count: of flowers.
        rng: a NumPy Generator, for attributes that the captions do not name.

    Returns:
        (flowers int64 (count, 13), their classes int64 (count,)).

    Raises:
        ArgumentError: count or rng is something else.
    """
    if not is_int(count) or count < 0:
        raise ArgumentError("extended_flowers", "count is an int >= 0", {"count": count})
    check_generator("extended_flowers", rng)
    chance = rng.random((count, len(ATTRIBUTES)))
    flowers = np.zeros((count, len(COLUMN)), np.int64)
    flowers[:, : len(ATTRIBUTES)] = chance * [len(values) for values in VALUES.values()]
    classes = np.zeros(count, np.int64)
    first = first_classes()
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        place = i // len(KINDS) % len(kind.combinations)
        classes[i] = first[kind.name] + place
        for name, value in kind.combinations[place].items():
            values = VALUES.get(name)
            flowers[i, COLUMN[name]] = (
                values.index(value) if values else EXTRAS[name].index(value) + 1
            )
        for name, number in kind.fixed.items():
            flowers[i, COLUMN[name]] = number
    avoid_held_out(flowers, chance[:, COLUMN["color"]])  # which no color needed: all name theirs
    return flowers, classes


def avoid_held_out(flowers: np.ndarray, chance: np.ndarray) -> None:
    """Change what captions do not name, where a flower would show a combination held out.

    Args:
        flowers: as extended_flowers returns them, changed in place.
        chance: uniform in [0, 1), one number a flower.
    """
    train, held_out = split_combinations()
    seen = COMBINATIONS[train]
    base = flowers[:, : len(ATTRIBUTES)]
    number = np.ravel_multi_index(tuple(base.T), [len(values) for values in VALUES.values()])
    plain = ~flowers[:, len(ATTRIBUTES) :].any(1)
    for i in np.flatnonzero(plain & np.isin(number, held_out)):
        kind = KINDS[i % len(KINDS)]
        said = [COLUMN[name] for name in (*kind.named, *kind.fixed)]
        fitting = seen[(seen[:, said] == base[i, said]).all(1)]
        base[i] = fitting[int(chance[i] * len(fitting))]


def first_classes() -> dict[str, int]:
    """Name of each kind -> the number of its first class."""
    sizes = [len(kind.combinations) for kind in KINDS]
    return {kind.name: FIRST_CLASS + sum(sizes[:i]) for i, kind in enumerate(KINDS)}
