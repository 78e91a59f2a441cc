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

The work is divided into blocks of tiles, small enough for V and M of a block to stay in the cache;
a thread takes a block from pictures to outputs. V and M lie entry by entry, [e][tile][channel], and
U in panels, [e][panel][c][column] (matrix_product.py). From one entry to the next it is an odd
number of cache lines: at a distance of 4096 bytes, the 36 entries of a tile would all want the same
few places of the cache.

Groups come one after the other. A group's channels are a part of each pixel; so x and y are flat
arrays here that begin at its first channel, with their (height, width, step from pixel to pixel).
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels import settings
from minidl.kernels.cpu.algorithms.matrix_product import PANEL, block_rows, multiply_panel
from minidl.kernels.cpu.algorithms.transpose import transpose_backwards
from minidl.kernels.cpu.algorithms.vectors import WIDTH, clear_vector, copy_vector
from minidl.kernels.cpu.algorithms.winograd_transforms import (
    READS,
    transform_inputs,
    transform_kernel_3,
    transform_kernel_5,
    transform_kernel_gradients_3,
    transform_kernel_gradients_5,
    transform_output_gradients_2,
    transform_output_gradients_4,
    transform_outputs_2,
    transform_outputs_4,
)
from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.memory import scratch

ENTRIES = READS * READS
BLOCK_BYTES = 2**20  # of V and M of a block of tiles
SMALLEST_BLOCK = 48  # tiles; a block reads all of U, which must be worth it
SUMS_SIZE = 2**20  # numbers in a sum of products for which each thread has one of its own
SUMS = 4  # how many such sums
SHARED_BLOCK_BYTES = 2**24  # of V and D of a block, where all threads add to one sum
PART_BLOCK = 64  # tiles that a thread adds to its sum at a time
TRANSFORM_PARTS = 8  # of a block that all threads transform


def pays(x, w_shape, stride, padding, dilation, groups):
    """These kernels compute this convolution of x, and faster than a plain sum."""
    K, C, R, S = w_shape
    if x.dtype != np.float32 or R != S or R not in (3, 5) or stride != (1, 1):
        return False
    if dilation != (1, 1) or max(padding) >= R or settings.exact_conv:
        return False
    if C % WIDTH or K // groups % WIDTH:
        return False
    # The tiles must not be mostly beside the picture (one of 2x2 costs 36 products as well), and
    # transforming the weights must be worth it.
    N, _, H, W = x.shape
    tiles = count_tiles(N, H, W, tile_of(R))
    return tiles * ENTRIES * 3 <= N * H * W * R * S * 2 and tiles * 2**12 >= C * K // groups


@njit(nogil=True, cache=True)
def tile_of(R):
    """Outputs of a tile, in each direction: 4 with three taps, 2 with five."""
    return READS + 1 - R


