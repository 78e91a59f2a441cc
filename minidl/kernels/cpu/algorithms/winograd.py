"""3x3 convolution with a quarter of the multiplications (Winograd's minimal filtering).

Four outputs of a filter with three taps are the coefficients of a product of polynomials. Toom and
Cook multiply polynomials by their values: take both at six points (here 0, 1, -1, 2, -2 and
infinity), multiply the values, and find the coefficients of the polynomial that has these products
as its values. That is six multiplications in place of twelve; what it takes to get values and
coefficients are small constant matrices. Winograd (1980) showed that six is the least, and Lavin
and Gray (2016, "Fast algorithms for convolutional neural networks", section 4) used it, with the
transposed algorithm, for the convolutions of networks. In two dimensions, for a tile of 4 x 4
outputs that reads 6 x 6 inputs d and has the 3 x 3 kernel g, with o for products entry by entry:

    y = A^T [(G g G^T) o (B^T d B)] A          36 multiplications in place of 144

Over the channels one adds before transforming back, so that the 36 entries are 36 matrix products

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
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels import settings
from minidl.kernels.cpu.algorithms.matrix_product import PANEL, block_rows, multiply_panel
from minidl.kernels.cpu.algorithms.vectors import WIDTH, clear_vector, copy_vector, transform_of
from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.memory import scratch

TILE = 4  # outputs of a tile, in each direction
READS = 6  # inputs that they read
ENTRIES = READS * READS
BLOCK_BYTES = 2**20  # of V and M of a block of tiles
SMALLEST_BLOCK = 48  # tiles; a block reads all of U, which must be worth it
SUMS_SIZE = 2**20  # numbers in a sum of products for which each thread has one of its own
SUMS = 4  # how many such sums
SHARED_BLOCK_BYTES = 2**24  # of V and D of a block, where all threads add to one sum
PART_BLOCK = 64  # tiles that a thread adds to its sum at a time
TRANSFORM_PARTS = 8  # of a block that all threads transform


def inputs_line(d0, d1, d2, d3, d4, d5):
    """B^T d: what the values of the other two polynomials are multiplied with."""
    even, odd = d4 - 4 * d2, d3 - 4 * d1
    even2, odd2 = d4 - d2, 2 * (d3 - d1)
    return (
        4 * d0 - 5 * d2 + d4,
        even + odd,
        even - odd,
        even2 + odd2,
        even2 - odd2,
        4 * d1 - 5 * d3 + d5,
    )


def kernel_line(g0, g1, g2):
    """G g: the values of g0 + g1 t + g2 t^2 at 0, 1, -1, 2, -2 and infinity, scaled."""
    sum1, sum2 = (1 / 6) * (g0 + g2), (1 / 24) * g0 + (1 / 6) * g2
    return (
        0.25 * g0,
        -1 * sum1 - (1 / 6) * g1,
        (1 / 6) * g1 - sum1,
        sum2 + (1 / 12) * g1,
        sum2 - (1 / 12) * g1,
        g2,
    )


def outputs_line(m0, m1, m2, m3, m4, m5):
    """A^T m: four outputs from six products."""
    sum1, difference1, sum2, difference2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return (
        m0 + sum1 + sum2,
        difference1 + 2 * difference2,
        sum1 + 4 * sum2,
        difference1 + 8 * difference2 + m5,
    )


def output_gradient_line(y0, y1, y2, y3):
    """A y, the transpose of outputs_line."""
    even1, odd1, even2, odd2 = y0 + y2, y1 + y3, y0 + 4 * y2, 2 * y1 + 8 * y3
    return y0, even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, y3


def kernel_gradient_line(u0, u1, u2, u3, u4, u5):
    """G^T u, the transpose of kernel_line."""
    sum1, sum2 = u1 + u2, u3 + u4
    return (
        0.25 * u0 - (1 / 6) * sum1 + (1 / 24) * sum2,
        (1 / 6) * (u2 - u1) + (1 / 12) * (u3 - u4),
        (1 / 6) * (sum2 - sum1) + u5,
    )


transform_inputs = transform_of(inputs_line, READS)
transform_kernel = transform_of(kernel_line, 3)
transform_outputs = transform_of(outputs_line, READS)
transform_output_gradients = transform_of(output_gradient_line, TILE)
transform_kernel_gradients = transform_of(kernel_gradient_line, READS)


def pays(x, w_shape, stride, padding, dilation, groups):
    """These kernels compute this convolution of x, and faster than a plain sum."""
    K, C, R, S = w_shape
    if x.dtype != np.float32 or R != 3 or S != 3 or stride != (1, 1) or dilation != (1, 1):
        return False
    if groups > 1 or max(padding) > 2 or C % WIDTH or K % WIDTH or settings.exact_conv:
        return False
    # The tiles must not be mostly beside the picture (one of 2x2 costs 36 products as well), and
    # transforming the weights must be worth it.
    N, _, H, W = x.shape
    tiles = count_tiles(N, H, W)
    return tiles * ENTRIES * 3 <= N * H * W * 9 * 2 and tiles * 2**12 >= C * K


def count_tiles(N, H, W):
    return N * -(-H // TILE) * -(-W // TILE)


def forward(x, w, b, padding):
    x = channels_last(x)
    N, H, W, C = x.shape
    OH, OW = H + 2 * padding[0] - 2, W + 2 * padding[1] - 2
    y = np.empty((N, OH, OW, len(w)), np.float32)
    convolve(x, transform_weights(w.transpose(2, 3, 1, 0)), b, y, padding)
    return channels_first(y)


def backward_input(gy, w, x_shape, padding):
    N, C, H, W = x_shape
    gx = np.empty((N, H, W, C), np.float32)
    turned = w[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
    padding = (2 - padding[0], 2 - padding[1])
    convolve(channels_last(gy), transform_weights(turned), None, gx, padding)
    return channels_first(gx)


def convolve(x, U, b, y, padding):
    """y, channels last, from x, channels last, and transformed weights."""
    (N, OH, OW, K), C = y.shape, x.shape[3]
    n_tiles = count_tiles(N, OH, OW)
    at_once = max(SMALLEST_BLOCK, BLOCK_BYTES // (4 * ENTRIES * (C + K)))
    bounds = bounds_of(n_tiles, at_once)
    rows = max((block_rows(size) for size in set(np.diff(bounds).tolist())), default=0)
    has_bias = b is not None
    bias = np.ascontiguousarray(b) if has_bias else np.empty(0, np.float32)
    V_size, M_size = ENTRIES * spread(rows * C), ENTRIES * spread(rows * panels(K) * PANEL)
    threads = get_num_threads()
    with scratch(threads * V_size, threads * M_size) as (V, M):
        convolve_tiles(
            bounds, x.reshape(-1), *x.shape, *padding, U, has_bias, bias, V, V_size, M, M_size,
            y.reshape(-1), *y.shape[1:],
        )  # fmt: skip


def bounds_of(n, at_most):
    """Where blocks of 0 to n begin and end: about one size, an even number if there are several."""
    count = -(-n // at_most)
    count += count % 2 if count > 1 else 0
    return np.array([n * i // count for i in range(count + 1)] if n else [0])


@njit(parallel=True, cache=True)
def convolve_tiles(
    bounds, x, N, H, W, C, ph, pw, U, has_bias, bias, V, V_size, M, M_size, y, OH, OW, K
):  # fmt: skip
    """Block by block, each thread with a part of V and M for itself."""
    for block in prange(len(bounds) - 1):
        mine = get_thread_id()
        convolve_block(
            bounds[block], bounds[block + 1], x, N, H, W, C, ph, pw, U, has_bias, bias,
            V[mine * V_size : (mine + 1) * V_size], M[mine * M_size : (mine + 1) * M_size],
            y, OH, OW, K,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def panels(columns):
    return (columns + PANEL - 1) // PANEL


@njit(nogil=True, cache=True)
def spread(size):
    """At least `size`, and an odd number of cache lines (16 numbers each)."""
    return ((size + 15) // 16 | 1) * 16


@njit(nogil=True, cache=True)
def convolve_block(
    first, end, x, N, H, W, C, ph, pw, U, has_bias, bias, V, M, y, OH, OW, K
):  # fmt: skip
    rows = block_rows(end - first)
    columns = panels(K) * PANEL
    V_entry, M_entry, U_entry = spread(rows * C), spread(rows * columns), spread(C * columns)
    check_room(len(V), V_entry)
    check_room(len(M), M_entry)
    check_room(len(U), U_entry)
    transform_picture(first, end, x, H, W, C, ph, pw, OH, OW, V, C, V_entry)
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
    write_outputs(first, end, M, columns, M_entry, y, OH, OW, K)


@njit(nogil=True, cache=True)
def check_room(size, entry):
    """Numba's cache does not notice when a file changes that a compiled function was made of."""
    if size < ENTRIES * entry:
        raise ValueError("compiled for other block sizes: delete the __pycache__ folders of minidl")


