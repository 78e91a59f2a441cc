"""What the oracle reads from drawn flowers, against the sentences that they were drawn for."""

from __future__ import annotations

import numpy as np

from minidl.data.flowers import oracle
from minidl.data.flowers.attributes import ATTRIBUTES


def accuracies(pictures: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """The share of pictures in which an attribute is right, of each attribute.

    Args:
        pictures: uint8 (N, H, W, 3).
        wanted: int (N, 6), or wider: the first six columns count.
    """
    found = oracle.read(pictures)
    right = found == wanted[:, : found.shape[1]]
    return {name: float(share) for name, share in zip(ATTRIBUTES, right.mean(0))}


def chance(wanted: np.ndarray) -> dict[str, float]:
    """How often an attribute is right where captions are shuffled, as pairs of rows coincide."""
    return {
        name: float(np.square(np.bincount(wanted[:, i]) / len(wanted)).sum())
        for i, name in enumerate(ATTRIBUTES)
    }
