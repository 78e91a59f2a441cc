"""The gradient of the weights by Winograd's algorithm:

    gg = G^T [sum over tiles of (B^T d B) o (A gy A^T)] G

The entries of the sum over tiles are 36 matrix products, V[e]^T D[e] of V[e] (tiles, C) and D[e]
(tiles, K). How the work is divided depends on what there is more of:

- few channels: a few parts of the tiles have a sum each, by parts. To write and add these sums must
  take little time beside the products.
- many channels and few tiles: a thread takes a panel of output channels from D to gg, by panels. So
  the sum, four times as large as the weights, is never in memory as a whole.
- many of both: all threads add to one sum, each to some of its entries, by entries.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels.cpu.convolution.winograd.tiles import (
    bounds_of,
    check_room,
    clear_tile,
    copy_tile,
    count_tiles,
    entries_of,
    panels,
    prefetch_square,
    reads_of,
    spread,
    tile_of,
    tile_place,
    transform_pictures,
)
from minidl.kernels.cpu.convolution.winograd.transforms import (
    transform_kernel_gradients_2,
    transform_kernel_gradients_3,
    transform_kernel_gradients_5,
    transform_output_gradients_2,
    transform_output_gradients_4,
    transform_output_gradients_of_two,
)
from minidl.kernels.cpu.convolution.winograd.views import (
    COLUMNS,
    NEXT_PIXEL,
    NEXT_ROW,
    ROWS,
    pixel_at,
)
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.matrix_product import PANEL, block_rows, empty_into, sum_runs
from minidl.kernels.memory import scratch
from minidl.kernels.sums import PRODUCTS, RUN

SUMS_SIZE = 2**20  # numbers in a sum of products for which each part has one of its own
SUMS = 4  # how many such parts,
LEAST_TILES = 64  # of which each has so many at least, where there are panels for two threads
PART_BLOCK = 64  # tiles of a part at a time
MOST_TILES = RUN * PRODUCTS  # that are added in float32, PRODUCTS at a time (kernels/sums.py)
PANEL_BYTES = 2**23  # of V at most, where threads take panels: each of them reads all of it
SMALLEST_BLOCK = 48  # tiles, where all threads add to one sum
SHARED_BLOCK_BYTES = 2**24  # of V and D of such a block
TRANSFORM_PARTS = 8  # of tiles that all threads transform


def add_gradients(x, views, gy, gy_view, gw, starts, row, column, sizes):
    """The gradient of weights that lie like convolve.Taps: flat, each view's channels with a start.

    Args:
        gw: its last axis is that of the output channels, all groups' of them.
        sizes: R taps, C channels of all views, and K output channels.
    """
    R, C, K = sizes
    n_tiles = count_tiles(len(gy), gy_view[ROWS], gy_view[COLUMNS], tile_of(R))
    size = entries_of(R) * spread(block_rows(C) * panels(K) * PANEL)  # of a sum
    target = gw.reshape(-1), starts, row, column, gw.shape[-1]
    geometry = R, C, K, x.reshape(-1), views, gy.reshape(-1), gy_view
    if size <= SUMS_SIZE and (n_tiles >= SUMS * LEAST_TILES or panels(K) == 1):
        by_parts(n_tiles, size, geometry, target)
    elif 4 * entries_of(R) * n_tiles * C <= PANEL_BYTES:
        by_panels(n_tiles, geometry, target)
    else:
        by_entries(n_tiles, size, geometry, target)


def by_parts(n_tiles, size, geometry, target):
    R, C, K, *_ = geometry
    bounds = bounds_of(n_tiles, max(1, -(-n_tiles // SUMS)))
    V_size, D_size = gradient_sizes(PART_BLOCK, R, C, K)
    with scratch(SUMS * size, SUMS * V_size, SUMS * D_size) as (sums, V, D):
        sums = sums[: (len(bounds) - 1) * size].reshape(-1, size)
        sum_parts(bounds, *geometry, V, V_size, D, D_size, sums)
        kernel_gradients(*geometry[:3], sums.sum(axis=0), target)


def by_panels(n_tiles, geometry, target):
    R, C, *_ = geometry
    V_size, D_size = gradient_sizes(n_tiles, R, C, PANEL)
    size, threads = entries_of(R) * spread(block_rows(C) * PANEL), get_num_threads()
    with scratch(V_size, threads * D_size, threads * size) as (V, D, sums):
        gradient_panels(n_tiles, *geometry, V, D, D_size, sums, size, target)


def by_entries(n_tiles, size, geometry, target):
    R, C, K, *_ = geometry
    at_once = max(SMALLEST_BLOCK, SHARED_BLOCK_BYTES // (4 * entries_of(R) * (C + K)))
    bounds = bounds_of(n_tiles, at_once)
    V_size, D_size = gradient_sizes(np.diff(bounds).max(initial=0), R, C, K)
    with scratch(size, V_size, D_size) as (sums, V, D):
        sums[:size] = 0
        total = np.zeros(size if n_tiles > 2 * MOST_TILES else 0, np.float64)
        for first, end in zip(bounds, bounds[1:]):
            add_block(first, end, *geometry, V, D, sums)
            if len(total) and first // MOST_TILES != end // MOST_TILES:
                move_entries(entries_of(R), sums, total)
        if len(total):
            move_entries(entries_of(R), sums, total)
            sums[:size] = total
        kernel_gradients(*geometry[:3], sums, target)


@njit(parallel=True, cache=True)
def sum_parts(bounds, R, C, K, x, views, gy, gy_view, V, V_size, D, D_size, sums):
    """What each part of the tiles adds to the transformed gradient, each in a sum of its own."""
    for part in prange(len(bounds) - 1):
        sums[part] = 0
        sum_tiles(
            bounds[part], bounds[part + 1], R, C, K, x, views, gy, gy_view,
            V[part * V_size : (part + 1) * V_size], D[part * D_size : (part + 1) * D_size],
            sums[part],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def sum_tiles(first, end, R, C, K, x, views, gy, gy_view, V, D, sums):
    is_long = end - first > 2 * MOST_TILES
    total = np.zeros(len(sums) if is_long else 0)
    for start in range(first, end, PART_BLOCK):
        stop = min(end, start + PART_BLOCK)
        rows = stop - start
        transform_inputs_of(0, rows, start, stop, R, C, x, views, gy_view, V)
        transform_gradients(0, rows, start, stop, R, K, gy, gy_view, D)
        add_entries(0, entries_of(R), R, rows, V, D, sums, C, K, 1)
        if is_long and (stop == end or (stop - first) % MOST_TILES == 0):
            empty_into(sums, total)
    if is_long:
        sums[:] = total


@njit(parallel=True, cache=True)
def add_block(first, end, R, C, K, x, views, gy, gy_view, V, D, sums):
    """What a large block of tiles adds: first all threads transform, then all multiply."""
    rows = end - first
    for part in prange(TRANSFORM_PARTS):
        row, stop = rows * part // TRANSFORM_PARTS, rows * (part + 1) // TRANSFORM_PARTS
        transform_inputs_of(row, stop, first, end, R, C, x, views, gy_view, V)
        transform_gradients(row, stop, first, end, R, K, gy, gy_view, D)
    for e in prange(entries_of(R)):
        add_entries(e, e + 1, R, rows, V, D, sums, C, K, 1)


@njit(parallel=True, cache=True)
def move_entries(entries, sums, total):
    """total += sums, which are 0 then."""
    size = len(total) // entries
    for e in prange(entries):
        empty_into(sums[e * size : (e + 1) * size], total[e * size : (e + 1) * size])


@njit(nogil=True, cache=True)
def gradient_sizes(rows, R, C, K):
    """Numbers in V and D for so many tiles."""
    V_size = entries_of(R) * spread(rows * spread(block_rows(C)))
    return V_size, entries_of(R) * spread(rows * panels(K) * PANEL)


@njit(nogil=True, cache=True)
def transform_inputs_of(first, end, block_start, block_end, R, C, x, views, gy_view, V):
    """Rows first to end of V = B^T d B for a block of tiles."""
    V_row = spread(block_rows(C))
    V_entry = spread((block_end - block_start) * V_row)
    check_room(len(V), R, V_entry)
    transform_pictures(
        block_start + first, block_start + end, R, C, 0, C, (x, False, x, views), gy_view,
        V[first * V_row :], V_row, V_entry,
    )  # fmt: skip


@njit(nogil=True, cache=True)
def transform_gradients(first, end, block_start, block_end, R, K, gy, view, D):
    """Rows first to end of D = A gy A^T for a block of tiles and K channels."""
    D_row = panels(K) * PANEL
    D_entry = spread((block_end - block_start) * D_row)
    check_room(len(D), R, D_entry)
    tile, down, right = tile_of(R), view[NEXT_ROW], view[NEXT_PIXEL]
    around = np.empty(tile * tile * WIDTH, np.float32)
    for row in range(first, end):
        n, oh, ow = tile_place(block_start + row, tile, view)
        inside = oh + tile <= view[ROWS] and ow + tile <= view[COLUMNS]
        if not inside:
            clear_tile(tile, around)
        for k in range(0, K, WIDTH):
            target = row * D_row + k
            prefetch_square(gy, view, n, oh + tile, ow, k, tile)
            if inside:
                source = pixel_at(view, n, oh, ow) + k
                gradients_of_tile(R, gy, source, down, right, D, target, D_entry)
            else:
                copy_tile(gy, False, gy, view, n, oh, ow, k, tile, around)
                gradients_of_tile(R, around, 0, tile * WIDTH, WIDTH, D, target, D_entry)


@njit(nogil=True, cache=True)
def gradients_of_tile(R, gy, source, row, column, D, target, D_entry):
    down = reads_of(R) * D_entry
    if R == 2:
        transform_output_gradients_of_two(gy, source, row, column, D, target, down, D_entry)
    elif R == 3:
        transform_output_gradients_4(gy, source, row, column, D, target, down, D_entry)
    else:
        transform_output_gradients_2(gy, source, row, column, D, target, down, D_entry)


@njit(parallel=True, cache=True)
def gradient_panels(n_tiles, R, C, K, x, views, gy, gy_view, V, D, D_size, sums, size, target):
    """First all of V, then panel by panel, each thread with a part of D and sums for itself."""
    for part in prange(TRANSFORM_PARTS):
        first, end = n_tiles * part // TRANSFORM_PARTS, n_tiles * (part + 1) // TRANSFORM_PARTS
        transform_inputs_of(first, end, 0, n_tiles, R, C, x, views, gy_view, V)
    for p in prange(panels(K)):
        mine = get_thread_id()
        gradient_panel(
            n_tiles, R, C, min(PANEL, K - p * PANEL), gy[p * PANEL :], gy_view, V,
            D[mine * D_size : (mine + 1) * D_size], sums[mine * size : (mine + 1) * size],
            p * PANEL, target,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def gradient_panel(n_tiles, R, C, columns, gy, gy_view, V, D, sums, first, target):
    """gg of a panel's columns; gy begins with them, and they with the `first` output channel."""
    transform_gradients(0, n_tiles, 0, n_tiles, R, columns, gy, gy_view, D)
    if n_tiles == 0:
        sums[:] = 0
    add_entries(0, entries_of(R), R, n_tiles, V, D, sums, C, columns, 0)
    for c in range(C):
        for k in range(0, columns, WIDTH):
            kernel_gradient(c, k, R, C, columns, sums, first, target)