@njit(nogil=True, cache=True)
def tile_place(tile, OH, OW):
    """Image, and the first row and column of outputs."""
    down, across = (OH + TILE - 1) // TILE, (OW + TILE - 1) // TILE
    n, rest = tile // (down * across), tile % (down * across)
    return n, rest // across * TILE, rest % across * TILE


@njit(nogil=True, cache=True)
def transform_picture(first, end, x, H, W, C, ph, pw, OH, OW, V, V_row, V_entry):
    """V = B^T d B for some tiles: 6 x 6 pixels each, zero where they are outside of the picture."""
    around = np.empty(ENTRIES * WIDTH, np.float32)
    for tile in range(first, end):
        n, oh, ow = tile_place(tile, OH, OW)
        h, v = oh - ph, ow - pw
        inside = h >= 0 and v >= 0 and h + READS <= H and v + READS <= W
        for c in range(0, C, WIDTH):
            target = (tile - first) * V_row + c
            if inside:
                source = ((n * H + h) * W + v) * C + c
                transform_inputs(x, source, W * C, C, V, target, READS * V_entry, V_entry)
            else:
                copy_tile(x, n, h, v, H, W, C, c, READS, around)
                transform_inputs(
                    around, 0, READS * WIDTH, WIDTH, V, target, READS * V_entry, V_entry
                )


