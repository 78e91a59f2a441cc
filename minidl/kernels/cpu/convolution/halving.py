"""4x4 convolution with stride 2, which halves a picture, and its transpose, which doubles one.

GANs are made of these (Radford et al. 2016). Every second row and column of a picture x is a
picture of its own, a *phase*. With a tap r = 2 a + i and padding p, in one direction,

    y[oh] = sum over r of x[2 oh + r - p] w[r] = sum over i and a of X_i[oh + a] w[2 a + i]
    X_i[m] = x[2 m + i - p]

So in two dimensions y is a 2x2 convolution with stride 1 of four phases with C channels each, as if
they were one picture with 4 C. That is what Winograd's algorithm is for (winograd/): a tile of 4x4
outputs reads 5x5 pixels of each phase, and 25 products do in place of 64 for each channel of a
phase, 100 in place of 256 for each of x. The gradient of w is that of the 2x2 kernels. In the
gradient of x each phase is a 2x2 convolution of gy by itself,

    gX_i[m] = sum over a of gy[m - a] w[2 a + i]

Phases are views: pixels are read and written where they lie in x and gx, every second one. Numbers
round, and infinity and NaN spread over their tile, as there; the matrices are smaller (no point -2)
and so is the error, up to 2e-5 of the largest output.
"""

from __future__ import annotations

import numpy as np

from minidl.kernels import settings
from minidl.kernels.cpu.convolution.winograd.convolve import convolve_views, taps_of
from minidl.kernels.cpu.convolution.winograd.tiles import count_tiles, entries_of, tile_of
from minidl.kernels.cpu.convolution.winograd.views import (
    COLUMNS,
    LEFT,
    ROWS,
    TOP,
    phases_of,
    view_of,
)
from minidl.kernels.cpu.convolution.winograd.weight_gradient import add_gradients
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.memory import aligned

R = 4  # taps, of which a phase has half
MOST_WEIGHTS = 2**13  # C K / tiles; with more, transforming the weights takes too long


def is_faster(result, array, x_shape, w_shape, stride, padding, dilation, groups):
    """These kernels compute this result, and faster than a plain sum; see conv2d.choose."""
    K, C = w_shape[:2]
    if array.dtype != np.float32 or w_shape[2:] != (R, R) or stride != (2, 2):
        return False
    if dilation != (1, 1) or groups != 1 or max(padding) >= R or settings.exact_conv:
        return False
    if C % WIDTH or K % WIDTH:
        return False
    # Of the tiles no more than a third may be beside the picture.
    N, OH, OW = x_shape[0], *output_size(x_shape[2:], padding)
    tiles = count_tiles(N, OH, OW, tile_of(2))
    if result == "gx":
        tiles = count_tiles(N, (x_shape[2] + 1) // 2, (x_shape[3] + 1) // 2, tile_of(2))
    products = 4 * entries_of(2) * tiles
    return products * 3 <= N * OH * OW * R * R * 2 and C * K <= MOST_WEIGHTS * tiles


def forward(x, w, b, stride, padding, dilation, groups, least=-np.inf):
    x, K = channels_last(x), len(w)
    y = aligned((len(x), *output_size(x.shape[1:3], padding), K), x.dtype)
    # As if all phases were one picture with 4 C channels.
    kernels = phase_kernels(w).transpose(2, 3, 0, 1, 4, 5).reshape(1, 2, 2, -1, K)
    convolve_views(x, phases_of(x, padding)[None], kernels, y, view_of(y), b=b, least=least)
    return channels_first(y)


def backward_input(gy, w, x_shape, stride, padding, dilation, groups, mask=None):
    N, C, H, W = x_shape
    gx, gy = aligned((N, H, W, C), gy.dtype), channels_last(gy)
    phases = phases_of(gx, padding)
    # gX_i[m] reads gy[m - 1] and gy[m]: the first one so many before the first of gy.
    around = np.repeat(view_of(gy)[None], len(phases), 0)
    around[:, 0, [TOP, LEFT]] = 1 - phases[:, [TOP, LEFT]]
    kernels = phase_kernels(w).reshape(len(phases), 2, 2, C, -1)
    inside = (phases[:, ROWS] > 0) & (phases[:, COLUMNS] > 0)
    if not inside.all():  # a picture of one row has no second one
        phases, around, kernels = phases[inside], around[inside], kernels[inside]
    mask = None if mask is None else channels_last(mask)
    convolve_views(gy, around, kernels, gx, phases, is_turned=True, mask=mask)
    return channels_first(gx)


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    K, C = w_shape[:2]
    x, gy = channels_last(x), channels_last(gy)
    gw = np.zeros((2, 2, 4 * C, K), np.float32)
    add_gradients(x, phases_of(x, padding), gy, view_of(gy)[0], gw, K, 0)
    gw = gw.reshape(2, 2, 2, 2, C, K).transpose(0, 2, 1, 3, 4, 5).reshape(R, R, C, K)
    return gw.transpose(3, 2, 0, 1)


def output_size(x_size, padding):
    """(OH, OW)."""
    return [(x_size[i] + padding[i] + padding[i - 2] - R) // 2 + 1 for i in (0, 1)]


def phase_kernels(w):
    """The 2x2 kernel of each phase (i, j) of weights (K, C, 4, 4): (2, 2, 2, 2, C, K)."""
    K, C, _, _ = w.shape
    taps = taps_of(w).reshape(2, 2, 2, 2, C, K)  # a and i of a row, then of a column
    return taps.transpose(1, 3, 0, 2, 4, 5)
