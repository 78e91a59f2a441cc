"""Spectral normalization, see minidl/ops/spectral_norm.py.

The weight and its gradient are matrices, u and v the vectors of their sides.
"""

from __future__ import annotations

import numpy as np

from minidl.kernels.sums import total


def iterate(w, u, v, steps, least):
    """u, v and |W^T u| after some steps of power iteration; lengths divided by are at least that.

    Sums are made in float64: a vector may have thousands of numbers.
    """
    wide, length = w.astype(np.float64), 0.0
    for _ in range(steps):
        u, _ = unit(wide @ v, least)
        v, length = unit(wide.T @ u, least)
    return u.astype(w.dtype), v.astype(w.dtype), float(length)


def unit(x, least):
    length = np.sqrt(x @ x)
    return x / np.maximum(length, least), length


def backward(gy, y, u, v, sigma):
    return (gy - total(gy * y, (0, 1)) * np.outer(u, v)) / sigma