@njit(nogil=True, cache=True)
def copy_tile(x, n, h, v, H, W, C, c, size, tile):
    """size x size vectors of pixels, zeros where they are outside of the picture."""
    for i in range(size):
        for j in range(size):
            if 0 <= h + i < H and 0 <= v + j < W:
                source = ((n * H + h + i) * W + v + j) * C + c
                copy_vector(x, source, tile, (i * size + j) * WIDTH)
            else:
                clear_vector(tile, (i * size + j) * WIDTH)


@njit(nogil=True, cache=True)
def write_outputs(first, end, M, M_row, M_entry, y, OH, OW, K):
    """y = A^T m A for some tiles; of a tile that sticks out, the part inside."""
    whole = np.empty(TILE * TILE * WIDTH, np.float32)
    for tile in range(first, end):
        n, oh, ow = tile_place(tile, OH, OW)
        for k in range(0, K, WIDTH):
            source = (tile - first) * M_row + k
            target = ((n * OH + oh) * OW + ow) * K + k
            if oh + TILE <= OH and ow + TILE <= OW:
                transform_outputs(M, source, READS * M_entry, M_entry, y, target, OW * K, K)
            else:
                transform_outputs(
                    M, source, READS * M_entry, M_entry, whole, 0, TILE * WIDTH, WIDTH
                )
                for i in range(min(TILE, OH - oh)):
                    for j in range(min(TILE, OW - ow)):
                        copy_vector(whole, (i * TILE + j) * WIDTH, y, target + (i * OW + j) * K)


