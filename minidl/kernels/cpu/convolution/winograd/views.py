"""Where the pixels of pictures lie: a picture, a group's channels of it, or every second pixel.

Pictures lie channels last, in a flat array. A view says where the channels in question
begin in the first pixel, and how to get from there to the others:

    KEPT = 256  # of each kind: those of a layer are the same in every step
START, ROWS, COLUMNS                 the first pixel, and how many rows and columns there are
    NEXT_PICTURE, NEXT_ROW, NEXT_PIXEL   the distance from one to the next, in numbers
    TOP, LEFT                            how many pixels before the first one windows begin

Every second row and column of a picture, a *phase*, is a view with twice the steps. A convolution
reads one view or several, whose channels it takes for those of one picture.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit

KEPT = 256  # of each kind: those of a layer are the same in every step
START, ROWS, COLUMNS, NEXT_PICTURE, NEXT_ROW, NEXT_PIXEL, TOP, LEFT = range(8)


def view_of(x, channel=0, padding=(0, 0)):
    """All pixels of (N, H, W, C), from a channel on: a row of views."""
    return all_pixels(*x.shape[1:], channel, padding)


@lru_cache(maxsize=KEPT)
def all_pixels(H, W, C, channel, padding):
    return np.array([[channel, H, W, H * W * C, W * C, C, *padding]])


def phases_of(x, padding):
    """The four phases that windows of 4 pixels with stride 2 read, as in halving.py.

    Phase (i, j) has the rows 2 m + i - p and the columns 2 l + j - p of the picture, for all m and
    l that are inside.
    """
    return every_second(*x.shape[1:], padding)


@lru_cache(maxsize=KEPT)
def every_second(H, W, C, padding):
    down = [first_inside(i, padding[0], H) for i in range(2)]
    right = [first_inside(j, padding[1], W) for j in range(2)]
    return np.array([
        [(h * W + v) * C, rows, columns, H * W * C, 2 * W * C, 2 * C, top, left]
        for h, rows, top in down
        for v, columns, left in right
    ])  # fmt: skip


def first_inside(i, padding, size):
    """The smallest 2 m + i - padding that is >= 0, how many are below size, and its m."""
    m = max(0, (padding - i + 1) // 2)
    first = 2 * m + i - padding
    return first, max(0, (size - first + 1) // 2), m


@njit(nogil=True, cache=True)
def pixel_at(view, n, h, v):
    """Where the channels of a pixel begin."""
    return view[START] + n * view[NEXT_PICTURE] + h * view[NEXT_ROW] + v * view[NEXT_PIXEL]
