"""Transposing matrices in memory."""

from __future__ import annotations

from numba import njit, prange


@njit(nogil=True, cache=True)
def transpose_matrix(x, y):
    """y = x^T in blocks, each a cache line wide.

    Eight rows of x at a time: rows whose distance is a power of two want the same place of the
    cache, and there is room for eight. NumPy walks down all rows, and takes four times as long.
    """
    rows, columns = x.shape
    for first_row in range(0, rows, 8):
        for first in range(0, columns, 16):
            for i in range(first_row, min(first_row + 8, rows)):
                for j in range(first, min(first + 16, columns)):
                    y[j, i] = x[i, j]


@njit(parallel=True, cache=True)
def transpose_backwards(x, y):
    """y[n - 1 - i] = x[i]^T for n matrices: kernels turned by half a turn, channels exchanged."""
    for i in prange(len(x)):
        transpose_matrix(x[i], y[len(x) - 1 - i])
