"""Averages over windows, one window at a time.

Window (oh, ow) is the pixels rows[0][oh] <= h < rows[1][oh], columns[0][ow] <= v < columns[1][ow].
Its sum is divided by row_counts[oh] * column_counts[ow]. All are arrays with an entry for each
window along their axis; both ends of the windows never decrease.

Shapes: x (N, C, H, W), y (N, C, OH, OW).
"""

from __future__ import annotations

import numpy as np

from minidl.kernels.sums import wide_total


def forward(x, rows, columns, row_counts, column_counts):
    y = np.empty((*x.shape[:2], len(row_counts), len(column_counts)), x.dtype)
    for oh, (top, bottom) in enumerate(zip(*rows)):
        for ow, (left, right) in enumerate(zip(*columns)):
            window = wide_total(x[:, :, top:bottom, left:right], (2, 3))
            y[:, :, oh, ow] = window / (row_counts[oh] * column_counts[ow])
    return y


def backward(gy, x_shape, rows, columns, row_counts, column_counts):
    """gx: each window gives all of its pixels the same share."""
    gx = np.zeros(x_shape, gy.dtype)
    for oh, (top, bottom) in enumerate(zip(*rows)):
        for ow, (left, right) in enumerate(zip(*columns)):
            share = gy[:, :, oh, ow] / (row_counts[oh] * column_counts[ow])
            gx[:, :, top:bottom, left:right] += share[:, :, None, None]
    return gx
