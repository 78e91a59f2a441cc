"""The norm of all gradients, from sums of squares of fixed blocks; and clipping by it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np


def block_squares(g: np.ndarray, block: int) -> list[float]:
    """The sum of squares of each `block` elements, in float64."""
    with np.errstate(over="ignore"):
        return [
            float(np.square(g[start : start + block], dtype=np.float64).sum())
            for start in range(0, g.size, block)
        ]


def norm_of_squares(squares: Iterable[float]) -> float:
    """The norm; fsum is exact, so that their order and who made them do not matter."""
    try:
        return math.sqrt(math.fsum(squares))
    except OverflowError:  # each was in range, their sum is not
        return math.inf


def scale_down(g: np.ndarray, max_norm: float, norm: float) -> None:
    """Scale in place one of the arrays whose norm together is `norm`, where that is too large."""
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:
        wide = np.promote_types(g.dtype, np.float32)
        np.multiply(g, wide.type(factor), out=g, casting="same_kind")