@njit(nogil=True, cache=True)
def add_entries(first, end, R, rows, V, D, sums, C, K, add):
    """sums[e] += V[e]^T D[e], (C, K) from (tiles, C) and (tiles, K); or, with add 0, = that."""
    V_row, D_row = spread(block_rows(C)), panels(K) * PANEL
    V_entry, D_entry = spread(rows * V_row), spread(rows * D_row)
    check_room(len(V), R, V_entry)
    check_room(len(D), R, D_entry)
    sums_entry = spread(block_rows(C) * D_row)
    check_room(len(sums), R, sums_entry)
    for e in range(first, end):
        for p in range(panels(K)):
            sum_runs(
                C, 1, rows, V, e * V_entry, 0, V_row, D, e * D_entry + p * PANEL, D_row,
                sums, e * sums_entry + p * PANEL, D_row, add,
            )  # fmt: skip


@njit(parallel=True, cache=True)
def kernel_gradients(R, C, K, sums, target):
    """gg = G^T sums G. A target is (gw, starts, row, column, step), `step` numbers from one channel
    to the next."""
    for c in prange(C):
        for k in range(0, K, WIDTH):
            kernel_gradient(c, k, R, C, K, sums, 0, target)


@njit(nogil=True, cache=True)
def kernel_gradient(c, k, R, C, K, sums, first, target):
    """Of one channel and WIDTH outputs, k of those from the `first` on."""
    gw, starts, down, right, step = target
    sums_row, of_view = panels(K) * PANEL, C // len(starts)
    entry, source = spread(block_rows(C) * sums_row), c * sums_row + k
    below, at = reads_of(R) * entry, starts[c // of_view] + c % of_view * step + first + k
    if R == 2:
        transform_kernel_gradients_2(sums, source, below, entry, gw, at, down, right)
    elif R == 3:
        transform_kernel_gradients_3(sums, source, below, entry, gw, at, down, right)
    else:
        transform_kernel_gradients_5(sums, source, below, entry, gw, at, down, right)
