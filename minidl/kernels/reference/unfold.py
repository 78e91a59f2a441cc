"""Unfold, one place of the window at a time.

For a fixed place (r, s) in the window, the windows read a grid of pixels, which is a slice of the
padded picture.

Shapes: x (N, C, H, W), y (N, C R S, OH OW). kernel_size, dilation, padding and stride are pairs
(height, width).
"""

from __future__ import annotations

import numpy as np

from minidl.kernels.reference.conv2d import pad, tap


def forward(x, kernel_size, dilation, padding, stride):
    N, C, _, _ = x.shape
    R, S = kernel_size
    x_padded = pad(x, padding)
    OH, OW = places(x_padded.shape, kernel_size, dilation, stride)
    y = np.empty((N, C, R, S, OH, OW), x.dtype)
    for r in range(R):
        for s in range(S):
            y[:, :, r, s] = x_padded[tap(r, s, OH, OW, stride, dilation)]
    return y.reshape(N, C * R * S, OH * OW)


def backward(gy, x_shape, kernel_size, dilation, padding, stride):
    """gx: each copy sends its gradient back to where it came from."""
    N, C, H, W = x_shape
    R, S = kernel_size
    gx_padded = np.zeros((N, C, H + 2 * padding[0], W + 2 * padding[1]), gy.dtype)
    OH, OW = places(gx_padded.shape, kernel_size, dilation, stride)
    gy = gy.reshape(N, C, R, S, OH, OW)
    for r in range(R):
        for s in range(S):
            gx_padded[tap(r, s, OH, OW, stride, dilation)] += gy[:, :, r, s]
    return gx_padded[:, :, padding[0] : padding[0] + H, padding[1] : padding[1] + W].copy()


def places(padded_shape, kernel_size, dilation, stride):
    """(OH, OW): how many windows there are in a padded picture."""
    return tuple(
        (padded_shape[2 + i] - dilation[i] * (kernel_size[i] - 1) - 1) // stride[i] + 1
        for i in (0, 1)
    )
