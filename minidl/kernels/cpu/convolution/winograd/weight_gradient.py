"""The gradient of the weights by Winograd's algorithm:

    gg = G^T [sum over tiles of (B^T d B) o (A gy A^T)] G

The entries of the sum over tiles are 36 matrix products, V[e]^T D[e] of V[e] (tiles, C) and D[e]
(tiles, K). How the work is divided depends on what there is more of:

- few channels: a few parts of the tiles have a sum each, by parts.
- many channels and few tiles: a thread takes a panel of output channels from D to gg, by panels. So
  the sum, four times as large as the weights, is never in memory as a whole.
- many of both: all threads add to one sum, each to some of its entries, by entries.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels.cpu.convolution.winograd.tiles import (
    ENTRIES,
    bounds_of,
    check_room,
    copy_tile,
    count_tiles,
    panels,
    prefetch_square,
    spread,
    tile_of,
    tile_place,
    transform_picture,
)
from minidl.kernels.cpu.convolution.winograd.transforms import (
    READS,
    transform_kernel_gradients_3,
    transform_kernel_gradients_5,
    transform_output_gradients_2,
    transform_output_gradients_4,
)
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.matrix_product import PANEL, block_rows, empty_into, sum_runs
from minidl.kernels.memory import scratch
from minidl.kernels.sums import PRODUCTS, RUN

SUMS_SIZE = 2**20  # numbers in a sum of products for which each part has one of its own
SUMS = 4  # how many such parts
PART_BLOCK = 64  # tiles of a part at a time
MOST_TILES = RUN * PRODUCTS  # that are added in float32, PRODUCTS at a time (kernels/sums.py)
PANEL_BYTES = 2**23  # of V at most, where threads take panels: each of them reads all of it
SMALLEST_BLOCK = 48  # tiles, where all threads add to one sum
SHARED_BLOCK_BYTES = 2**24  # of V and D of such a block
TRANSFORM_PARTS = 8  # of tiles that all threads transform


def add_gradients(x, gy, gw, padding, K, g):
    """Group g of gw, which has K output channels."""
    R, _, C, K_all = gw.shape
    n_tiles = count_tiles(*gy.shape[:3], tile_of(R))
    size = ENTRIES * spread(block_rows(C) * panels(K) * PANEL)  # of a sum
    flat_x, flat_gy, flat_gw = (
        x.reshape(-1)[g * C :],
        gy.reshape(-1)[g * K :],
        gw.reshape(-1)[g * K :],
    )
    geometry = R, C, K, flat_x, x.shape[1:], padding, flat_gy, gy.shape[1:]
    if size <= SUMS_SIZE:
        by_parts(n_tiles, size, geometry, flat_gw, K_all)
    elif 4 * ENTRIES * n_tiles * C <= PANEL_BYTES:
        by_panels(n_tiles, geometry, flat_gw, K_all)
    else:
        by_entries(n_tiles, size, geometry, flat_gw, K_all)


def by_parts(n_tiles, size, geometry, gw, gw_step):
    _, C, K, *_ = geometry
    bounds = bounds_of(n_tiles, max(1, -(-n_tiles // SUMS)))
    V_size, D_size = gradient_sizes(PART_BLOCK, C, K)
    with scratch(SUMS * size, SUMS * V_size, SUMS * D_size) as (sums, V, D):
        sums = sums[: (len(bounds) - 1) * size].reshape(-1, size)
        sum_parts(bounds, *geometry, V, V_size, D, D_size, sums)
        kernel_gradients(*geometry[:3], sums.sum(axis=0), gw, gw_step)


def by_panels(n_tiles, geometry, gw, gw_step):
    _, C, *_ = geometry
    V_size, D_size = gradient_sizes(n_tiles, C, PANEL)
    size, threads = ENTRIES * spread(block_rows(C) * PANEL), get_num_threads()
    with scratch(V_size, threads * D_size, threads * size) as (V, D, sums):
        gradient_panels(n_tiles, *geometry, V, D, D_size, sums, size, gw, gw_step)


def by_entries(n_tiles, size, geometry, gw, gw_step):
    _, C, K, *_ = geometry
    at_once = max(SMALLEST_BLOCK, SHARED_BLOCK_BYTES // (4 * ENTRIES * (C + K)))
    bounds = bounds_of(n_tiles, at_once)
    with scratch(size, *gradient_sizes(np.diff(bounds).max(initial=0), C, K)) as (sums, V, D):
        sums[:size] = 0
        total = np.zeros(size if n_tiles > 2 * MOST_TILES else 0, np.float64)
        for first, end in zip(bounds, bounds[1:]):
            add_block(first, end, *geometry, V, D, sums)
            if len(total) and first // MOST_TILES != end // MOST_TILES:
                move_entries(sums, total)
        if len(total):
            move_entries(sums, total)
            sums[:size] = total
        kernel_gradients(*geometry[:3], sums, gw, gw_step)


@njit(parallel=True, cache=True)
def sum_parts(
    bounds, R, C, K, x, x_size, padding, gy, y_size, V, V_size, D, D_size, sums
):  # fmt: skip
    """What each part of the tiles adds to the transformed gradient, each in a sum of its own."""
    for part in prange(len(bounds) - 1):
        sums[part] = 0
        sum_tiles(
            bounds[part], bounds[part + 1], R, C, K, x, x_size, padding, gy, y_size,
            V[part * V_size : (part + 1) * V_size], D[part * D_size : (part + 1) * D_size],
            sums[part],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def sum_tiles(first, end, R, C, K, x, x_size, padding, gy, y_size, V, D, sums):
    is_long = end - first > 2 * MOST_TILES
    total = np.zeros(len(sums) if is_long else 0)
    for start in range(first, end, PART_BLOCK):
        stop = min(end, start + PART_BLOCK)
        rows = stop - start
        transform_inputs_of(0, rows, start, stop, R, C, x, x_size, padding, y_size, V)
        transform_gradients(0, rows, start, stop, R, K, gy, y_size, D)
        add_entries(0, ENTRIES, rows, V, D, sums, C, K)
        if is_long and (stop == end or (stop - first) % MOST_TILES == 0):
            empty_into(sums, total)
    if is_long:
        sums[:] = total


@njit(parallel=True, cache=True)
def add_block(first, end, R, C, K, x, x_size, padding, gy, y_size, V, D, sums):
    """What a large block of tiles adds: first all threads transform, then all multiply."""
    rows = end - first
    for part in prange(TRANSFORM_PARTS):
        row, stop = rows * part // TRANSFORM_PARTS, rows * (part + 1) // TRANSFORM_PARTS
        transform_inputs_of(row, stop, first, end, R, C, x, x_size, padding, y_size, V)
        transform_gradients(row, stop, first, end, R, K, gy, y_size, D)
    for e in prange(ENTRIES):
        add_entries(e, e + 1, rows, V, D, sums, C, K)


@njit(parallel=True, cache=True)
def move_entries(sums, total):
    """total += sums, which are 0 then."""
    size = len(total) // ENTRIES
    for e in prange(ENTRIES):
        empty_into(sums[e * size : (e + 1) * size], total[e * size : (e + 1) * size])


@njit(nogil=True, cache=True)
def gradient_sizes(rows, C, K):
    """Numbers in V and D for so many tiles."""
    V_size = ENTRIES * spread(rows * spread(block_rows(C)))
    return V_size, ENTRIES * spread(rows * panels(K) * PANEL)


@njit(nogil=True, cache=True)
def transform_inputs_of(first, end, block_start, block_end, R, C, x, x_size, padding, y_size, V):
    """Rows first to end of V = B^T d B for a block of tiles."""
    V_row = spread(block_rows(C))
    V_entry = spread((block_end - block_start) * V_row)
    check_room(len(V), V_entry)
    transform_picture(
        block_start + first, block_start + end, tile_of(R), C, x, False, x, x_size, padding,
        y_size, V[first * V_row :], V_row, V_entry,
    )  # fmt: skip


@njit(nogil=True, cache=True)
def transform_gradients(first, end, block_start, block_end, R, K, gy, y_size, D):
    """Rows first to end of D = A gy A^T for a block of tiles and K channels."""
    D_row = panels(K) * PANEL
    D_entry = spread((block_end - block_start) * D_row)
    check_room(len(D), D_entry)
    tile, (OH, OW, step) = tile_of(R), y_size
    around = np.empty(ENTRIES * WIDTH, np.float32)
    for row in range(first, end):
        n, oh, ow = tile_place(block_start + row, tile, y_size)
        for k in range(0, K, WIDTH):
            target = row * D_row + k
            prefetch_square(gy, y_size, n, oh + tile, ow, k, tile)
            if oh + tile <= OH and ow + tile <= OW:
                source = ((n * OH + oh) * OW + ow) * step + k
                gradients_of_tile(tile, gy, source, OW * step, step, D, target, D_entry)
            else:
                copy_tile(gy, False, gy, y_size, n, oh, ow, k, tile, around)
                gradients_of_tile(tile, around, 0, tile * WIDTH, WIDTH, D, target, D_entry)


@njit(nogil=True, cache=True)
def gradients_of_tile(tile, gy, source, row, column, D, target, D_entry):
    if tile == 4:
        transform_output_gradients_4(gy, source, row, column, D, target, READS * D_entry, D_entry)
    else:
        transform_output_gradients_2(gy, source, row, column, D, target, READS * D_entry, D_entry)


@njit(parallel=True, cache=True)
def gradient_panels(
    n_tiles, R, C, K, x, x_size, padding, gy, y_size, V, D, D_size, sums, size, gw, gw_step
):
    """First all of V, then panel by panel, each thread with a part of D and sums for itself."""
    for part in prange(TRANSFORM_PARTS):
        first, end = n_tiles * part // TRANSFORM_PARTS, n_tiles * (part + 1) // TRANSFORM_PARTS
        transform_inputs_of(first, end, 0, n_tiles, R, C, x, x_size, padding, y_size, V)
    for p in prange(panels(K)):
        mine = get_thread_id()
        gradient_panel(
            n_tiles, R, C, min(PANEL, K - p * PANEL), gy[p * PANEL :], y_size, V,
            D[mine * D_size : (mine + 1) * D_size], sums[mine * size : (mine + 1) * size],
            gw[p * PANEL :], gw_step,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def gradient_panel(n_tiles, R, C, columns, gy, y_size, V, D, sums, gw, gw_step):
    """gg of a panel's columns; gy and gw begin with it."""
    transform_gradients(0, n_tiles, 0, n_tiles, R, columns, gy, y_size, D)
    sums[:] = 0
    add_entries(0, ENTRIES, n_tiles, V, D, sums, C, columns)
    for c in range(C):
        for k in range(0, columns, WIDTH):
            kernel_gradient(c, k, R, C, columns, sums, gw, gw_step)


