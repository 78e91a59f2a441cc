"""Interpolation, compiled: each thread has rows of output pixels, and in backward of input pixels.

The outputs that read from row h are neighbours, because sources never decrease. So backward is
written from the side of the input pixel: it sums over the outputs that read it, in runs whose sums
are added in float64 (kernels/sums.py).

Shapes, rows and columns as in the reference kernel; inside, arrays are (N, H, W, C).
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.cpu.avg_pool2d import sum_windows
from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.sums import RUN


def forward_nearest(x, rows, columns):
    x = channels_last(x)
    y = np.empty((len(x), len(rows), len(columns), x.shape[3]), x.dtype)
    copy_pixels(x, y, rows, columns)
    return channels_first(y)


def backward_nearest(gy, x_shape, rows, columns):
    N, C, H, W = x_shape
    gx = np.empty((N, H, W, C), gy.dtype)
    sum_windows(channels_last(gy), gx, *readers(H, rows, rows), *readers(W, columns, columns))
    return channels_first(gx)


def forward_bilinear(x, rows, columns):
    x = channels_last(x)
    rows, columns = with_dtype(rows, x.dtype), with_dtype(columns, x.dtype)
    y = np.empty((len(x), len(rows[0]), len(columns[0]), x.shape[3]), x.dtype)
    blend(x, y, *rows, *columns)
    return channels_first(y)


def backward_bilinear(gy, x_shape, rows, columns):
    N, C, H, W = x_shape
    gx = np.empty((N, H, W, C), gy.dtype)
    row_readers, column_readers = readers(H, *rows[:2]), readers(W, *columns[:2])
    rows, columns = with_dtype(rows, gy.dtype), with_dtype(columns, gy.dtype)
    blend_back(channels_last(gy), gx, *rows, *columns, *row_readers, *column_readers)
    return channels_first(gx)


def readers(size, low, high):
    """The outputs that read each pixel of an axis: (first of them, one past the last)."""
    pixels = np.arange(size)
    return np.searchsorted(high, pixels, side="left"), np.searchsorted(low, pixels, side="right")


def with_dtype(neighbours, dtype):
    low, high, fraction = neighbours
    return low, high, fraction.astype(dtype)


@njit(parallel=True, cache=True)
def copy_pixels(x, y, rows, columns):
    N, OH, OW, C = y.shape
    for image_row in prange(N * OH):
        n, oh = image_row // OH, image_row % OH
        for ow in range(OW):
            for c in range(C):
                y[n, oh, ow, c] = x[n, rows[oh], columns[ow], c]


@njit(parallel=True, cache=True)
def blend(x, y, tops, bottoms, down, lefts, rights, across):
    """down and across are how far it is from the top to the bottom and the left to the right."""
    N, OH, OW, C = y.shape
    one = y.dtype.type(1)
    for image_row in prange(N * OH):
        n, oh = image_row // OH, image_row % OH
        top, bottom, d = tops[oh], bottoms[oh], down[oh]
        for ow in range(OW):
            left, right, a = lefts[ow], rights[ow], across[ow]
            for c in range(C):
                at_left = (one - d) * x[n, top, left, c] + d * x[n, bottom, left, c]
                at_right = (one - d) * x[n, top, right, c] + d * x[n, bottom, right, c]
                y[n, oh, ow, c] = (one - a) * at_left + a * at_right


@njit(parallel=True, cache=True)
def blend_back(
    gy, gx, tops, bottoms, down, lefts, rights, across, first_oh, end_oh, first_ow, end_ow
):
    N, H, W, C = gx.shape
    for image_row in prange(N * H):
        n, h = image_row // H, image_row % H
        run, total = np.empty(C, gx.dtype), np.empty(C)
        for v in range(W):
            total[:] = 0
            for oh in range(first_oh[h], end_oh[h]):
                row_weight = weight(h, tops[oh], bottoms[oh], down[oh])
                for first in range(first_ow[v], end_ow[v], RUN):
                    run[:] = 0
                    for ow in range(first, min(first + RUN, end_ow[v])):
                        w = row_weight * weight(v, lefts[ow], rights[ow], across[ow])
                        for c in range(C):
                            run[c] += w * gy[n, oh, ow, c]
                    for c in range(C):
                        total[c] += run[c]
            for c in range(C):
                gx[n, h, v, c] = total[c]


@njit(cache=True)
def weight(pixel, low, high, fraction):
    """With which weight an output that reads low and high reads this pixel: low may be high."""
    w = fraction - fraction  # 0 of fraction's type
    if low == pixel:
        w += 1 - fraction
    if high == pixel:
        w += fraction
    return w
