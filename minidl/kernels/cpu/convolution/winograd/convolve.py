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
from minidl.kernels.cpu.vector.matrix_product import LARGE, PANEL, block_rows, multiply_panel
from minidl.kernels.cpu.vector.moves import transpose_block
from minidl.kernels.memory import scratch

BLOCK_BYTES = 9 * 2**17  # of V and M of a block of tiles, if that is
FEWEST_TILES = 2 * LARGE  # at least; else it has
MANY_TILES = 256
CHANNELS = 64  # whose products with a panel are computed at a time, where threads take panels
PAIR_TILES = 128  # at most, where a thread takes two of them
PANEL_BYTES = 2**23  # of V at most, where threads take panels: each of them reads all of it
PICTURE_PARTS = 8  # into which the tiles are divided while they are transformed


def taps_of(w):
    """Weights (K, C, R, S) as (R, S, C, K) in memory, where they usually lie so."""
    return np.ascontiguousarray(w.transpose(2, 3, 1, 0))


def convolve_group(x, mask, w, is_turned, b, least, y, padding, g):
    """Group g of y from x, both channels last, and its weights, (R, S, C, K) in memory.

    Args:
        mask: as x, which counts only where this is not 0; None if all of it does.
        is_turned: the kernels are turned by half a turn, and their input and output channels
            exchanged: the weights are (R, S, K, C).
        least: what y is at least.
    """
    (N, OH, OW, _), (R, _, C, K) = y.shape, w.shape
    if is_turned:
        C, K = K, C
    n_tiles = count_tiles(N, OH, OW, tile_of(R))
    has_bias = b is not None
    bias = np.ascontiguousarray(b) if has_bias else np.empty(0, np.float32)
    flat_x, flat_y = x.reshape(-1)[g * C :], y.reshape(-1)[g * K :]
    flat_mask = flat_x if mask is None else mask.reshape(-1)[g * C :]
    source = flat_x, mask is not None, flat_mask, x.shape[1:], padding
    target = has_bias, bias, np.float32(least), flat_y, y.shape[1:]
    weights = w.reshape(-1), is_turned
    if n_tiles < K and 4 * ENTRIES * n_tiles * C <= PANEL_BYTES:
        convolve_by_panels(n_tiles, R, C, K, source, weights, target)
    else:
        convolve_by_tiles(n_tiles, R, C, K, source, weights, target)


# A source is (x, is_masked, mask, x_size, padding), as transform_picture takes them; a target is
# (has_bias, bias, least, y, y_size). A parallel loop takes no tuple in a tuple: taken apart before
# it, they are put together in it.


