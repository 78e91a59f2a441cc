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

from functools import lru_cache

import numpy as np

from minidl.kernels import settings
from minidl.kernels.cpu.convolution.winograd.convolve import Taps, convolve_views, taps_of
from minidl.kernels.cpu.convolution.winograd.tiles import count_tiles, entries_of, tile_of
from minidl.kernels.cpu.convolution.winograd.views import (
    COLUMNS,
    KEPT,
    LEFT,
    ROWS,
    TOP,
    all_pixels,
    every_second,
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
    return C % WIDTH == K % WIDTH == 0 and is_saving(result, x_shape, C * K, padding)


@lru_cache(maxsize=KEPT)
def is_saving(result, x_shape, weights, padding):
    """Of the tiles no more than a third is beside the picture, and the weights are few for them."""
    N, OH, OW = x_shape[0], *output_size(x_shape[2:], padding)
    tiles = count_tiles(N, OH, OW, tile_of(2))
    if result == "gx":
        tiles = count_tiles(N, (x_shape[2] + 1) // 2, (x_shape[3] + 1) // 2, tile_of(2))
    products = 4 * entries_of(2) * tiles
    return products * 3 <= N * OH * OW * R * R * 2 and weights <= MOST_WEIGHTS * tiles


def forward(x, w, b, stride, padding, dilation, groups, least=-np.inf, slope=1.0):
    x, K = channels_last(x), len(w)
    y = aligned((len(x), *output_size(x.shape[1:3], padding), K), x.dtype)
    # As if all phases were one picture with 4 C channels.
    views, taps = phases_of(x, padding)[None], phase_taps(w, summed_up=True)
    convolve_views(x, views, taps, y, view_of(y), b=b, least=least, slope=slope)
    return channels_first(y)


def backward_input(gy, w, x_shape, stride, padding, dilation, groups, mask=None):
    N, C, H, W = x_shape
    gx, gy = aligned((N, H, W, C), gy.dtype), channels_last(gy)
    phases, around, inside = views_of_gradient(gx.shape[1:], gy.shape[1:], padding)
    taps = phase_taps(w, summed_up=False)
    if not inside.all():  # a picture of one row has no second one
        taps = taps._replace(starts=taps.starts[inside])
    mask = None if mask is None else channels_last(mask)
    convolve_views(gy, around, taps, gx, phases, is_turned=True, mask=mask)
    return channels_first(gx)


@lru_cache(maxsize=KEPT)
def views_of_gradient(gx_shape, gy_shape, padding):
    """The phases of gx that have pixels, what of gy each of them reads, and which phases those are
    of all four."""
    phases = every_second(*gx_shape, padding)
    inside = (phases[:, ROWS] > 0) & (phases[:, COLUMNS] > 0)
    phases = phases[inside]
    # gX_i[m] reads gy[m - 1] and gy[m]: the first one so many before the first of gy.
    around = np.repeat(all_pixels(*gy_shape, 0, (0, 0))[None], len(phases), 0)
    around[:, 0, [TOP, LEFT]] = 1 - phases[:, [TOP, LEFT]]
    return phases, around, inside


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    K, C = w_shape[:2]
    x, gy = channels_last(x), channels_last(gy)
    gw = np.empty((R, R, C, K), np.float32)
    starts, row, column = places_of_phases(C, K)
    views = phases_of(x, padding), gy, view_of(gy)[0]
    add_gradients(x, *views, gw, starts[0], row, column, (2, 4 * C, K))
    return gw.transpose(3, 2, 0, 1)


def output_size(x_size, padding):
    """(OH, OW)."""
    return [(x_size[i] + padding[i] + padding[i - 2] - R) // 2 + 1 for i in (0, 1)]


def phase_taps(w, summed_up):
    """The 2x2 kernels of the phases in weights (K, C, 4, 4): of one part, whose views are the
    phases and are summed up, or of four parts."""
    K, C, _, _ = w.shape
    starts, row, column = places_of_phases(C, K)
    if summed_up:
        return Taps(taps_of(w).reshape(-1), starts, row, column, 2, 4 * C, K)
    return Taps(taps_of(w).reshape(-1), starts.T, row, column, 2, C, K)


@lru_cache(maxsize=KEPT)
def places_of_phases(C, K):
    """Where the kernel of each phase (i, j) begins in weights that lie (4, 4, C, K), as (1, 4), and
    how far it is from tap 2 a + i to the next, down and across."""
    starts = [[(i * R + j) * C * K for i in (0, 1) for j in (0, 1)]]
    return np.array(starts), 2 * R * C * K, 2 * C * K
