"""Rectified linear unit, each number in one pass over memory.

There is nothing to compute: the time is that of reading and writing. NumPy takes two to five times
as long, with one thread, a mask in memory between two passes, and no vector instruction for a
maximum that keeps NaN.
"""

from __future__ import annotations

from numba import njit, prange
from numpy.lib.stride_tricks import as_strided

from minidl.kernels.layout import flat, from_flat, memory_order
from minidl.kernels.memory import aligned

BLOCK = 2**14  # how many numbers a thread takes at a time
LARGE = 10**6  # so many are worth a second thread


def forward(x):
    order = memory_order(x)
    y = aligned((x.size,), x.dtype)
    (rectify if x.size < LARGE else rectify_blocks)(flat(x, order), y)
    return from_flat(y, x.shape, order)


def backward(gy, y):
    order = memory_order(y)
    gx, flat_y = aligned((y.size,), y.dtype), flat(y, order)
    if y.size < LARGE and has_gaps(gy, order):
        rows, step = rows_of(gy, order)
        select_rows(rows, step, gy.shape[order[-1]], flat_y, gx)
    else:
        (select if y.size < LARGE else select_blocks)(flat(gy, order), flat_y, gx)
    return from_flat(gx, y.shape, order)


def has_gaps(x, order):
    """Some channels of a larger array, such as a part of what cat joined: rows that lie at one
    distance, which are read as they lie. To copy them first takes as long as all the rest."""
    x = x.transpose(order)
    if x.size == 0 or x.ndim < 2 or x.flags.c_contiguous or x.strides[-1] != x.itemsize:
        return False
    outer = zip(x.strides, x.shape[1:], x.strides[1:-1])
    return x.strides[-2] > 0 and all(step == size * inner for step, size, inner in outer)


def rows_of(x, order):
    """All numbers from the first to the last, gaps included, and how many from row to row."""
    x = x.transpose(order)
    step, rows = x.strides[-2] // x.itemsize, x.size // x.shape[-1]
    return as_strided(x, ((rows - 1) * step + x.shape[-1],), (x.itemsize,)), step


@njit(nogil=True, cache=True)
def rectify(x, y):
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = zero if x[i] <= zero else x[i]  # NaN is not <= 0


@njit(nogil=True, cache=True)
def select(gy, y, gx):
    """gx = gy where y is not 0."""
    zero = y.dtype.type(0)
    for i in range(y.size):
        gx[i] = zero if y[i] == zero else gy[i]


@njit(nogil=True, cache=True)
def select_rows(gy, step, n, y, gx):
    """The same where gy has rows of n numbers, `step` from one to the next."""
    for row in range(y.size // n):
        here = slice(row * n, (row + 1) * n)
        select(gy[row * step : row * step + n], y[here], gx[here])


@njit(parallel=True, cache=True)
def rectify_blocks(x, y):
    for start in prange((x.size + BLOCK - 1) // BLOCK):
        block = slice(start * BLOCK, (start + 1) * BLOCK)
        rectify(x[block], y[block])


@njit(parallel=True, cache=True)
def select_blocks(gy, y, gx):
    for start in prange((y.size + BLOCK - 1) // BLOCK):
        block = slice(start * BLOCK, (start + 1) * BLOCK)
        select(gy[block], y[block], gx[block])
