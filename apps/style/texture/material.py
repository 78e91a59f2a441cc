"""What a texture is made of: the pixels of one or several samples, and which of them may be copied.

The samples lie one below the other in one array, a row of nothing between two of them, so that one
search goes through all. A pixel's place in it is a number, row * width + column; `sources` turns
such numbers into sample, row and column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass
class Material:
    """The samples.

    Attributes:
        planes: (P, H, W), float32 in 0..1: the colours, then planes of guide maps.
        colours: how many planes are colours.
        known: (H, W), bool: the pixels there are; the others lie in holes and beside samples.
        copied: (H, W), bool: those of them that may be copied.
        tops: the first row of each sample, ascending.
    """

    planes: np.ndarray
    colours: int
    known: np.ndarray
    copied: np.ndarray
    tops: np.ndarray

    def sources(self, numbers: np.ndarray) -> np.ndarray:
        """(3, ...), int32: sample, row and column of pixels; -1 for the number -1, no pixel."""
        rows, columns = np.divmod(numbers, self.planes.shape[2])
        samples = np.searchsorted(self.tops, rows, side="right") - 1
        found = np.stack([samples, rows - self.tops[samples], columns])
        return np.where(numbers < 0, -1, found).astype(np.int32)


def stack(
    samples: Sequence[np.ndarray],
    guides: Sequence[np.ndarray] = (),
    known: Sequence[np.ndarray | None] = (),
    copied: Sequence[np.ndarray | None] = (),
) -> Material:
    """Put samples into one array.

    Args:
        samples: each (H, W, C) in 0..1, of any sizes.
        guides: for each sample (H, W, G); none where there are no guide maps.
        known: for each sample bool (H, W), False in its hole; None where it has none.
        copied: the same for what may be copied.
    """
    colours, extra = samples[0].shape[2], guides[0].shape[2] if guides else 0
    height = sum(len(sample) + 1 for sample in samples)
    width = max(sample.shape[1] for sample in samples)
    planes = np.zeros((colours + extra, height, width), np.float32)
    there, may = np.zeros((height, width), bool), np.zeros((height, width), bool)
    tops, top = [], 0
    for i, sample in enumerate(samples):
        place = slice(top, top + len(sample)), slice(sample.shape[1])
        planes[(slice(colours), *place)] = sample.transpose(2, 0, 1)
        if guides:
            planes[(slice(colours, None), *place)] = guides[i].transpose(2, 0, 1)
        there[place] = True if not known or known[i] is None else known[i]
        may[place] = there[place]
        if copied and copied[i] is not None:
            may[place] &= copied[i]
        tops.append(top)
        top += len(sample) + 1
    return Material(planes, colours, there, may, np.array(tops))


def all_in_window(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W), bool: whether the mask is True in the whole window that begins at each place."""
    H, W = mask.shape
    found = np.zeros((H, W), bool)
    if height > H or width > W:
        return found
    sums = np.zeros((H + 1, W + 1), np.int64)
    sums[1:, 1:] = mask.cumsum(axis=0).cumsum(axis=1)
    inside = (
        sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]
        + sums[:-height, :-width]
    )  # fmt: skip
    found[: H - height + 1, : W - width + 1] = inside == height * width
    return found