def transform_weights(w):
    """U = G g G^T of weights (3, 3, C, K), in panels."""
    _, _, C, K = w.shape
    w = np.ascontiguousarray(w)
    U = np.zeros(ENTRIES * spread(C * panels(K) * PANEL), np.float32)
    weight_rows(bounds_of(C, max(8, 2**14 // K)), w.reshape(-1), C, K, U)
    return U


@njit(parallel=True, cache=True)
def weight_rows(bounds, w, C, K, U):
    U_entry = spread(C * panels(K) * PANEL)
    for block in prange(len(bounds) - 1):
        for k in range(0, K, WIDTH):
            for c in range(bounds[block], bounds[block + 1]):
                target = (k // PANEL * C + c) * PANEL + k % PANEL
                transform_kernel(
                    w, c * K + k, 3 * C * K, C * K, U, target, READS * U_entry, U_entry
                )


def backward_weight(gy, x, w_shape, padding):
    K, C, _, _ = w_shape
    x, gy = channels_last(x), channels_last(gy)
    n_tiles = count_tiles(*gy.shape[:3])
    size = ENTRIES * spread(block_rows(C) * panels(K) * PANEL)
    gw = np.zeros((3, 3, C, K), np.float32)
    geometry = x.reshape(-1), *x.shape, *padding, gy.reshape(-1), *gy.shape[1:]
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
        kernel_gradients(bounds_of(C, max(8, 2**14 // K)), sums, C, K, gw.reshape(-1))
    return gw.transpose(3, 2, 0, 1)


@njit(parallel=True, cache=True)
def sum_parts(
    bounds, x, N, H, W, C, ph, pw, gy, OH, OW, K, V, V_size, D, D_size, sums
):  # fmt: skip
    """What each part of the tiles adds to the transformed gradient, each in a sum of its own."""
    for part in prange(len(bounds) - 1):
        sums[part] = 0
        sum_tiles(
            bounds[part], bounds[part + 1], x, N, H, W, C, ph, pw, gy, OH, OW, K,
            V[part * V_size : (part + 1) * V_size], D[part * D_size : (part + 1) * D_size],
            sums[part],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def sum_tiles(first, end, x, N, H, W, C, ph, pw, gy, OH, OW, K, V, D, sums):
    for start in range(first, end, PART_BLOCK):
        stop = min(end, start + PART_BLOCK)
        both_transforms(0, stop - start, start, stop, x, N, H, W, C, ph, pw, gy, OH, OW, K, V, D)
        add_entries(0, ENTRIES, stop - start, V, D, sums, C, K)


@njit(parallel=True, cache=True)
def add_block(first, end, x, N, H, W, C, ph, pw, gy, OH, OW, K, V, D, sums):
    """What a large block of tiles adds: first all threads transform, then all multiply."""
    rows = end - first
    for part in prange(TRANSFORM_PARTS):
        both_transforms(
            rows * part // TRANSFORM_PARTS, rows * (part + 1) // TRANSFORM_PARTS, first, end,
            x, N, H, W, C, ph, pw, gy, OH, OW, K, V, D,
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
    first, end, block_start, block_end, x, N, H, W, C, ph, pw, gy, OH, OW, K, V, D
):  # fmt: skip
    V_row, D_row = spread(block_rows(C)), panels(K) * PANEL
    rows = block_end - block_start
    V_entry, D_entry = spread(rows * V_row), spread(rows * D_row)
    check_room(len(V), V_entry)
    check_room(len(D), D_entry)
    around = np.empty(ENTRIES * WIDTH, np.float32)
    transform_picture(
        block_start + first, block_start + end, x, H, W, C, ph, pw, OH, OW,
        V[first * V_row :], V_row, V_entry,
    )  # fmt: skip
    for row in range(first, end):
        n, oh, ow = tile_place(block_start + row, OH, OW)
        for k in range(0, K, WIDTH):
            target = row * D_row + k
            if oh + TILE <= OH and ow + TILE <= OW:
                source = ((n * OH + oh) * OW + ow) * K + k
                transform_output_gradients(
                    gy, source, OW * K, K, D, target, READS * D_entry, D_entry
                )
            else:
                copy_tile(gy, n, oh, ow, OH, OW, K, k, TILE, around)
                transform_output_gradients(
                    around, 0, TILE * WIDTH, WIDTH, D, target, READS * D_entry, D_entry
                )


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
def kernel_gradients(bounds, sums, C, K, gw):
    """gw = G^T sums G."""
    row = panels(K) * PANEL
    entry = spread(block_rows(C) * row)
    for block in prange(len(bounds) - 1):
        for c in range(bounds[block], bounds[block + 1]):
            for k in range(0, K, WIDTH):
                transform_kernel_gradients(
                    sums, c * row + k, READS * entry, entry, gw, c * K + k, 3 * C * K, C * K
                )
