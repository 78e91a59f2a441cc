"""Sums of squares of blocks, in float64."""

from __future__ import annotations

import numpy as np


def of_blocks(x, block):
    """Of each `block` numbers of a flat array, the last may have fewer; float64."""
    starts = range(0, x.size, block)
    squares = (np.square(x[start : start + block], dtype=np.float64) for start in starts)
    return np.array([each.sum() for each in squares], np.float64)