def convolve_by_tiles(n_tiles, R, C, K, source, weights, target):
    bounds = bounds_of(n_tiles, tiles_at_once(C, K))
    rows = max((block_rows(size) for size in set(np.diff(bounds).tolist())), default=0)
    V_size, M_size = ENTRIES * spread(rows * C), ENTRIES * spread(rows * panels(K) * PANEL)
    U_size, threads = panels(K) * ENTRIES * spread(C * PANEL), get_num_threads()
    with scratch(U_size, threads * V_size, threads * M_size) as (U, V, M):
        transform_weights(
            WIDTH * bounds_of(C // WIDTH, max(1, 2**14 // K // WIDTH)), R, C, K, *weights, U
        )
        convolve_blocks(bounds, R, C, K, source, U, V, V_size, M, M_size, target)


def tiles_at_once(C, K):
    """How many tiles a block has: as many as leave V and M in the cache, in blocks of rows; if
    they are few, so many that what is read of U for each is less than V and M."""
    few = BLOCK_BYTES // (4 * ENTRIES * (C + K)) // LARGE * LARGE
    return few if few >= FEWEST_TILES else MANY_TILES


@njit(parallel=True, cache=True)
def transform_weights(bounds, R, C, K, w, is_turned, U):
    """U = G g G^T of weights (R, S, C, K), panel behind panel."""
    entry = spread(C * PANEL)
    for block in prange(len(bounds) - 1):
        for p in range(panels(K)):
            first, end = bounds[block], bounds[block + 1]
            U_panel = U[p * ENTRIES * entry : (p + 1) * ENTRIES * entry]
            check_room(len(U_panel), entry)
            transform_panel(p, first, end, R, C, K, w, is_turned, U_panel[first * PANEL :], entry)


@njit(nogil=True, cache=True)
def transform_panel(p, first, end, R, C, K, w, is_turned, U, entry):
    """Of some channels and the output channels of one panel; U begins with the first."""
    square = np.empty(R * R * WIDTH * WIDTH if is_turned else 0, np.float32)
    for k in range(p * PANEL, min(K, (p + 1) * PANEL), WIDTH):
        for c in range(first, end):
            target = (c - first) * PANEL + k % PANEL
            if not is_turned:
                transform_weight(R, w, c * K + k, C * K, U, target, entry)
                continue
            i = (c - first) % WIDTH
            if i == 0:
                turn_square(R, C, K, w, c, k, square)
            transform_weight(R, square, i * WIDTH, WIDTH * WIDTH, U, target, entry)


@njit(nogil=True, cache=True)
def turn_square(R, C, K, w, c, k, square):
    """WIDTH channels and WIDTH output channels of weights (R, S, K, C), turned, as (R, S, C, K)."""
    for tap in range(R * R):
        source = ((R * R - 1 - tap) * K + k) * C + c
        transpose_block(w, source, C, square, tap * WIDTH * WIDTH, WIDTH)


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
    V_entry, M_entry, U_entry = spread(rows * C), spread(rows * row), spread(C * PANEL)
    check_room(len(V), V_entry)
    check_room(len(M), M_entry)
    transform_picture(first, end, tile_of(R), C, *source, y_size, V, C, V_entry)
    for e in range(ENTRIES):
        for p in range(panels(K)):
            multiply_entry(
                e, rows, C, V, C, V_entry, U[p * ENTRIES * U_entry :], U_entry, has_bias,
                bias[p * PANEL :], M[p * PANEL :], row, M_entry, False,
            )  # fmt: skip
    write_outputs(first, end, tile_of(R), K, M, row, M_entry, least, y, y_size)


@njit(nogil=True, cache=True)
def multiply_entry(
    e, rows, C, V, V_row, V_entry, U, U_entry, has_bias, bias, M, M_row, M_entry, is_going_on
):
    """Entry e of one panel of M, or what some more channels add to it; U, bias and M begin with the
    panel."""
    # Entry 7 feeds every output with weight 1, so adding the bias there adds it everywhere.
    if has_bias and e == 7 and not is_going_on:
        for row in range(rows):
            for k in range(min(PANEL, len(bias))):
                M[e * M_entry + row * M_row + k] = bias[k]
    add = 1 if is_going_on or (has_bias and e == 7) else 0
    multiply_panel(
        rows, C, V, e * V_entry, V_row, 1, U, e * U_entry, PANEL, M, e * M_entry, M_row, add
    )


def convolve_by_panels(n_tiles, R, C, K, source, weights, target):
    rows, threads, step = block_rows(n_tiles), get_num_threads(), min(C, CHANNELS)
    V_size = -(-C // step) * ENTRIES * spread(rows * step)
    at_once = 2 if panels(K) >= 4 * threads and n_tiles <= PAIR_TILES else 1
    M_size = ENTRIES * spread(rows * at_once * PANEL)
    U_size = at_once * ENTRIES * spread(step * PANEL)
    with scratch(V_size, threads * U_size, threads * M_size) as (V, U, M):
        convolve_panels(
            n_tiles, R, C, K, step, at_once, source, *weights, V, U, U_size, M, M_size, target
        )


@njit(parallel=True, cache=True)
def convolve_panels(
    n_tiles, R, C, K, step, at_once, source, w, is_turned, V, U, U_size, M, M_size, target
):
    """First all of V, then a few panels at once, each thread with a part of U and M for itself."""
    x, is_masked, mask, x_size, padding = source
    has_bias, bias, least, y, y_size = target
    V_entry = spread(block_rows(n_tiles) * step)
    check_room(len(V), (C + step - 1) // step * V_entry)
    for part in prange(PICTURE_PARTS):
        first, end = n_tiles * part // PICTURE_PARTS, n_tiles * (part + 1) // PICTURE_PARTS
        for c in range(0, C, step):
            transform_picture(
                first, end, tile_of(R), min(step, C - c), x[c:], is_masked, mask[c:], x_size,
                padding, y_size, V[c // step * ENTRIES * V_entry + first * step :], step, V_entry,
            )  # fmt: skip
    for group in prange((panels(K) + at_once - 1) // at_once):
        mine, k = get_thread_id(), group * at_once * PANEL
        convolve_some_panels(
            group * at_once, min(panels(K), (group + 1) * at_once), n_tiles, R, C, K, step,
            V, V_entry, w, is_turned,
            U[mine * U_size : (mine + 1) * U_size], M[mine * M_size : (mine + 1) * M_size],
            (has_bias, bias[k:], least, y[k:], y_size),
        )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_some_panels(
    first, end, n_tiles, R, C, K, step, V, V_entry, w, is_turned, U, M, target
):
    """The outputs of some panels, from `step` channels at a time; bias and y begin with them."""
    has_bias, bias, least, y, y_size = target
    rows, M_row = block_rows(n_tiles), (end - first) * PANEL
    M_entry, U_entry = spread(rows * M_row), spread(step * PANEL)
    check_room(len(M), M_entry)
    for c in range(0, C, step):
        channels, V_here = min(step, C - c), V[c // step * ENTRIES * V_entry :]
        for p in range(first, end):
            U_panel = U[(p - first) * ENTRIES * U_entry : (p - first + 1) * ENTRIES * U_entry]
            check_room(len(U_panel), U_entry)
            transform_panel(p, c, c + channels, R, C, K, w, is_turned, U_panel, U_entry)
        for e in range(ENTRIES):
            for p in range(first, end):
                here = (p - first) * PANEL
                multiply_entry(
                    e, rows, channels, V_here, step, V_entry,
                    U[(p - first) * ENTRIES * U_entry :], U_entry, has_bias, bias[here:],
                    M[here:], M_row, M_entry, c > 0,
                )  # fmt: skip
    columns = min(M_row, K - first * PANEL)
    write_outputs(0, n_tiles, tile_of(R), columns, M, M_row, M_entry, least, y, y_size)
