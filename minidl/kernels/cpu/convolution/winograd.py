"""3x3 and 5x5 convolution with a fraction of the multiplications (Winograd's minimal filtering).

For a tile of 4 x 4 outputs that reads 6 x 6 inputs d and has the 3 x 3 kernel g, with small
constant matrices (winograd_transforms.py) and o for products entry by entry,

    y = A^T [(G g G^T) o (B^T d B)] A          36 multiplications in place of 144

and for a tile of 2 x 2 outputs with a 5 x 5 kernel 36 in place of 100. Over the channels one adds
before transforming back, so that the 36 entries are 36 matrix products

    M[e] = V[e] U[e]      V[e] (tiles, C)  U[e] (C, K)  M[e] (tiles, K)

of the transformed pictures V and weights U. The gradient of x is the same convolution with the
kernels turned by half a turn. The gradient of w is the transpose of the map from g to y:

    gg = G^T [sum over tiles of (B^T d B) o (A gy A^T)] G

The price is rounding: the matrices have entries up to 8 and sums that cancel. The result is off by
up to 1e-4 of the largest output where a plain sum is off by 1e-6, and within a tile everything
rounds as its largest value does: zeros beside large values come out as small numbers. Infinity
subtracted from infinity makes NaN of a whole tile, and overflow begins a hundred times earlier.
use_exact_conv(True) chooses the plain sum.

V, U and M lie entry by entry, [e][tile][channel] for V and M, [e][c][column] for a *panel* of U, a
few output channels (matrix_product.py). From one entry to the next it is an odd number of cache
lines: at a distance of 4096 bytes, the 36 entries of a tile would all want the same few places of
the cache. How the work is divided depends on what there is more of:

- tiles, in the first layers: the weights are transformed first; then a thread takes a block of
  tiles from pictures to outputs. It is as small as U, which each block reads whole, permits: of few
  channels V and M stay in the cache.
- weights, in the last layers: the pictures are transformed first; then a thread takes a panel of
  output channels, for all tiles, from weights to outputs. So U, four times as large as the weights,
  is never in memory as a whole.

Groups come one after the other. A group's channels are a part of each pixel; so x and y are flat
arrays here that begin at its first channel, with their (height, width, step from pixel to pixel).
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels import settings
from minidl.kernels.cpu.convolution.winograd_gradient import backward_weight as backward_weight
from minidl.kernels.cpu.convolution.winograd_tiles import (
    ENTRIES,
    bounds_of,
    check_room,
    count_tiles,
    panels,
    spread,
    tile_of,
    transform_picture,
    transform_weight,
    write_outputs,
)
from minidl.kernels.cpu.vector.matrix_product import PANEL, block_rows, multiply_panel
from minidl.kernels.cpu.vector.transpose import transpose_backwards
from minidl.kernels.cpu.vector.vectors import WIDTH
from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.memory import scratch

BLOCK_BYTES = 2**18  # of V and M of a block of tiles
SMALLEST_BLOCK = 48  # tiles; a block reads all of U, which must be worth it
PANEL_BYTES = 2**23  # of V at most, where threads take panels: each of them reads all of it
PICTURE_PARTS = 8  # into which the tiles are divided while they are transformed


def pays(dtype, x_shape, w_shape, stride, padding, dilation, groups, of_input=False):
    """These kernels compute this convolution, or gradient (of_input), faster than a plain sum."""
    K, C, R, S = w_shape
    if dtype != np.float32 or R != S or R not in (3, 5) or stride != (1, 1):
        return False
    if dilation != (1, 1) or max(padding) >= R or settings.exact_conv:
        return False
    if C % WIDTH or K // groups % WIDTH:
        return False
    # The tiles, of y or of the gradient of x, must not be mostly beside the picture (one of 2x2
    # costs 36 products as well), and transforming the weights must be worth it.
    N, _, H, W = x_shape
    OH, OW = H + 2 * padding[0] - R + 1, W + 2 * padding[1] - S + 1
    tiles = count_tiles(N, *((H, W) if of_input else (OH, OW)), tile_of(R))
    return tiles * ENTRIES * 3 <= N * OH * OW * R * S * 2 and tiles * 2**12 >= C * K // groups


def forward(x, w, b, padding, groups=1):
    x = channels_last(x)
    (N, H, W, _), (K, _, R, S) = x.shape, w.shape
    OH, OW = H + 2 * padding[0] - R + 1, W + 2 * padding[1] - S + 1
    y = np.empty((N, OH, OW, K), np.float32)
    for g in range(groups):
        part = group(K, g, groups)
        convolve(x, taps_of(w[part]), None if b is None else b[part], y, padding, g)
    return channels_first(y)


def backward_input(gy, w, x_shape, padding, groups=1):
    N, C, H, W = x_shape
    K, _, R, S = w.shape
    gx, gy = np.empty((N, H, W, C), np.float32), channels_last(gy)
    padding = (R - 1 - padding[0], S - 1 - padding[1])
    for g in range(groups):
        convolve(gy, turned(taps_of(w[group(K, g, groups)])), None, gx, padding, g)
    return channels_first(gx)


def group(channels, g, groups):
    """The channels of group g."""
    return slice(channels // groups * g, channels // groups * (g + 1))


def taps_of(w):
    """Weights (K, C, R, S) as (R, S, C, K) in memory, where they usually lie so."""
    return np.ascontiguousarray(w.transpose(2, 3, 1, 0))


def turned(taps):
    """The kernels by half a turn, with input and output channels exchanged: (R, S, K, C)."""
    R, S, C, K = taps.shape
    y = np.empty((R, S, K, C), np.float32)
    transpose_backwards(taps.reshape(R * S, C, K), y.reshape(R * S, K, C))
    return y


def convolve(x, w, b, y, padding, g):
    """Group g of y from x, both channels last, and its weights, (R, S, C, K) in memory."""
    (N, OH, OW, _), (R, _, C, K) = y.shape, w.shape
    n_tiles = count_tiles(N, OH, OW, tile_of(R))
    has_bias = b is not None
    bias = np.ascontiguousarray(b) if has_bias else np.empty(0, np.float32)
    flat = x.reshape(-1)[g * C :], y.reshape(-1)[g * K :], w.reshape(-1), bias
    sizes = n_tiles, R, C, K, x.shape[1:], y.shape[1:], padding, has_bias
    if n_tiles < K and 4 * ENTRIES * n_tiles * C <= PANEL_BYTES:
        convolve_by_panels(*flat, *sizes)
    else:
        convolve_by_tiles(*flat, *sizes)


def convolve_by_tiles(x, y, w, bias, n_tiles, R, C, K, x_size, y_size, padding, has_bias):
    bounds = bounds_of(n_tiles, max(SMALLEST_BLOCK, BLOCK_BYTES // (4 * ENTRIES * (C + K))))
    rows = max((block_rows(size) for size in set(np.diff(bounds).tolist())), default=0)
    V_size, M_size = ENTRIES * spread(rows * C), ENTRIES * spread(rows * panels(K) * PANEL)
    U_size, threads = panels(K) * ENTRIES * spread(C * PANEL), get_num_threads()
    with scratch(U_size, threads * V_size, threads * M_size) as (U, V, M):
        transform_weights(bounds_of(C, max(8, 2**14 // K)), R, C, K, w, U)
        convolve_blocks(
            bounds, R, C, K, x, x_size, padding, U, has_bias, bias, V, V_size, M, M_size, y, y_size
        )


@njit(parallel=True, cache=True)
def transform_weights(bounds, R, C, K, w, U):
    """U = G g G^T of weights (R, S, C, K), panel behind panel."""
    size = ENTRIES * spread(C * PANEL)
    for block in prange(len(bounds) - 1):
        for p in range(panels(K)):
            U_panel = U[p * size : (p + 1) * size]
            transform_panel(p, bounds[block], bounds[block + 1], R, C, K, w, U_panel)


@njit(nogil=True, cache=True)
def transform_panel(p, first, end, R, C, K, w, U):
    """Of some channels and the output channels of one panel."""
    check_room(len(U), spread(C * PANEL))
    for k in range(p * PANEL, min(K, (p + 1) * PANEL), WIDTH):
        for c in range(first, end):
            target = c * PANEL + k % PANEL
            transform_weight(R, w, c * K + k, C * K, U, target, spread(C * PANEL))


@njit(parallel=True, cache=True)
def convolve_blocks(
    bounds, R, C, K, x, x_size, padding, U, has_bias, bias, V, V_size, M, M_size, y, y_size
):
    """Block by block of tiles, each thread with a part of V and M for itself."""
    for block in prange(len(bounds) - 1):
        mine = get_thread_id()
        convolve_block(
            bounds[block], bounds[block + 1], R, C, K, x, x_size, padding, U, has_bias, bias,
            V[mine * V_size : (mine + 1) * V_size], M[mine * M_size : (mine + 1) * M_size],
            y, y_size,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_block(first, end, R, C, K, x, x_size, padding, U, has_bias, bias, V, M, y, y_size):
    rows, row = block_rows(end - first), panels(K) * PANEL
    V_entry, M_entry, U_panel = spread(rows * C), spread(rows * row), ENTRIES * spread(C * PANEL)
    check_room(len(V), V_entry)
    check_room(len(M), M_entry)
    transform_picture(first, end, tile_of(R), C, x, x_size, padding, y_size, V, C, V_entry)
    for e in range(ENTRIES):
        for p in range(panels(K)):
            multiply_entry(
                e, rows, C, V, V_entry, U[p * U_panel : (p + 1) * U_panel], has_bias,
                bias[p * PANEL :], M[p * PANEL :], row, M_entry,
            )  # fmt: skip
    write_outputs(first, end, tile_of(R), K, M, row, M_entry, y, y_size)


@njit(nogil=True, cache=True)
def multiply_entry(e, rows, C, V, V_entry, U, has_bias, bias, M, M_row, M_entry):
    """Entry e of one panel of M; U, bias and M begin with the panel."""
    # 7 is the value at t = 1 in both directions, and the columns of A^T for it are ones: what is
    # added there, is added to all outputs.
    add = 1 if has_bias and e == 7 else 0
    if add:
        for row in range(rows):
            for k in range(min(PANEL, len(bias))):
                M[e * M_entry + row * M_row + k] = bias[k]
    multiply_panel(
        rows, C, V, e * V_entry, C, 1, U, e * spread(C * PANEL), PANEL, M, e * M_entry, M_row, add
    )


def convolve_by_panels(x, y, w, bias, n_tiles, R, C, K, x_size, y_size, padding, has_bias):
    rows, threads = block_rows(n_tiles), get_num_threads()
    V_size, M_size = ENTRIES * spread(rows * C), ENTRIES * spread(rows * PANEL)
    U_size = ENTRIES * spread(C * PANEL)
    with scratch(V_size, threads * U_size, threads * M_size) as (V, U, M):
        convolve_panels(
            n_tiles, R, C, K, x, x_size, padding, w, has_bias, bias, V, U, U_size, M, M_size,
            y, y_size,
        )  # fmt: skip


@njit(parallel=True, cache=True)
def convolve_panels(
    n_tiles, R, C, K, x, x_size, padding, w, has_bias, bias, V, U, U_size, M, M_size, y, y_size
):
    """First all of V, then panel by panel, each thread with a part of U and M for itself."""
    V_entry = spread(block_rows(n_tiles) * C)
    check_room(len(V), V_entry)
    for part in prange(PICTURE_PARTS):
        first, end = n_tiles * part // PICTURE_PARTS, n_tiles * (part + 1) // PICTURE_PARTS
        transform_picture(
            first, end, tile_of(R), C, x, x_size, padding, y_size, V[first * C :], C, V_entry
        )
    for p in prange(panels(K)):
        mine = get_thread_id()
        convolve_panel(
            p, n_tiles, R, C, K, V, w, has_bias, bias[p * PANEL :],
            U[mine * U_size : (mine + 1) * U_size], M[mine * M_size : (mine + 1) * M_size],
            y[p * PANEL :], y_size,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_panel(p, n_tiles, R, C, K, V, w, has_bias, bias, U, M, y, y_size):
    """The outputs of one panel; bias and y begin with it."""
    rows = block_rows(n_tiles)
    V_entry, M_entry = spread(rows * C), spread(rows * PANEL)
    check_room(len(M), M_entry)
    transform_panel(p, 0, C, R, C, K, w, U)
    for e in range(ENTRIES):
        multiply_entry(e, rows, C, V, V_entry, U, has_bias, bias, M, PANEL, M_entry)
    columns = min(PANEL, K - p * PANEL)
    write_outputs(0, n_tiles, tile_of(R), columns, M, PANEL, M_entry, y, y_size)
