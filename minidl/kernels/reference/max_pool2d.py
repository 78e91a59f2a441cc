"""Max pooling, one place of the window at a time.

For a fixed place (r, s) in the window, every output pixel (oh, ow) looks at one input pixel,
(oh sh + r dh - ph, ow sw + s dw - pw). Where that lies inside the picture and is larger than the
largest so far, it is the largest so far. The places come in row-major order and only a larger
value replaces another, so the first of equal ones wins.

Shapes: x (N, C, H, W), y and indices (N, C, OH, OW). indices[n, c, oh, ow] = h W + w says which
pixel won. kernel_size, stride, padding and dilation are pairs (height, width).
"""

from __future__ import annotations

import numpy as np


def forward(x, kernel_size, stride, padding, dilation, output_size):
    N, C, H, W = x.shape
    OH, OW = output_size
    y = np.full((N, C, OH, OW), -np.inf, x.dtype)
    indices = np.full((N, C, OH, OW), -1, np.int32)  # -1: nothing seen yet
    for r in range(kernel_size[0]):
        rows = np.arange(OH) * stride[0] + r * dilation[0] - padding[0]
        for s in range(kernel_size[1]):
            columns = np.arange(OW) * stride[1] + s * dilation[1] - padding[1]
            inside = is_inside(rows, H)[:, None] & is_inside(columns, W)
            flat = rows[:, None] * W + columns
            seen = x.reshape(N, C, H * W)[:, :, np.where(inside, flat, 0)]
            wins = inside & ((seen > y) | np.isnan(seen) | (indices < 0))
            y = np.where(wins, seen, y)
            indices = np.where(wins, flat, indices).astype(np.int32)
    return y, indices


def backward(gy, indices, x_shape, kernel_size, stride, padding, dilation, add_to=None):
    """gx: the winner of each window gets its gradient; one may win several windows.

    With add_to it comes on top of what is there.
    """
    N, C, H, W = x_shape
    gx = np.zeros((N, C, H * W), gy.dtype)
    n, c = np.arange(N)[:, None, None, None], np.arange(C)[:, None, None]
    np.add.at(gx, (n, c, indices), gy)
    gx = gx.reshape(N, C, H, W)
    return gx if add_to is None else add_to + gx


def is_inside(positions, size):
    return (positions >= 0) & (positions < size)
