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

x and y are flat here, and views say where their pixels lie (views.py): groups, whose channels are a
part of each pixel, come one after the other, and the views of one picture are summed up together.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels.cpu.convolution.winograd.tiles import (
    bounds_of,
    check_room,
    count_tiles,
    entries_of,
    panels,
    reads_of,
    spread,
    tile_of,
    transform_pictures,
    transform_weight,
    write_outputs,
)
from minidl.kernels.cpu.convolution.winograd.views import COLUMNS, ROWS, view_of
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


def convolve_group(x, w, b, y, padding, g):
    """Group g of y from x, both channels last, and its weights, (R, S, C, K) in memory."""
    _, _, C, K = w.shape
    convolve(x, view_of(x, g * C, padding), w, b, y, view_of(y, g * K)[0])


def convolve(x, views, w, b, y, y_view):
    """y from some views of x, of which each has its part of the channels of w, (R, S, C, K)."""
    (R, _, C, K), has_bias = w.shape, b is not None
    n_tiles = count_tiles(len(y), y_view[ROWS], y_view[COLUMNS], tile_of(R))
    bias = np.ascontiguousarray(b) if has_bias else np.empty(0, np.float32)
    flat = x.reshape(-1), y.reshape(-1), w.reshape(-1), bias
    if n_tiles < K and 4 * entries_of(R) * n_tiles * C <= PANEL_BYTES:
        convolve_by_panels(*flat, n_tiles, R, C, K, views, y_view, has_bias)
    else:
        convolve_by_tiles(*flat, n_tiles, R, C, K, views, y_view, has_bias)