def count_tiles(N, H, W, tile):
    return N * -(-H // tile) * -(-W // tile)


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
    at_once = max(SMALLEST_BLOCK, BLOCK_BYTES // (4 * ENTRIES * (C + K)))
    bounds = bounds_of(n_tiles, at_once)
    rows = max((block_rows(size) for size in set(np.diff(bounds).tolist())), default=0)
    has_bias = b is not None
    bias = np.ascontiguousarray(b) if has_bias else np.empty(0, np.float32)
    V_size, M_size = ENTRIES * spread(rows * C), ENTRIES * spread(rows * panels(K) * PANEL)
    U_size, threads = ENTRIES * spread(C * panels(K) * PANEL), get_num_threads()
    with scratch(U_size, threads * V_size, threads * M_size) as (U, V, M):
        weight_rows(bounds_of(C, max(8, 2**14 // K)), R, C, K, w.reshape(-1), U)
        convolve_tiles(
            bounds, R, C, K, x.reshape(-1)[g * C :], x.shape[1:], padding, U, has_bias, bias,
            V, V_size, M, M_size, y.reshape(-1)[g * K :], y.shape[1:],
        )  # fmt: skip


def bounds_of(n, at_most):
    """Where blocks of 0 to n begin and end: about one size, an even number if there are several."""
    count = -(-n // at_most)
    count += count % 2 if count > 1 else 0
    return np.array([n * i // count for i in range(count + 1)] if n else [0])


@njit(parallel=True, cache=True)
def convolve_tiles(
    bounds, R, C, K, x, x_size, padding, U, has_bias, bias, V, V_size, M, M_size, y, y_size
):
    """Block by block, each thread with a part of V and M for itself."""
    for block in prange(len(bounds) - 1):
        mine = get_thread_id()
        convolve_block(
            bounds[block], bounds[block + 1], R, C, K, x, x_size, padding, U, has_bias, bias,
            V[mine * V_size : (mine + 1) * V_size], M[mine * M_size : (mine + 1) * M_size],
            y, y_size,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def panels(columns):
    return (columns + PANEL - 1) // PANEL


@njit(nogil=True, cache=True)
def spread(size):
    """At least `size`, and an odd number of cache lines (16 numbers each)."""
    return ((size + 15) // 16 | 1) * 16


@njit(nogil=True, cache=True)
def convolve_block(first, end, R, C, K, x, x_size, padding, U, has_bias, bias, V, M, y, y_size):
    rows = block_rows(end - first)
    columns = panels(K) * PANEL
    V_entry, M_entry, U_entry = spread(rows * C), spread(rows * columns), spread(C * columns)
    check_room(len(V), V_entry)
    check_room(len(M), M_entry)
    check_room(len(U), U_entry)
    transform_picture(first, end, tile_of(R), C, x, x_size, padding, y_size, V, C, V_entry)
    for e in range(ENTRIES):
        # 7 is the value at t = 1 in both directions, and the columns of A^T for it are ones: what
        # is added there, is added to all outputs.
        add = 1 if has_bias and e == 7 else 0
        if add:
            for row in range(rows):
                for k in range(K):
                    M[e * M_entry + row * columns + k] = bias[k]
        for p in range(panels(K)):
            multiply_panel(
                rows, C, V, e * V_entry, C, 1, U, e * U_entry + p * C * PANEL, PANEL,
                M, e * M_entry + p * PANEL, columns, add,
            )  # fmt: skip
    write_outputs(first, end, tile_of(R), K, M, columns, M_entry, y, y_size)


@njit(nogil=True, cache=True)
def check_room(size, entry):
    """Numba's cache does not notice when a file changes that a compiled function was made of."""
    if size < ENTRIES * entry:
        raise ValueError("compiled for other block sizes: delete the __pycache__ folders of minidl")


@njit(nogil=True, cache=True)
def tile_place(number, tile, y_size):
    """Image, and the first row and column of outputs."""
    OH, OW, _ = y_size
    down, across = (OH + tile - 1) // tile, (OW + tile - 1) // tile
    n, rest = number // (down * across), number % (down * across)
    return n, rest // across * tile, rest % across * tile


@njit(nogil=True, cache=True)
def transform_picture(first, end, tile, C, x, x_size, padding, y_size, V, V_row, V_entry):
    """V = B^T d B for some tiles: 6 x 6 pixels each, zero where they are outside of the picture."""
    H, W, step = x_size
    around = np.empty(ENTRIES * WIDTH, np.float32)
    for number in range(first, end):
        n, oh, ow = tile_place(number, tile, y_size)
        h, v = oh - padding[0], ow - padding[1]
        inside = h >= 0 and v >= 0 and h + READS <= H and v + READS <= W
        for c in range(0, C, WIDTH):
            target = (number - first) * V_row + c
            if inside:
                source = ((n * H + h) * W + v) * step + c
                transform_inputs(x, source, W * step, step, V, target, READS * V_entry, V_entry)
            else:
                copy_tile(x, x_size, n, h, v, c, READS, around)
                transform_inputs(
                    around, 0, READS * WIDTH, WIDTH, V, target, READS * V_entry, V_entry
                )


@njit(nogil=True, cache=True)
def copy_tile(x, x_size, n, h, v, c, size, tile):
    """size x size vectors of pixels, zeros where they are outside of the picture."""
    H, W, step = x_size
    for i in range(size):
        for j in range(size):
            if 0 <= h + i < H and 0 <= v + j < W:
                source = ((n * H + h + i) * W + v + j) * step + c
                copy_vector(x, source, tile, (i * size + j) * WIDTH)
            else:
                clear_vector(tile, (i * size + j) * WIDTH)


@njit(nogil=True, cache=True)
def write_outputs(first, end, tile, K, M, M_row, M_entry, y, y_size):
    """y = A^T m A for some tiles; of a tile that sticks out, the part inside."""
    OH, OW, step = y_size
    whole = np.empty(tile * tile * WIDTH, np.float32)
    for number in range(first, end):
        n, oh, ow = tile_place(number, tile, y_size)
        for k in range(0, K, WIDTH):
            source = (number - first) * M_row + k
            target = ((n * OH + oh) * OW + ow) * step + k
            if oh + tile <= OH and ow + tile <= OW:
                outputs_of_tile(tile, M, source, M_entry, y, target, OW * step, step)
            else:
                outputs_of_tile(tile, M, source, M_entry, whole, 0, tile * WIDTH, WIDTH)
                for i in range(min(tile, OH - oh)):
                    for j in range(min(tile, OW - ow)):
                        here = target + (i * OW + j) * step
                        copy_vector(whole, (i * tile + j) * WIDTH, y, here)


@njit(nogil=True, cache=True)
def outputs_of_tile(tile, M, source, M_entry, y, target, row, column):
    if tile == 4:
        transform_outputs_4(M, source, READS * M_entry, M_entry, y, target, row, column)
    else:
        transform_outputs_2(M, source, READS * M_entry, M_entry, y, target, row, column)


@njit(parallel=True, cache=True)
def weight_rows(bounds, R, C, K, w, U):
    """U = G g G^T of weights (R, S, C, K), in panels."""
    for block in prange(len(bounds) - 1):
        for k in range(0, K, WIDTH):
            for c in range(bounds[block], bounds[block + 1]):
                transform_weight(c, k, R, C, K, w, U)


@njit(nogil=True, cache=True)
def transform_weight(c, k, R, C, K, w, U):
    """Of one channel and WIDTH outputs."""
    entry, source = spread(C * panels(K) * PANEL), c * K + k
    target = (k // PANEL * C + c) * PANEL + k % PANEL
    if R == 3:
        transform_kernel_3(w, source, R * C * K, C * K, U, target, READS * entry, entry)
    else:
        transform_kernel_5(w, source, R * C * K, C * K, U, target, READS * entry, entry)


def backward_weight(gy, x, w_shape, padding, groups=1):
    K, C, R, S = w_shape
    x, gy = channels_last(x), channels_last(gy)
    gw = np.zeros((R, S, C, K), np.float32)
    for g in range(groups):
        add_gradients(x, gy, gw, padding, K // groups, g)
    return gw.transpose(3, 2, 0, 1)


def add_gradients(x, gy, gw, padding, K, g):
    """Group g of gw, which has K output channels."""
    R, _, C, K_all = gw.shape
    n_tiles = count_tiles(*gy.shape[:3], tile_of(R))
    size = ENTRIES * spread(block_rows(C) * panels(K) * PANEL)
    flat_x, flat_gy = x.reshape(-1)[g * C :], gy.reshape(-1)[g * K :]
    geometry = R, C, K, flat_x, x.shape[1:], padding, flat_gy, gy.shape[1:]
    with scratch(SUMS * size if size <= SUMS_SIZE else size) as (sums,):
        if size <= SUMS_SIZE:
            bounds = bounds_of(n_tiles, max(1, -(-n_tiles // SUMS)))
            sums = sums[: (len(bounds) - 1) * size].reshape(-1, size)
            V_size, D_size = gradient_sizes(PART_BLOCK, C, K)
            with scratch(SUMS * V_size, SUMS * D_size) as (V, D):
                sum_parts(bounds, *geometry, V, V_size, D, D_size, sums)
            sums = sums.sum(axis=0)
        else:
            sums[:size] = 0
            at_once = max(SMALLEST_BLOCK, SHARED_BLOCK_BYTES // (4 * ENTRIES * (C + K)))
            bounds = bounds_of(n_tiles, at_once)
            with scratch(*gradient_sizes(np.diff(bounds).max(initial=0), C, K)) as (V, D):
                for first, end in zip(bounds, bounds[1:]):
                    add_block(first, end, *geometry, V, D, sums)
        channels = bounds_of(C, max(8, 2**14 // K))
        kernel_gradients(channels, R, C, K, sums, gw.reshape(-1)[g * K :], K_all)


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
    for start in range(first, end, PART_BLOCK):
        stop = min(end, start + PART_BLOCK)
        both_transforms(0, stop - start, start, stop, R, C, K, x, x_size, padding, gy, y_size, V, D)
        add_entries(0, ENTRIES, stop - start, V, D, sums, C, K)


@njit(parallel=True, cache=True)
def add_block(first, end, R, C, K, x, x_size, padding, gy, y_size, V, D, sums):
    """What a large block of tiles adds: first all threads transform, then all multiply."""
    rows = end - first
    for part in prange(TRANSFORM_PARTS):
        both_transforms(
            rows * part // TRANSFORM_PARTS, rows * (part + 1) // TRANSFORM_PARTS, first, end,
            R, C, K, x, x_size, padding, gy, y_size, V, D,
        )  # fmt: skip
    for e in prange(ENTRIES):
        add_entries(e, e + 1, rows, V, D, sums, C, K)


@njit(nogil=True, cache=True)
def gradient_sizes(rows, C, K):
    """Numbers in V and D for so many tiles."""
    V_size = ENTRIES * spread(rows * spread(block_rows(C)))
    return V_size, ENTRIES * spread(rows * panels(K) * PANEL)


@njit(nogil=True, cache=True)
def both_transforms(
    first, end, block_start, block_end, R, C, K, x, x_size, padding, gy, y_size, V, D
):
    V_row, D_row = spread(block_rows(C)), panels(K) * PANEL
    rows = block_end - block_start
    V_entry, D_entry = spread(rows * V_row), spread(rows * D_row)
    check_room(len(V), V_entry)
    check_room(len(D), D_entry)
    tile, (OH, OW, step) = tile_of(R), y_size
    around = np.empty(ENTRIES * WIDTH, np.float32)
    transform_picture(
        block_start + first, block_start + end, tile, C, x, x_size, padding, y_size,
        V[first * V_row :], V_row, V_entry,
    )  # fmt: skip
    for row in range(first, end):
        n, oh, ow = tile_place(block_start + row, tile, y_size)
        for k in range(0, K, WIDTH):
            target = row * D_row + k
            if oh + tile <= OH and ow + tile <= OW:
                source = ((n * OH + oh) * OW + ow) * step + k
                gradients_of_tile(tile, gy, source, OW * step, step, D, target, D_entry)
            else:
                copy_tile(gy, y_size, n, oh, ow, k, tile, around)
                gradients_of_tile(tile, around, 0, tile * WIDTH, WIDTH, D, target, D_entry)


@njit(nogil=True, cache=True)
def gradients_of_tile(tile, gy, source, row, column, D, target, D_entry):
    if tile == 4:
        transform_output_gradients_4(gy, source, row, column, D, target, READS * D_entry, D_entry)
    else:
        transform_output_gradients_2(gy, source, row, column, D, target, READS * D_entry, D_entry)


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
            multiply_panel(
                C, rows, V, e * V_entry, 1, V_row, D, e * D_entry + p * PANEL, D_row,
                sums, e * sums_entry + p * PANEL, D_row, 1,
            )  # fmt: skip


@njit(parallel=True, cache=True)
def kernel_gradients(bounds, R, C, K, sums, gw, step):
    """gw = G^T sums G; `step` numbers of gw from one channel to the next."""
    for block in prange(len(bounds) - 1):
        for c in range(bounds[block], bounds[block + 1]):
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
