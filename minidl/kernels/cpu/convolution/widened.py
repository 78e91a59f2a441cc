"""Convolution with few output channels: neighbouring output pixels become channels.

The products of direct.py fill vectors with output channels, PANEL at a time. A layer that draws a
picture has three. So G neighbouring outputs of a row are taken for one pixel of G K channels, whose
window is as wide as all of theirs together,

    w'[(g, k), c, r, g sw + s] = w[k, c, r, s]       0 elsewhere
    y'[oh, p, (g, k)]          = y[oh, p G + g, k]   the same numbers in the same order in memory

and direct.py computes it. Of the products a part, (G - 1) sw / (S + (G - 1) sw), is with those
zeros; where windows are wide, as 9x9 with G = 10, half of them, which is still five times as fast
as a product with K columns. The gradient of w adds up those of w'. For stride 1 the gradient of x
is a convolution of gy with the kernels turned around, which has C output channels.

Infinity and NaN times 0 are NaN, so what has such numbers is left to im2col.py.
"""

from __future__ import annotations

import math

import numpy as np

from minidl.kernels.cpu.convolution import direct, im2col
from minidl.kernels.cpu.vector.matrix_product import LARGE, PANEL
from minidl.kernels.layout import channels_first, channels_last

LEAST_SHARE = 0.3  # of useful products
MOST_WEIGHTS = 2**18  # of w', which are read for each row of outputs
LEAST_TAPS = 24  # of a window: with fewer, moving numbers takes longer than multiplying them


def is_faster(result, array, x_shape, w_shape, stride, padding, dilation, groups):
    """These kernels compute this result, and faster than im2col; see conv2d.choose."""
    K, C, R, S = w_shape
    if array.dtype != np.float32 or dilation != (1, 1) or groups > 1 or min(x_shape) == 0:
        return False
    if min(w_shape) == 0 or R * S < LEAST_TAPS or array.size == 0:
        return False
    H, W = x_shape[2:]
    if result == "gx":
        if stride != (1, 1) or padding[0] >= R or padding[1] >= S:
            return False
        outputs, inputs, wide = C, K, W
    else:
        outputs, inputs = K, C
        wide = (W + padding[1] + padding[-1] - S) // stride[1] + 1
    G, share = best_grouping(outputs, S, stride[1])
    weights = panels(G * outputs) * inputs * R * (S + (G - 1) * stride[1])
    if share < LEAST_SHARE or weights > MOST_WEIGHTS or wide < G * LARGE // 2:
        return False
    return is_finite(array)


def is_finite(array):
    """No number of it is infinite or NaN. A sum that overflows may say so of others, too."""
    with np.errstate(invalid="ignore", over="ignore"):
        return math.isfinite(array.sum())


def best_grouping(K, S, step):
    """How many neighbours make a pixel, and which share of the products is then useful."""
    best, share = 1, 0.0
    for G in range(1, PANEL // K + 1):
        useful = G * K * S / (panels(G * K) * (S + (G - 1) * step))
        if useful > share:
            best, share = G, useful
    return best, share


def panels(channels):
    """The number of channels, rounded up to whole panels."""
    return -(-channels // PANEL) * PANEL


def forward(x, w, b, stride, padding, dilation, groups):
    (K, _, R, S), (N, _, H, W) = w.shape, x.shape
    OH = (H + padding[0] + padding[-2] - R) // stride[0] + 1
    OW = (W + padding[1] + padding[-1] - S) // stride[1] + 1
    G, _ = best_grouping(K, S, stride[1])
    wide = widened(w, G, stride[1])
    bias = None
    if b is not None:
        bias = np.zeros(len(wide), np.float32)
        bias[: G * K] = np.tile(b, G)
    y = direct.forward(x, wide, bias, *wide_geometry(W, OW, S, G, stride, padding))
    y = channels_last(y)[..., : G * K].reshape(N, OH, -1, K)[:, :, :OW]
    return channels_first(np.ascontiguousarray(y))


def backward_input(gy, w, x_shape, stride, padding, dilation, groups):
    """A convolution with the kernels turned around, whose input and output change places."""
    R, S = w.shape[2:]
    sides = *padding[:2], *padding[-2:]
    turned = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    # Where a stride of 1 leaves nothing out, what was padded comes back to x's size exactly.
    padding = tuple(n - 1 - p for n, p in zip((R, S, R, S), sides))
    return forward(gy, turned, None, (1, 1), padding, dilation, groups)


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    if not is_finite(x):
        return im2col.backward_weight(gy, x, w_shape, stride, padding, dilation, groups)
    (K, C, R, S), (N, _, OH, OW) = w_shape, gy.shape
    G, _ = best_grouping(K, S, stride[1])
    step, pixels = stride[1], -(-OW // G)
    wide = np.zeros((N, OH, pixels, panels(G * K)), np.float32)
    rows = np.zeros((N, OH, pixels * G, K), np.float32)
    rows[:, :, :OW] = channels_last(gy)
    wide[..., : G * K] = rows.reshape(N, OH, pixels, G * K)
    shape = (panels(G * K), C, R, S + (G - 1) * step)
    geometry = wide_geometry(x.shape[3], OW, S, G, stride, padding)
    found = direct.backward_weight(channels_first(wide), x, shape, *geometry)
    return sum(found[g * K : (g + 1) * K, :, :, g * step : g * step + S] for g in range(G))


def widened(w, G, step):
    """w' for G neighbours, their number of channels a multiple of PANEL."""
    K, C, R, S = w.shape
    wide = np.zeros((panels(G * K), C, R, S + (G - 1) * step), np.float32)
    for g in range(G):
        wide[g * K : (g + 1) * K, :, :, g * step : g * step + S] = w
    return wide


def wide_geometry(W, OW, S, G, stride, padding):
    """Stride, padding, dilation and groups of the convolution with w'."""
    top, left, bottom, _ = (*padding[:2], *padding[-2:])
    pixels, step = -(-OW // G), G * stride[1]
    right = max(0, (pixels - 1) * step + S + (G - 1) * stride[1] - W - left)
    return (stride[0], step), (top, left, bottom, right), (1, 1), 1
