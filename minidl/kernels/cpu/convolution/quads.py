"""The gradient of x of a 4x4 convolution with stride 2, where x has up to four channels.

It is what a generator's last layer draws with: a transposed convolution to the colours of a
picture. As in halving.py, pixel (2 m + i - 1, 2 l + j - 1) of it is of phase (i, j), and all four
phases of (m, l), a *quad*, read the same 2x2 pixels of gy:

    gx[2 m + i - 1, 2 l + j - 1] = sum over a and b of gy[m - a, l - b] w[2 a + i, 2 b + j]

A quad has 4 C numbers, which fill the lanes of a vector; so quads are products of a matrix with 16
columns, and the rows of the other one lie in gy, two runs of 2 K numbers each (direct.py). Plain
sums of products, of nothing but those that are needed.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.block_products import product_of
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.matrix_product import (
    BLOCKS,
    LARGE,
    SMALL,
    block_rows,
    check_blocks,
    takes_large,
)
from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.memory import aligned, scratch

LANES = 16  # of a quad, of which 4 C are used
MOST_TAPS = 2**10  # products in a sum
LEAST_COLUMNS = 8  # of gy: two more are computed
WORK_PER_NUMBER = 16  # multiply-adds that take as long as to move a number

large_block = product_of(LARGE, LANES // WIDTH)
small_block = product_of(SMALL, LANES // WIDTH)


def is_faster(result, array, x_shape, w_shape, stride, padding, dilation, groups):
    """These kernels compute this result, and faster than im2col; see conv2d.choose."""
    K, C = w_shape[:2]
    if result != "gx" or array.dtype != np.float32 or w_shape[2:] != (4, 4) or stride != (2, 2):
        return False
    if padding != (1, 1) or dilation != (1, 1) or groups != 1 or min(x_shape) == 0:
        return False
    H, W = x_shape[2:]
    return 4 * C <= LANES and 4 * K <= MOST_TAPS and H % 2 == W % 2 == 0 and W // 2 >= LEAST_COLUMNS


def backward_input(gy, w, x_shape, stride, padding, dilation, groups):
    (N, C, H, W), gy = x_shape, channels_last(gy)
    K, gx = gy.shape[3], aligned((N, H, W, C), gy.dtype)
    columns = W // 2 + 2
    rows = block_rows((H // 2 + 1) * columns)
    size = (rows + columns + 1) * K  # the last row reads a pixel, and one in the row below
    with (
        scratch(get_num_threads() * (size + rows * LANES)) as (work,),
        threads_for(gy.size * 4 * LANES // WORK_PER_NUMBER),
    ):
        draw(BLOCKS, gy, quad_weights(w), work, size, rows * LANES, gx.reshape(N, H, W * C))
    return channels_first(gx)


def quad_weights(w):
    """Flat (2, 2, K, LANES): for each pixel of gy that a quad reads, what it adds to it."""
    K, C, _, _ = w.shape
    taps = w.reshape(K, C, 2, 2, 2, 2)[:, :, ::-1, :, ::-1]  # a and b from the last to the first
    weights = np.zeros((2, 2, K, LANES), np.float32)
    weights[..., : 4 * C] = taps.transpose(2, 4, 0, 3, 5, 1).reshape(2, 2, K, 4 * C)
    return weights.reshape(-1)


@njit(parallel=True, cache=True)
def draw(blocks, gy, weights, work, size, quads, gx):
    check_blocks(blocks, BLOCKS)
    for n in prange(len(gy)):
        mine = get_thread_id() * (size + quads)
        draw_picture(
            gy[n], weights, work[mine : mine + size], work[mine + size : mine + size + quads], gx[n]
        )


@njit(nogil=True, cache=True)
def draw_picture(gy, weights, around, quads, gx):
    OH, OW, K = gy.shape
    fill(gy, around)
    columns, C2 = OW + 2, gx.shape[1] // OW  # C2: numbers of two neighbours in a row of gx
    multiply_quads((OH + 1) * columns, 2 * K, around, K, columns * K, weights, quads)
    for h in range(2 * OH):
        m, i = (h + 1) // 2, (h + 1) % 2
        write_row(OW, C2, quads, m * columns * LANES + i * C2, gx[h])


@njit(nogil=True, cache=True)
def fill(gy, around):
    """gy with a pixel of zeros on each side, and what blocks read behind the end."""
    OH, OW, K = gy.shape
    row = (OW + 2) * K
    around[:row] = 0
    around[(OH + 1) * row :] = 0
    for h in range(OH):
        start = (h + 1) * row
        around[start : start + K] = 0
        around[start + K : start + row - K] = gy[h].reshape(-1)
        around[start + row - K : start + row] = 0


@njit(nogil=True, cache=True)
def multiply_quads(rows, K, a, a_row, a_run, weights, quads):
    """All quads of a picture, each of two runs of K numbers. The last of each row of pixels, which
    reads the end of one and the beginning of the next, is none."""
    done = 0
    while done < rows:
        start, target = done * a_row, done * LANES
        if takes_large(rows - done):
            large_block(2, K, a, start, a_row, a_run, 1, weights, 0, LANES, quads, target, LANES, 0)
            done += LARGE
        else:
            small_block(2, K, a, start, a_row, a_run, 1, weights, 0, LANES, quads, target, LANES, 0)
            done += SMALL


@njit(nogil=True, cache=True)
def write_row(OW, C2, quads, lane, gx):
    """Two neighbours of each quad; of the first quad the second one, of the last the first."""
    C = C2 // 2
    for c in range(C):
        gx[c] = quads[lane + C + c]
        gx[OW * C2 - C + c] = quads[OW * LANES + lane + c]
    for q in range(1, OW):
        for c in range(C2):
            gx[q * C2 - C + c] = quads[q * LANES + lane + c]
