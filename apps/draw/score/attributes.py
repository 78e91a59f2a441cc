"""What the oracle reads from drawn flowers, against the sentences that they were drawn for.

    attributes    of the drawn pictures
    shuffled      the same pictures against the sentences of others
    real          of real pictures of the same combinations: the most that can be reached
    nearest_seen  of a generator without fault that knows the combinations of the training alone,
                  and draws that which is nearest; for sentences that were held out
    chance        of one that draws the same flowers whatever the sentence says

Each is a share for each attribute; "all_six" has for each of them the share of pictures in which
all attributes are right at once, which is what putting words together means.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.data.flowers import COMBINATIONS, oracle, split_combinations
from minidl.data.flowers.attributes import ATTRIBUTES


def judged(
    pictures: np.ndarray, real: np.ndarray, combinations: np.ndarray, mixed: np.ndarray,
    random: np.random.Generator,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """The figures above.

    Args:
        pictures: drawn, uint8 (N, S, S, 3).
        real: of the data, uint8 (N, S, S, 3).
        combinations: what the sentences say, and the real pictures show, int (N,).
        mixed: an order that gives each picture the sentence of another, int (N,).
        random: chooses among combinations that are equally near.
    """
    wanted, read = COMBINATIONS[combinations], oracle.read(pictures)
    right = {
        "attributes": read == wanted,
        "shuffled": read == wanted[mixed],
        "real": oracle.read(real) == wanted,
    }
    if not np.isin(combinations, split_combinations()[0]).any():
        right["nearest_seen"] = nearest_seen(combinations, random) == wanted
    found = {name: by_name(those.mean(0)) for name, those in right.items()}
    found["all_six"] = {name: float(those.all(1).mean()) for name, those in right.items()}
    found["chance"] = chance(wanted)
    found["all_six"]["chance"] = coincidence(combinations)
    return found


def nearest_seen(combinations: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Flowers of the training that have the most attributes in common with others, int (N, 6)."""
    seen = COMBINATIONS[split_combinations()[0]]
    common = (COMBINATIONS[combinations][:, None] == seen).sum(2)
    return seen[(common + random.random(common.shape)).argmax(1)]


def chance(wanted: np.ndarray) -> dict[str, float]:
    """How often an attribute is right where captions are shuffled, as pairs of rows coincide."""
    return by_name([coincidence(wanted[:, i]) for i in range(len(ATTRIBUTES))])


def coincidence(numbers: np.ndarray) -> float:
    """How often two draws from numbers are equal."""
    return float(np.square(np.bincount(numbers) / len(numbers)).sum())


def by_name(shares: Any) -> dict[str, float]:
    return {name: float(share) for name, share in zip(ATTRIBUTES, shares)}
