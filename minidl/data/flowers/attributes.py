"""The attributes of a drawn flower and their values, and the split of their combinations.

Six attributes with 7 x 4 x 2 x 4 x 3 x 2 = 1,344 combinations are what networks are judged by: the
oracle (oracle.py) reads them from a picture. 15 % of the combinations are held out, so a network
that draws or describes them has learned what each word means, not what each sentence does.

A flower is a row of whole numbers, one per attribute: the place of its value in VALUES, so
(2, 1, 0, 1, 0, 1) is large and has five round yellow petals, a brown center and a dark green
background. Seven more columns (EXTRAS), all 0 in the 1,344, are in extended.py.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

from minidl.data.dataset import unit_hash
from minidl.data.flowers.palette import ANTHERS, BACKGROUNDS, CENTERS, PETALS, PISTILS
from minidl.errors import ArgumentError
from minidl.shapes import is_int

COUNTS = (4, 5, 6, 8)
SHAPES = ("round", "pointed")
SIZES = ("small", "large")

VALUES: dict[str, tuple] = {
    "color": tuple(PETALS),
    "count": COUNTS,
    "shape": SHAPES,
    "center": tuple(CENTERS),
    "background": tuple(BACKGROUNDS),
    "size": SIZES,
}
ATTRIBUTES = tuple(VALUES)
EXTRAS: dict[str, tuple] = {  # 0 is off; what the numbers from 1 on mean
    "pistil": tuple(PISTILS),
    "anther": tuple(ANTHERS),
    "second": tuple(PETALS),
    "third": tuple(PETALS),
    "lines": (True,),
    "ruffled": (True,),
    "many": (True,),
}
COLUMN = {name: i for i, name in enumerate((*ATTRIBUTES, *EXTRAS))}

COMBINATIONS = np.array(
    list(itertools.product(*(range(len(values)) for values in VALUES.values()))), np.int64
)  # (1344, 6)
COMBINATIONS.flags.writeable = False
HELD_OUT_SHARE = 0.15


def split_combinations(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Which combinations are for training and which are held out.

    The hash of seed and combination decides, so the split is the same everywhere. Each value of
    each attribute occurs on both sides.

    Args:
        seed: another seed gives another split.

    Returns:
        (1,142 numbers of combinations to train on, 202 held out), both in ascending order.

    >>> from minidl.data.flowers import split_combinations
    >>> [len(part) for part in split_combinations()]
    [1142, 202]
    """
    if not is_int(seed):
        raise ArgumentError("split_combinations", "seed is an int", {"seed": seed})
    return split_once(int(seed))


@functools.cache
def split_once(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """split_combinations, once for each seed."""
    order = sorted(range(len(COMBINATIONS)), key=lambda i: unit_hash(f"flowers {seed} {i}"))
    held_out = round(HELD_OUT_SHARE * len(COMBINATIONS))
    parts = np.sort(order[held_out:]), np.sort(order[:held_out])
    for part in parts:
        part.flags.writeable = False
        for column, values in enumerate(VALUES.values()):
            if len(np.unique(COMBINATIONS[part, column])) < len(values):
                raise ArgumentError(
                    "split_combinations", f"with this seed a value of {ATTRIBUTES[column]} would "
                    "be missing on one side", {"seed": seed}, "take another seed",
                )  # fmt: skip
    return parts


def neighbours(combination: int) -> np.ndarray:
    """The combinations that differ from one in a single attribute.

    Args:
        combination: a number from 0 to 1343.

    Returns:
        their numbers, int64 (16,), in ascending order.

    Raises:
        ArgumentError: there is no such combination.

    >>> from minidl.data.flowers import neighbours
    >>> neighbours(0)[:3].tolist()
    [1, 2, 4]
    """
    if not is_int(combination) or not 0 <= combination < len(COMBINATIONS):
        rule = f"combination is an int from 0 to {len(COMBINATIONS) - 1}"
        raise ArgumentError("neighbours", rule, {"combination": combination})
    differing = (COMBINATIONS != COMBINATIONS[combination]).sum(1)
    return np.flatnonzero(differing == 1)


def describe(flower: Any) -> dict[str, Any]:
    """The names of a flower's values in the six attributes.

    Args:
        flower: whole numbers, (6,) or (13,).

    Raises:
        ArgumentError: something else, or a value that an attribute does not have.

    >>> from minidl.data.flowers import describe
    >>> describe((2, 1, 0, 1, 0, 1))["color"]
    'yellow'
    """
    row = check_flowers("describe", [flower])[0]
    return {name: VALUES[name][row[i]] for i, name in enumerate(ATTRIBUTES)}


def check_flowers(op: str, flowers: Any) -> np.ndarray:
    """Flowers as int64 (N, 13), the seven extras 0 where only six attributes are given.

    Raises:
        ArgumentError: another shape or dtype, or a value that an attribute does not have.
    """
    try:
        rows = np.asarray(flowers)
    except ValueError:  # of lists that differ in length
        rows = np.empty(0)
    widths = (len(ATTRIBUTES), len(COLUMN))
    if rows.ndim != 2 or rows.shape[1] not in widths or rows.dtype.kind not in "iu":
        raise ArgumentError(
            op, f"flowers are ints (N, {widths[0]}) or (N, {widths[1]})", {"flowers": rows}
        )
    full = np.zeros((len(rows), len(COLUMN)), np.int64)
    full[:, : rows.shape[1]] = rows
    for name, column in COLUMN.items():
        largest = len(VALUES[name]) - 1 if name in VALUES else len(EXTRAS[name])
        wrong = np.flatnonzero((full[:, column] < 0) | (full[:, column] > largest))
        if wrong.size:
            raise ArgumentError(
                op, f"{name} is a number from 0 to {largest}",
                {"row": int(wrong[0]), name: int(full[wrong[0], column])},
            )  # fmt: skip
    return full


def check_generator(op: str, rng: Any) -> None:
    """rng is a NumPy Generator.

    Raises:
        ArgumentError
    """
    if not isinstance(rng, np.random.Generator):
        hint = "numpy.random.default_rng(0) makes one"
        raise ArgumentError(op, "rng is a numpy.random.Generator", {"rng": rng}, hint)
