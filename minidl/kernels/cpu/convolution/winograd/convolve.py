"""Pictures convolved by Winograd's algorithm, all steps of it: V, U, M and the outputs.

V, U and M lie entry by entry, [e][tile][channel] for V and M, [e][c][column] for a *panel* of U, a
few output channels (vector/matrix_product.py). From one entry to the next it is an odd number of
cache lines: at a distance of 4096 bytes, the 36 entries of a tile would all want the same few
places of the cache. How the work is divided depends on what there is more of:

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

from minidl.kernels.cpu.convolution.winograd.tiles import (
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
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.matrix_product import PANEL, block_rows, multiply_panel
from minidl.kernels.cpu.vector.transpose import transpose_backwards
from minidl.kernels.memory import scratch

BLOCK_BYTES = 2**18  # of V and M of a block of tiles
SMALLEST_BLOCK = 48  # tiles; a block reads all of U, which must be worth it
PANEL_BYTES = 2**23  # of V at most, where threads take panels: each of them reads all of it
PICTURE_PARTS = 8  # into which the tiles are divided while they are transformed


def taps_of(w):
    """Weights (K, C, R, S) as (R, S, C, K) in memory, where they usually lie so."""
    return np.ascontiguousarray(w.transpose(2, 3, 1, 0))


def turned(taps):
    """The kernels by half a turn, with input and output channels exchanged: (R, S, K, C)."""
    R, S, C, K = taps.shape
    y = np.empty((R, S, K, C), np.float32)
    transpose_backwards(taps.reshape(R * S, C, K), y.reshape(R * S, K, C))
    return y


def convolve_group(x, mask, w, b, least, y, padding, g):
    """Group g of y from x, both channels last, and its weights, (R, S, C, K) in memory.

    Args:
        mask: as x, which counts only where this is not 0; None if all of it does.
        least: what y is at least.
    """
    (N, OH, OW, _), (R, _, C, K) = y.shape, w.shape
    n_tiles = count_tiles(N, OH, OW, tile_of(R))
    has_bias = b is not None
    bias = np.ascontiguousarray(b) if has_bias else np.empty(0, np.float32)
    flat_x, flat_y = x.reshape(-1)[g * C :], y.reshape(-1)[g * K :]
    flat_mask = flat_x if mask is None else mask.reshape(-1)[g * C :]
    source = flat_x, mask is not None, flat_mask, x.shape[1:], padding
    target = has_bias, bias, np.float32(least), flat_y, y.shape[1:]
    if n_tiles < K and 4 * ENTRIES * n_tiles * C <= PANEL_BYTES:
        convolve_by_panels(n_tiles, R, C, K, source, w.reshape(-1), target)
    else:
        convolve_by_tiles(n_tiles, R, C, K, source, w.reshape(-1), target)


# A source is (x, is_masked, mask, x_size, padding), as transform_picture takes them; a target is
# (has_bias, bias, least, y, y_size). A parallel loop takes no tuple in a tuple: taken apart before
# it, they are put together in it.


def convolve_by_tiles(n_tiles, R, C, K, source, w, target):
    bounds = bounds_of(n_tiles, max(SMALLEST_BLOCK, BLOCK_BYTES // (4 * ENTRIES * (C + K))))
    rows = max((block_rows(size) for size in set(np.diff(bounds).tolist())), default=0)
    V_size, M_size = ENTRIES * spread(rows * C), ENTRIES * spread(rows * panels(K) * PANEL)
    U_size, threads = panels(K) * ENTRIES * spread(C * PANEL), get_num_threads()
    with scratch(U_size, threads * V_size, threads * M_size) as (U, V, M):
        transform_weights(bounds_of(C, max(8, 2**14 // K)), R, C, K, w, U)
        convolve_blocks(bounds, R, C, K, source, U, V, V_size, M, M_size, target)


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
def convolve_blocks(bounds, R, C, K, source, U, V, V_size, M, M_size, target):
    """Block by block of tiles, each thread with a part of V and M for itself."""
    x, is_masked, mask, x_size, padding = source
    has_bias, bias, least, y, y_size = target
    for block in prange(len(bounds) - 1):
        mine = get_thread_id()
        convolve_block(
            bounds[block], bounds[block + 1], R, C, K, (x, is_masked, mask, x_size, padding), U,
            V[mine * V_size : (mine + 1) * V_size], M[mine * M_size : (mine + 1) * M_size],
            (has_bias, bias, least, y, y_size),
        )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_block(first, end, R, C, K, source, U, V, M, target):
    has_bias, bias, least, y, y_size = target
    rows, row = block_rows(end - first), panels(K) * PANEL
    V_entry, M_entry, U_panel = spread(rows * C), spread(rows * row), ENTRIES * spread(C * PANEL)
    check_room(len(V), V_entry)
    check_room(len(M), M_entry)
    transform_picture(first, end, tile_of(R), C, *source, y_size, V, C, V_entry)
    for e in range(ENTRIES):
        for p in range(panels(K)):
            multiply_entry(
                e, rows, C, V, V_entry, U[p * U_panel : (p + 1) * U_panel], has_bias,
                bias[p * PANEL :], M[p * PANEL :], row, M_entry,
            )  # fmt: skip
    write_outputs(first, end, tile_of(R), K, M, row, M_entry, least, y, y_size)


@njit(nogil=True, cache=True)
def multiply_entry(e, rows, C, V, V_entry, U, has_bias, bias, M, M_row, M_entry):
    """Entry e of one panel of M; U, bias and M begin with the panel."""
    # Entry 7 feeds every output with weight 1, so adding the bias there adds it everywhere.
    add = 1 if has_bias and e == 7 else 0
    if add:
        for row in range(rows):
            for k in range(min(PANEL, len(bias))):
                M[e * M_entry + row * M_row + k] = bias[k]
    multiply_panel(
        rows, C, V, e * V_entry, C, 1, U, e * spread(C * PANEL), PANEL, M, e * M_entry, M_row, add
    )


def convolve_by_panels(n_tiles, R, C, K, source, w, target):
    rows, threads = block_rows(n_tiles), get_num_threads()
    V_size, M_size = ENTRIES * spread(rows * C), ENTRIES * spread(rows * PANEL)
    U_size = ENTRIES * spread(C * PANEL)
    with scratch(V_size, threads * U_size, threads * M_size) as (V, U, M):
        convolve_panels(n_tiles, R, C, K, source, w, V, U, U_size, M, M_size, target)


@njit(parallel=True, cache=True)
def convolve_panels(n_tiles, R, C, K, source, w, V, U, U_size, M, M_size, target):
    """First all of V, then panel by panel, each thread with a part of U and M for itself."""
    x, is_masked, mask, x_size, padding = source
    has_bias, bias, least, y, y_size = target
    V_entry = spread(block_rows(n_tiles) * C)
    check_room(len(V), V_entry)
    for part in prange(PICTURE_PARTS):
        first, end = n_tiles * part // PICTURE_PARTS, n_tiles * (part + 1) // PICTURE_PARTS
        transform_picture(
            first, end, tile_of(R), C, x, is_masked, mask, x_size, padding, y_size,
            V[first * C :], C, V_entry,
        )  # fmt: skip
    for p in prange(panels(K)):
        mine = get_thread_id()
        convolve_panel(
            p, n_tiles, R, C, K, V, w,
            U[mine * U_size : (mine + 1) * U_size], M[mine * M_size : (mine + 1) * M_size],
            (has_bias, bias[p * PANEL :], least, y[p * PANEL :], y_size),
        )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_panel(p, n_tiles, R, C, K, V, w, U, M, target):
    """The outputs of one panel; bias and y begin with it."""
    has_bias, bias, least, y, y_size = target
    rows = block_rows(n_tiles)
    V_entry, M_entry = spread(rows * C), spread(rows * PANEL)
    check_room(len(M), M_entry)
    transform_panel(p, 0, C, R, C, K, w, U)
    for e in range(ENTRIES):
        multiply_entry(e, rows, C, V, V_entry, U, has_bias, bias, M, PANEL, M_entry)
    columns = min(PANEL, K - p * PANEL)
    write_outputs(0, n_tiles, tile_of(R), columns, M, PANEL, M_entry, least, y, y_size)
