"""Averages over windows, compiled: one loop, sum_windows, does forward and backward.

The windows that contain row h are neighbours: from the first that ends behind h to the last that
begins at h or before. So gx is a sum over windows of gy, too, with the roles of window and pixel
exchanged (see `containing`), and each thread has rows of the output of that sum to itself.

Windows and shapes as in the reference kernel; inside, arrays are (N, H, W, C), or where x lies so
in memory, (C, H, W, N): then what is called n below is a channel, and c a picture.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.layout import arranged, logical, order_of
from minidl.kernels.sums import RUN, SHORT

PIECE = 2**11  # numbers of a row of a large window at a time


def forward(x, rows, columns, row_counts, column_counts):
    order = order_of(x)
    x = arranged(x, order)
    y = np.empty((len(x), len(row_counts), len(column_counts), x.shape[3]), x.dtype)
    sum_windows(x, y, *rows, *columns)
    y /= counts(row_counts, column_counts, y.dtype)
    return logical(y, order)


def backward(gy, x_shape, rows, columns, row_counts, column_counts):
    order = order_of(gy)
    gy = arranged(gy, order) / counts(row_counts, column_counts, gy.dtype)
    N, H, W, C = [x_shape[axis] for axis in order]
    gx = np.empty((N, H, W, C), gy.dtype)
    sum_windows(gy, gx, *containing(H, *rows), *containing(W, *columns))
    return logical(gx, order)


def counts(row_counts, column_counts, dtype):
    """(OH, OW, 1): what the sum of each window is divided by."""
    return np.multiply.outer(row_counts, column_counts)[:, :, None].astype(dtype)


def containing(size, first, end):
    """The windows that contain each pixel of an axis: (first of them, one past the last)."""
    pixels = np.arange(size)
    return np.searchsorted(end, pixels, side="right"), np.searchsorted(first, pixels, side="right")


@njit(parallel=True, cache=True)
def sum_windows(x, y, tops, bottoms, lefts, rights):
    N, OH, OW, _ = y.shape
    for image_row in prange(N * OH):
        n, oh = image_row // OH, image_row % OH
        for ow in range(OW):
            window = tops[oh], bottoms[oh], lefts[ow], rights[ow]
            if (bottoms[oh] - tops[oh]) * (rights[ow] - lefts[ow]) > SHORT:
                sum_many(x[n], y[n, oh, ow], *window)
            else:
                sum_few(x[n], y[n, oh, ow], *window)


@njit(nogil=True, cache=True)
def sum_few(x, y, top, bottom, left, right):
    """A window of x (H, W, C)."""
    y[:] = 0
    for h in range(top, bottom):
        for v in range(left, right):
            pixel = x[h, v]
            for c in range(len(y)):
                y[c] += pixel[c]


@njit(nogil=True, cache=True)
def sum_many(x, y, top, bottom, left, right):
    """A large window of x (H, W, C): runs of rows, their sums in float64 (kernels/sums.py).

    Some columns at a time, so that one piece of a row stays in the nearest cache.
    """
    H, W, C = x.shape
    rows = x.reshape(H, W * C)
    at_once = min(right - left, max(1, PIECE // C))
    run, sums, total = np.empty(at_once * C, x.dtype), np.empty(at_once * C), np.zeros(C)
    for first in range(left, right, at_once):
        begin, end = first * C, min(first + at_once, right) * C
        sums[:] = 0
        for start in range(top, bottom, RUN):
            run[: end - begin] = rows[start, begin:end]
            for h in range(start + 1, min(start + RUN, bottom)):
                row = rows[h, begin:end]
                for i in range(len(row)):
                    run[i] += row[i]
            for i in range(end - begin):
                sums[i] += run[i]
        for pixel in sums[: end - begin].reshape(-1, C):
            for c in range(C):
                total[c] += pixel[c]
    y[:] = total