@njit(nogil=True, cache=True)
def add_entries(first, end, rows, V, D, sums, C, K):
    """sums[e] += V[e]^T D[e], (C, K) from (tiles, C) and (tiles, K)."""
    V_row, D_row = spread(block_rows(C)), panels(K) * PANEL
    V_entry, D_entry = spread(rows * V_row), spread(rows * D_row)
    check_room(len(V), V_entry)
    check_room(len(D), D_entry)
    sums_entry = spread(block_rows(C) * D_row)
    check_room(len(sums), sums_entry)
    for e in range(first, end):
        for p in range(panels(K)):
            sum_runs(
                C, 1, rows, V, e * V_entry, 0, V_row, D, e * D_entry + p * PANEL, D_row,
                sums, e * sums_entry + p * PANEL, D_row, 1,
            )  # fmt: skip


@njit(parallel=True, cache=True)
def kernel_gradients(R, C, K, sums, gw, step):
    """gg = G^T sums G; `step` numbers of gw from one channel to the next."""
    for c in prange(C):
        for k in range(0, K, WIDTH):
            kernel_gradient(c, k, R, C, K, sums, gw, step)


@njit(nogil=True, cache=True)
def kernel_gradient(c, k, R, C, K, sums, gw, step):
    """Of one channel and WIDTH outputs."""
    row = panels(K) * PANEL
    entry, source = spread(block_rows(C) * row), c * row + k
    target, down, right = c * step + k, R * C * step, C * step
    if R == 3:
        transform_kernel_gradients_3(sums, source, READS * entry, entry, gw, target, down, right)
    else:
        transform_kernel_gradients_5(sums, source, READS * entry, entry, gw, target, down, right)