def convolve_by_tiles(x, y, w, bias, n_tiles, R, C, K, views, y_view, has_bias):
    entries = entries_of(R)
    bounds = bounds_of(n_tiles, max(SMALLEST_BLOCK, BLOCK_BYTES // (4 * entries * (C + K))))
    rows = max((block_rows(size) for size in set(np.diff(bounds).tolist())), default=0)
    V_size, M_size = entries * spread(rows * C), entries * spread(rows * panels(K) * PANEL)
    U_size, threads = panels(K) * entries * spread(C * PANEL), get_num_threads()
    with scratch(U_size, threads * V_size, threads * M_size) as (U, V, M):
        transform_weights(bounds_of(C, max(8, 2**14 // K)), R, C, K, w, U)
        convolve_blocks(
            bounds, R, C, K, x, views, U, has_bias, bias, V, V_size, M, M_size, y, y_view
        )


@njit(parallel=True, cache=True)
def transform_weights(bounds, R, C, K, w, U):
    """U = G g G^T of weights (R, S, C, K), panel behind panel."""
    size = entries_of(R) * spread(C * PANEL)
    for block in prange(len(bounds) - 1):
        for p in range(panels(K)):
            U_panel = U[p * size : (p + 1) * size]
            transform_panel(p, bounds[block], bounds[block + 1], R, C, K, w, U_panel)


@njit(nogil=True, cache=True)
def transform_panel(p, first, end, R, C, K, w, U):
    """Of some channels and the output channels of one panel."""
    check_room(len(U), R, spread(C * PANEL))
    for k in range(p * PANEL, min(K, (p + 1) * PANEL), WIDTH):
        for c in range(first, end):
            target = c * PANEL + k % PANEL
            transform_weight(R, w, c * K + k, C * K, U, target, spread(C * PANEL))


@njit(parallel=True, cache=True)
def convolve_blocks(bounds, R, C, K, x, views, U, has_bias, bias, V, V_size, M, M_size, y, y_view):
    """Block by block of tiles, each thread with a part of V and M for itself."""
    for block in prange(len(bounds) - 1):
        mine = get_thread_id()
        convolve_block(
            bounds[block], bounds[block + 1], R, C, K, x, views, U, has_bias, bias,
            V[mine * V_size : (mine + 1) * V_size], M[mine * M_size : (mine + 1) * M_size],
            y, y_view,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_block(first, end, R, C, K, x, views, U, has_bias, bias, V, M, y, y_view):
    rows, row = block_rows(end - first), panels(K) * PANEL
    V_entry, M_entry, U_panel = (
        spread(rows * C),
        spread(rows * row),
        entries_of(R) * spread(C * PANEL),
    )
    check_room(len(V), R, V_entry)
    check_room(len(M), R, M_entry)
    transform_pictures(first, end, R, C // len(views), x, views, y_view, V, C, V_entry)
    for e in range(entries_of(R)):
        for p in range(panels(K)):
            multiply_entry(
                e, R, rows, C, V, V_entry, U[p * U_panel : (p + 1) * U_panel], has_bias,
                bias[p * PANEL :], M[p * PANEL :], row, M_entry,
            )  # fmt: skip
    write_outputs(first, end, R, K, M, row, M_entry, y, y_view)


@njit(nogil=True, cache=True)
def multiply_entry(e, R, rows, C, V, V_entry, U, has_bias, bias, M, M_row, M_entry):
    """Entry e of one panel of M; U, bias and M begin with the panel."""
    # The entry of t = 1 in both directions feeds every output with weight 1, so adding the bias
    # there adds it everywhere.
    add = 1 if has_bias and e == reads_of(R) + 1 else 0
    if add:
        for row in range(rows):
            for k in range(min(PANEL, len(bias))):
                M[e * M_entry + row * M_row + k] = bias[k]
    multiply_panel(
        rows, C, V, e * V_entry, C, 1, U, e * spread(C * PANEL), PANEL, M, e * M_entry, M_row, add
    )


def convolve_by_panels(x, y, w, bias, n_tiles, R, C, K, views, y_view, has_bias):
    rows, threads = block_rows(n_tiles), get_num_threads()
    V_size, M_size = entries_of(R) * spread(rows * C), entries_of(R) * spread(rows * PANEL)
    U_size = entries_of(R) * spread(C * PANEL)
    with scratch(V_size, threads * U_size, threads * M_size) as (V, U, M):
        convolve_panels(
            n_tiles, R, C, K, x, views, w, has_bias, bias, V, U, U_size, M, M_size,
            y, y_view,
        )  # fmt: skip


@njit(parallel=True, cache=True)
def convolve_panels(
    n_tiles, R, C, K, x, views, w, has_bias, bias, V, U, U_size, M, M_size, y, y_view
):
    """First all of V, then panel by panel, each thread with a part of U and M for itself."""
    V_entry = spread(block_rows(n_tiles) * C)
    check_room(len(V), R, V_entry)
    for part in prange(PICTURE_PARTS):
        first, end = n_tiles * part // PICTURE_PARTS, n_tiles * (part + 1) // PICTURE_PARTS
        transform_pictures(
            first, end, R, C // len(views), x, views, y_view, V[first * C :], C, V_entry
        )
    for p in prange(panels(K)):
        mine = get_thread_id()
        convolve_panel(
            p, n_tiles, R, C, K, V, w, has_bias, bias[p * PANEL :],
            U[mine * U_size : (mine + 1) * U_size], M[mine * M_size : (mine + 1) * M_size],
            y[p * PANEL :], y_view,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_panel(p, n_tiles, R, C, K, V, w, has_bias, bias, U, M, y, y_view):
    """The outputs of one panel; bias and y begin with it."""
    rows = block_rows(n_tiles)
    V_entry, M_entry = spread(rows * C), spread(rows * PANEL)
    check_room(len(M), R, M_entry)
    transform_panel(p, 0, C, R, C, K, w, U)
    for e in range(entries_of(R)):
        multiply_entry(e, R, rows, C, V, V_entry, U, has_bias, bias, M, PANEL, M_entry)
    columns = min(PANEL, K - p * PANEL)
    write_outputs(0, n_tiles, R, columns, M, PANEL, M_entry, y, y_view)
