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
part of each pixel, come one after the other; the views of one picture are summed up together; and
several parts of y, each with views and weights of its own, are computed side by side.
"""

from __future__ import annotations

from itertools import pairwise

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
    convolve(x, view_of(x, g * C, padding)[None], w[None], b, y, view_of(y, g * K))


def convolve(x, views, w, b, y, y_views):
    """Some views of y, each a part with its own views of x and weights.

    Args:
        x, y: channels last.
        views: (parts, views of one part, 8), views.py. Each has its share of the channels of w.
        w: (parts, R, S, C, K) in memory.
        b: (K,) or None.
        y_views: (parts, 8).
    """
    (parts, R, _, C, K), has_bias = w.shape, b is not None
    counts = np.array([
        count_tiles(len(y), view[ROWS], view[COLUMNS], tile_of(R)) for view in y_views
    ])  # fmt: skip
    bias = np.ascontiguousarray(b) if has_bias else np.empty(0, np.float32)
    flat = x.reshape(-1), y.reshape(-1), w.reshape(parts, -1), bias
    most = int(counts.max())
    if most < K and 4 * entries_of(R) * most * C <= PANEL_BYTES:
        convolve_by_panels(*flat, counts, R, C, K, views, y_views, has_bias)
    else:
        convolve_by_tiles(*flat, counts, R, C, K, views, y_views, has_bias)


def convolve_by_tiles(x, y, w, bias, counts, R, C, K, views, y_views, has_bias):
    entries = entries_of(R)
    at_most = max(SMALLEST_BLOCK, BLOCK_BYTES // (4 * entries * (C + K)))
    blocks = [
        (part, first, end)
        for part, n_tiles in enumerate(counts)
        for first, end in pairwise(bounds_of(n_tiles, at_most))
    ]
    rows = max((block_rows(end - first) for _, first, end in blocks), default=0)
    V_size, M_size = entries * spread(rows * C), entries * spread(rows * panels(K) * PANEL)
    U_size, threads = panels(K) * entries * spread(C * PANEL), get_num_threads()
    with scratch(len(w) * U_size, threads * V_size, threads * M_size) as (U, V, M):
        transform_weights(bounds_of(C, max(8, 2**14 // K)), R, C, K, w, U, U_size)
        convolve_blocks(
            np.array(blocks).reshape(-1, 3), R, C, K, x, views, U, U_size, has_bias, bias,
            V, V_size, M, M_size, y, y_views,
        )  # fmt: skip


@njit(parallel=True, cache=True)
def transform_weights(bounds, R, C, K, w, U, U_size):
    """U = G g G^T of the weights (R, S, C, K) of all parts, panel behind panel."""
    size, blocks = entries_of(R) * spread(C * PANEL), len(bounds) - 1
    for task in prange(len(w) * blocks):
        part, block = task // blocks, task % blocks
        for p in range(panels(K)):
            start = part * U_size + p * size
            transform_panel(
                p, bounds[block], bounds[block + 1], R, C, K, w[part], U[start : start + size]
            )


@njit(nogil=True, cache=True)
def transform_panel(p, first, end, R, C, K, w, U):
    """Of some channels and the output channels of one panel."""
    check_room(len(U), R, spread(C * PANEL))
    for k in range(p * PANEL, min(K, (p + 1) * PANEL), WIDTH):
        for c in range(first, end):
            target = c * PANEL + k % PANEL
            transform_weight(R, w, c * K + k, C * K, U, target, spread(C * PANEL))


@njit(parallel=True, cache=True)
def convolve_blocks(
    blocks, R, C, K, x, views, U, U_size, has_bias, bias, V, V_size, M, M_size, y, y_views
):
    """Block by block of tiles, each thread with a part of V and M for itself."""
    for block in prange(len(blocks)):
        mine, part = get_thread_id(), blocks[block, 0]
        convolve_block(
            blocks[block, 1], blocks[block, 2], R, C, K, x, views[part],
            U[part * U_size : (part + 1) * U_size], has_bias, bias,
            V[mine * V_size : (mine + 1) * V_size], M[mine * M_size : (mine + 1) * M_size],
            y, y_views[part],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_block(first, end, R, C, K, x, views, U, has_bias, bias, V, M, y, y_view):
    rows, row, entries = block_rows(end - first), panels(K) * PANEL, entries_of(R)
    V_entry, M_entry, U_panel = spread(rows * C), spread(rows * row), entries * spread(C * PANEL)
    check_room(len(V), R, V_entry)
    check_room(len(M), R, M_entry)
    transform_pictures(first, end, R, C // len(views), x, views, y_view, V, C, V_entry)
    for e in range(entries):
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


def convolve_by_panels(x, y, w, bias, counts, R, C, K, views, y_views, has_bias):
    rows, threads, entries = block_rows(int(counts.max())), get_num_threads(), entries_of(R)
    V_size, M_size = entries * spread(rows * C), entries * spread(rows * PANEL)
    U_size = entries * spread(C * PANEL)
    with scratch(len(w) * V_size, threads * U_size, threads * M_size) as (V, U, M):
        convolve_panels(
            counts, R, C, K, x, views, w, has_bias, bias, V, V_size, U, U_size, M, M_size,
            y, y_views,
        )  # fmt: skip


@njit(parallel=True, cache=True)
def convolve_panels(
    counts, R, C, K, x, views, w, has_bias, bias, V, V_size, U, U_size, M, M_size, y, y_views
):
    """First all of V, then panel by panel, each thread with a part of U and M for itself."""
    for task in prange(len(w) * PICTURE_PARTS):
        part, piece = task // PICTURE_PARTS, task % PICTURE_PARTS
        n_tiles, V_part = counts[part], V[part * V_size : (part + 1) * V_size]
        first, end = n_tiles * piece // PICTURE_PARTS, n_tiles * (piece + 1) // PICTURE_PARTS
        V_entry = spread(block_rows(n_tiles) * C)
        check_room(len(V_part), R, V_entry)
        transform_pictures(
            first, end, R, C // views.shape[1], x, views[part], y_views[part],
            V_part[first * C :], C, V_entry,
        )  # fmt: skip
    for task in prange(len(w) * panels(K)):
        mine, part, p = get_thread_id(), task // panels(K), task % panels(K)
        convolve_panel(
            p, counts[part], R, C, K, V[part * V_size : (part + 1) * V_size], w[part],
            has_bias, bias[p * PANEL :],
            U[mine * U_size : (mine + 1) * U_size], M[mine * M_size : (mine + 1) * M_size],
            y[p * PANEL :], y_views[part],
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
