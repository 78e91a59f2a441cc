"""Pictures convolved by Winograd's algorithm, all steps of it: V, U, M and the outputs.

V, U and M lie entry by entry, [e][tile][channel] for V and M, [e][c][column] for a *panel* of U, a
few output channels (vector/matrix_product.py). From one entry to the next it is an odd number of
cache lines: at a distance of 4096 bytes, the 36 entries of a tile would all want the same few
places of the cache. How the work is divided depends on what there is more of:

- tiles, in the first layers: the weights are transformed first; then a thread takes a block of
  tiles from pictures to outputs. Of few channels V and M of a block stay in the cache. Of many they
  would not, and each block reads all of U: then blocks are large.
- weights, in the last layers: the pictures are transformed first; then a thread takes one or two
  panels of output channels, for all tiles, from weights to outputs. So U, four times as large as
  the weights, is never in memory as a whole: what some channels add is transformed, multiplied and
  forgotten while it is in the cache, where M stays.

For the gradient of a picture the kernels are turned, and their input and output channels exchanged:
that is done in registers, square by square, on the way to U.

x and y are flat here, and views say where their pixels lie (views.py): groups, whose channels are a
part of each pixel, come one after the other; the views of one picture are summed up together; and
several parts of y, each with views and weights of its own, are computed side by side. Weights are
read where they lie as well, in the order (tap, C, K).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels.cpu.convolution.winograd.plan import blocks_of, counts_of, panels_of
from minidl.kernels.cpu.convolution.winograd.tiles import (
    check_room,
    entries_of,
    panels,
    reads_of,
    spread,
    transform_pictures,
    transform_weight,
    write_outputs,
)
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.matrix_product import LARGE, PANEL, block_rows, multiply_panel
from minidl.kernels.cpu.vector.moves import transpose_block
from minidl.kernels.memory import scratch

# V and M of a block of tiles have BLOCK_BYTES, which stay in the cache. Where that is less than
# FEWEST_TILES, a block has MANY_TILES.
BLOCK_BYTES = 9 * 2**17
FEWEST_TILES = 2 * LARGE
MANY_TILES = 256
CHANNELS = 64  # whose products with a panel are computed at a time, where threads take panels
PAIR_TILES = 128  # at most, where a thread takes two panels
PANEL_BYTES = 2**23  # of V at most, where threads take panels: each of them reads all of it
PICTURE_PARTS = 8  # into which the tiles are divided while they are transformed


class Taps(NamedTuple):
    """Weights in memory.

    Args:
        w: flat.
        starts: (parts, views of one part), where the first tap of a view's channels begins.
        row, column: numbers from one tap to the next, down and across; in a tap lie (C, K).
        R, C, K: taps in each direction, channels of all views of a part, and outputs.
    """

    w: np.ndarray
    starts: np.ndarray
    row: int
    column: int
    R: int
    C: int
    K: int


def taps_of(w):
    """Weights (K, C, R, S) as (R, S, C, K) in memory, where they usually lie so."""
    return np.ascontiguousarray(w.transpose(2, 3, 1, 0))


def all_taps(w):
    """Weights (K, C, R, S) of a part with one view."""
    K, C, R, S = w.shape
    return Taps(taps_of(w).reshape(-1), np.zeros((1, 1), np.int64), S * C * K, C * K, R, C, K)


def convolve_views(
    x, views, taps, y, y_views, *, b=None, least=-np.inf, slope=1.0, mask=None, is_turned=False
):
    """Some views of y, each a part with its own views of x and weights.

    Args:
        x, y: channels last.
        views: (parts, views of one part, 8), views.py. Each has its share of the channels of w.
        taps: weights of all parts.
        y_views: (parts, 8).
        b: (K,) or None.
        least: what y is at least.
        slope: of y where it is below 0, before that.
        mask: as x, which counts only where this is not 0; None if all of it does.
        is_turned: the kernels are turned by half a turn, and their input and output channels
            exchanged: what taps calls C and K are those of y and x.
    """
    w, starts, row, column, R, C, K = taps
    if is_turned:
        C, K = K, C
    counts = counts_of(len(y), R, y_views.tobytes())
    bias = np.empty(0, np.float32) if b is None else np.ascontiguousarray(b)
    source = x.reshape(-1), mask is not None, (x if mask is None else mask).reshape(-1), views
    target = b is not None, bias, np.float32(least), np.float32(slope), y.reshape(-1), y_views
    weights = w, starts, row, column, is_turned
    most = max(counts)
    if most < K and 4 * entries_of(R) * most * C <= PANEL_BYTES:
        convolve_by_panels(counts, R, C, K, source, weights, target)
    else:
        convolve_by_tiles(counts, R, C, K, source, weights, target)


# A source is (x, is_masked, mask, views), as transform_pictures takes them; a target is (has_bias,
# bias, least, slope, y, y_view); weights are (w, starts, row, column, is_turned). A parallel loop
# takes no tuple in a tuple: taken apart before it, they are put together in it, with those of a
# part.


def convolve_by_tiles(counts, R, C, K, source, weights, target):
    threads = get_num_threads()
    share = max(FEWEST_TILES, -(-sum(counts) // threads))
    plan = blocks_of(counts, R, C, K, min(tiles_at_once(R, C, K), share))
    with scratch(plan.U_size, threads * plan.V_size, threads * plan.M_size) as (U, V, M):
        transform_weights(plan.channels, R, C, K, *weights, U)
        convolve_blocks(
            plan.blocks, R, C, K, source, U, V, plan.V_size, M, plan.M_size, target
        )  # fmt: skip


def tiles_at_once(R, C, K):
    """How many tiles a block has: as many as leave V and M in the cache, in blocks of rows; if
    they are few, so many that what is read of U for each is less than V and M."""
    few = BLOCK_BYTES // (4 * entries_of(R) * (C + K)) // LARGE * LARGE
    return few if few >= FEWEST_TILES else MANY_TILES


@njit(parallel=True, cache=True)
def transform_weights(bounds, R, C, K, w, starts, row, column, is_turned, U):
    """U = G g G^T of the weights of all parts, panel behind panel."""
    entry, blocks = spread(C * PANEL), len(bounds) - 1
    size = entries_of(R) * entry
    for task in prange(len(starts) * blocks):
        part, first, end = task // blocks, bounds[task % blocks], bounds[task % blocks + 1]
        for p in range(panels(K)):
            start = (part * panels(K) + p) * size
            U_panel = U[start : start + size]
            check_room(len(U_panel), R, entry)
            transform_panel(
                p, first, end, R, C, K, (w, starts[part], row, column, is_turned),
                U_panel[first * PANEL :], entry,
            )  # fmt: skip


@njit(nogil=True, cache=True)
def transform_panel(p, first, end, R, C, K, weights, U, entry):
    """Of some channels and the output channels of one panel; U begins with the first."""
    w, starts, row, column, is_turned = weights
    of_view = C // len(starts)
    square = np.empty(R * R * WIDTH * WIDTH if is_turned else 0, np.float32)
    for k in range(p * PANEL, min(K, (p + 1) * PANEL), WIDTH):
        for c in range(first, end):
            target = (c - first) * PANEL + k % PANEL
            start, c_in_view = starts[c // of_view], c % of_view
            if not is_turned:
                transform_weight(R, w, start + c_in_view * K + k, row, column, U, target, entry)
                continue
            i = (c - first) % WIDTH
            if i == 0:
                turn_square(R, w, start + k * of_view + c_in_view, row, column, of_view, square)
            transform_weight(
                R, square, i * WIDTH, R * WIDTH * WIDTH, WIDTH * WIDTH, U, target, entry
            )


@njit(nogil=True, cache=True)
def turn_square(R, w, start, row, column, C, square):
    """WIDTH channels and WIDTH output channels of weights (K, C) in a tap, turned, as (C, K)."""
    for i in range(R):
        for j in range(R):
            source = start + (R - 1 - i) * row + (R - 1 - j) * column
            transpose_block(w, source, C, square, (i * R + j) * WIDTH * WIDTH, WIDTH)


@njit(parallel=True, cache=True)
def convolve_blocks(blocks, R, C, K, source, U, V, V_size, M, M_size, target):
    """Block by block of tiles, each thread with a part of V and M for itself."""
    x, is_masked, mask, views = source
    has_bias, bias, least, slope, y, y_views = target
    U_size = panels(K) * entries_of(R) * spread(C * PANEL)
    for block in prange(len(blocks)):
        mine, part = get_thread_id(), blocks[block, 0]
        convolve_block(
            blocks[block, 1], blocks[block, 2], R, C, K, (x, is_masked, mask, views[part]),
            U[part * U_size : (part + 1) * U_size],
            V[mine * V_size : (mine + 1) * V_size], M[mine * M_size : (mine + 1) * M_size],
            (has_bias, bias, least, slope, y, y_views[part]),
        )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_block(first, end, R, C, K, source, U, V, M, target):
    has_bias, bias, least, slope, y, y_view = target
    rows, row, entries = block_rows(end - first), panels(K) * PANEL, entries_of(R)
    V_entry, M_entry, U_entry = spread(rows * C), spread(rows * row), spread(C * PANEL)
    check_room(len(V), R, V_entry)
    check_room(len(M), R, M_entry)
    transform_pictures(first, end, R, C, 0, C, source, y_view, V, C, V_entry)
    for e in range(entries):
        for p in range(panels(K)):
            multiply_entry(
                e, R, rows, C, V, C, V_entry, U[p * entries * U_entry :], U_entry, has_bias,
                bias[p * PANEL :], M[p * PANEL :], row, M_entry, False,
            )  # fmt: skip
    write_outputs(first, end, R, K, M, row, M_entry, least, slope, y, y_view)


@njit(nogil=True, cache=True)
def multiply_entry(
    e, R, rows, C, V, V_row, V_entry, U, U_entry, has_bias, bias, M, M_row, M_entry, is_going_on
):
    """Entry e of one panel of M, or what some more channels add to it; U, bias and M begin with the
    panel."""
    # The entry of t = 1 in both directions feeds every output with weight 1, so adding the bias
    # there adds it everywhere.
    is_biased = has_bias and e == reads_of(R) + 1
    if is_biased and not is_going_on:
        for row in range(rows):
            for k in range(min(PANEL, len(bias))):
                M[e * M_entry + row * M_row + k] = bias[k]
    add = 1 if is_biased or is_going_on else 0
    multiply_panel(
        rows, C, V, e * V_entry, V_row, 1, U, e * U_entry, PANEL, M, e * M_entry, M_row, add
    )


def convolve_by_panels(counts, R, C, K, source, weights, target):
    parts, threads, step = len(counts), get_num_threads(), min(C, CHANNELS)
    at_once = 2 if parts * panels(K) >= 4 * threads and max(counts) <= PAIR_TILES else 1
    plan = panels_of(counts, R, C, step, at_once)
    with scratch(parts * plan.V_size, threads * plan.U_size, threads * plan.M_size) as (V, U, M):
        convolve_panels(
            plan.counts, R, C, K, step, at_once, source, *weights, V, plan.V_entry,
            U, plan.U_size, M, plan.M_size, target,
        )  # fmt: skip


@njit(parallel=True, cache=True)
def convolve_panels(
    counts, R, C, K, step, at_once, source, w, starts, row, column, is_turned, V, V_entry,
    U, U_size, M, M_size, target,
):  # fmt: skip
    """First all of V, then a few panels at once, each thread with a part of U and M for itself."""
    x, is_masked, mask, views = source
    has_bias, bias, least, slope, y, y_views = target
    block = entries_of(R) * V_entry  # of V: `step` channels of a part
    V_size = (C + step - 1) // step * block
    check_room(len(V), R, len(counts) * V_size // entries_of(R))
    for task in prange(len(counts) * PICTURE_PARTS):
        part, piece = task // PICTURE_PARTS, task % PICTURE_PARTS
        first = counts[part] * piece // PICTURE_PARTS
        end = counts[part] * (piece + 1) // PICTURE_PARTS
        for c in range(0, C, step):
            start = part * V_size + c // step * block + first * step
            transform_pictures(
                first, end, R, C, c, min(step, C - c), (x, is_masked, mask, views[part]),
                y_views[part], V[start:], step, V_entry,
            )  # fmt: skip
    groups = (panels(K) + at_once - 1) // at_once
    for task in prange(len(counts) * groups):
        mine, part, p = get_thread_id(), task // groups, task % groups * at_once
        k = p * PANEL
        convolve_some_panels(
            p, min(panels(K), p + at_once), counts[part], R, C, K, step,
            V[part * V_size : (part + 1) * V_size], V_entry,
            (w, starts[part], row, column, is_turned),
            U[mine * U_size : (mine + 1) * U_size], M[mine * M_size : (mine + 1) * M_size],
            (has_bias, bias[k:], least, slope, y[k:], y_views[part]),
        )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_some_panels(first, end, n_tiles, R, C, K, step, V, V_entry, weights, U, M, target):
    """The outputs of some panels, from `step` channels at a time; bias and y begin with them."""
    has_bias, bias, least, slope, y, y_view = target
    rows, M_row, entries = block_rows(n_tiles), (end - first) * PANEL, entries_of(R)
    M_entry, U_entry = spread(rows * M_row), spread(step * PANEL)
    check_room(len(M), R, M_entry)
    check_room(len(U), R, (end - first) * U_entry)
    for c in range(0, C, step):
        channels, V_here = min(step, C - c), V[c // step * entries * V_entry :]
        for p in range(end - first):
            U_panel = U[p * entries * U_entry :]
            transform_panel(first + p, c, c + channels, R, C, K, weights, U_panel, U_entry)
        for e in range(entries):
            for p in range(end - first):
                multiply_entry(
                    e, R, rows, channels, V_here, step, V_entry, U[p * entries * U_entry :],
                    U_entry, has_bias, bias[p * PANEL :], M[p * PANEL :], M_row, M_entry, c > 0,
                )  # fmt: skip
    columns = min(M_row, K - first * PANEL)
    write_outputs(0, n_tiles, R, columns, M, M_row, M_entry, least, slope, y, y_view)
