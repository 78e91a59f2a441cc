"""Unfold: what each window sees, copied out.

Shapes: x (N, C, H, W), y (N, C R S, OH OW). kernel_size, dilation, padding and stride are pairs
(height, width).
"""

from __future__ import annotations

import numpy as np

from minidl.kernels.reference.conv2d import pad, windows


def forward(x, kernel_size, dilation, padding, stride):
    seen = windows(pad(x, padding), kernel_size, stride, dilation)
    N, C, OH, OW, R, S = seen.shape
    return seen.transpose(0, 1, 4, 5, 2, 3).reshape(N, C * R * S, OH * OW)


def backward(gy, x_shape, kernel_size, dilation, padding, stride):
    """gx: each copy sends its gradient back to where it came from."""
    N, C, H, W = x_shape
    R, S = kernel_size
    gx = np.zeros((N, C, H + 2 * padding[0], W + 2 * padding[1]), gy.dtype)
    seen = windows(gx, kernel_size, stride, dilation, writeable=True)
    OH, OW = seen.shape[2:4]
    gy = gy.reshape(N, C, R, S, OH, OW)
    for r in range(R):
        for s in range(S):
            seen[..., r, s] += gy[:, :, r, s]  # no pixel twice for one place of the window
    return gx[:, :, padding[0] : padding[0] + H, padding[1] : padding[1] + W].copy()
