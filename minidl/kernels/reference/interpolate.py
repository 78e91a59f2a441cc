"""Interpolation, one axis after the other.

nearest: rows[oh] is the row that output row oh copies, columns likewise.

bilinear: rows is (low, high, fraction): output row oh is (1 - fraction[oh]) times row low[oh] plus
fraction[oh] times row high[oh]; columns likewise.

None of rows, columns, low and high ever decreases. Shapes: x (N, C, H, W), y (N, C, OH, OW).
"""

from __future__ import annotations

import numpy as np

from minidl.kernels.sums import add_at


def forward_nearest(x, rows, columns):
    return x[:, :, rows[:, None], columns]


def backward_nearest(gy, x_shape, rows, columns):
    """gx: a pixel may be copied to many places, whose gradients add."""
    gx = np.zeros(x_shape, gy.dtype)
    add_at(gx, (slice(None), slice(None), rows[:, None], columns), gy)
    return gx


def forward_bilinear(x, rows, columns):
    low, high, fraction = rows
    fraction = fraction.astype(x.dtype)[:, None]
    x = (1 - fraction) * x[:, :, low] + fraction * x[:, :, high]
    low, high, fraction = columns
    fraction = fraction.astype(x.dtype)
    return (1 - fraction) * x[:, :, :, low] + fraction * x[:, :, :, high]


def backward_bilinear(gy, x_shape, rows, columns):
    """gx: the two steps of forward backwards, each output giving both of its sources a part."""
    N, C, H, W = x_shape
    low, high, fraction = columns
    fraction = fraction.astype(gy.dtype)
    g = np.zeros((N, C, gy.shape[2], W), gy.dtype)
    add_at(g, (..., low), (1 - fraction) * gy)
    add_at(g, (..., high), fraction * gy)
    low, high, fraction = rows
    fraction = fraction.astype(gy.dtype)[:, None]
    gx = np.zeros((N, C, H, W), gy.dtype)
    add_at(gx, (slice(None), slice(None), low), (1 - fraction) * g)
    add_at(gx, (slice(None), slice(None), high), fraction * g)
    return gx
