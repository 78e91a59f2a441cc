"""Convolutions of few channels: the pictures of a batch side by side in memory.

A network like LeNet-5 has one to sixteen channels, fewer than fill a vector, or so few that a
matrix product of them is all edges. What it has are many pictures. So here a vector holds the same
pixel of WIDTH pictures, x lies in memory as (C, H, W, N), and every instruction does the same for
all of them, as if there were one picture of numbers WIDTH wide. No columns are copied together: a
window is read where it lies,

    y[k, oh, ow] = b[k] + sum over taps (r, s, c) of w[k, c, r, s] x[c, oh + r - ph, ow + s - pw]

for a block of output channels and two vectors of pictures at a time, whose sums stay in registers
(lane_products.py). At the border of the picture, the taps outside are left out (elsewhere they are
products with zero, which makes NaN of an infinite weight). The gradient of x is the same sum with
the kernels turned by half a turn. The gradient of w is a sum over the pixels
of products of two rows, vector by vector,

    gw[k, c, r, s] = sum over oh, ow, n of gy[k, oh, ow, n] x[c, oh + r - ph, ow + s - pw, n]

where (ow, n) of a row lie side by side in both, so that it is a plain scalar product.

Pooling takes its input as it lies, and so does all that works number by number. So in a network of
convolutions, activations and pools the activations stay in this order (layout.py); a batch norm or
a dropout of whole maps brings them into the other.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.instructions import AVX512, WIDTH
from minidl.kernels.cpu.vector.lane_products import gathered_product_of, lane_dots_of
from minidl.kernels.cpu.vector.matrix_product import (
    EVEN,
    LARGE,
    SMALL,
    block_rows,
    check_blocks,
    empty_into,
    takes_large,
)
from minidl.kernels.cpu.vector.transpose import transpose_matrix
from minidl.kernels.layout import BATCH_LAST, arranged, logical, order_of
from minidl.kernels.sums import PRODUCTS, RUN

LANES = 2 * WIDTH  # pictures at a time
BLOCKS = (LARGE, SMALL, LANES, EVEN)
MOST_CHANNELS = 32  # of input and output; with more, a matrix product over channels is faster
FEW_IN, FEW_OUT = 8, 16  # with fewer, it pays to bring x into this order
WORK_PER_NUMBER = 16  # multiply-adds that take as long as to move a number
SUMS = 4  # how many sums of weight gradients are made side by side
DOT_ROWS, DOT_COLUMNS = (6, 4) if AVX512 else (6, 2)  # sums that fit into the registers
DOT_BLOCKS = (DOT_ROWS, DOT_COLUMNS, WIDTH)

large_product = gathered_product_of(LARGE, 2)
small_product = gathered_product_of(SMALL, 2)
dots = lane_dots_of(DOT_ROWS, DOT_COLUMNS)


def is_faster(result, array, x_shape, w_shape, stride, padding, dilation, groups):
    """These kernels compute this result, and faster than others; see conv2d.choose."""
    K, C, _, _ = w_shape
    if array.dtype != np.float32 or stride != (1, 1) or dilation != (1, 1) or groups > 1:
        return False
    if max(K, C) > MOST_CHANNELS or len(array) % LANES or array.size == 0:
        return False
    return order_of(array) == BATCH_LAST or (C < FEW_IN and K < FEW_OUT)


def forward(x, w, b, stride, padding, dilation, groups):
    return convolve(x, w.transpose(2, 3, 1, 0), b, padding)


def backward_input(gy, w, x_shape, stride, padding, dilation, groups):
    R, S = w.shape[2:]
    turned = w[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
    taps = (R, S) * (len(padding) // 2)
    return convolve(gy, turned, None, tuple(n - 1 - p for n, p in zip(taps, padding)))


def batch_behind(x):
    """Logical (N, C, H, W) as contiguous (C, H, W, N); no copy where it lies so already."""
    if order_of(x) == BATCH_LAST or not x.flags.c_contiguous:
        return arranged(x, BATCH_LAST)
    y = np.empty((*x.shape[1:], len(x)), x.dtype)
    transpose_matrix(x.reshape(len(x), -1), y.reshape(-1, len(x)))
    return y


def convolve(x, w, b, padding):
    """x, logical (N, C, H, W), convolved with w (R, S, C, K). The padding may be negative."""
    x = batch_behind(x)
    (C, H, W, N), (R, S, _, K) = x.shape, w.shape
    OH, OW = H + padding[0] + padding[-2] - R + 1, W + padding[1] + padding[-1] - S + 1
    rows = block_rows(K)  # blocks write so many channels
    weights, bias = np.zeros((R * S * C, rows), np.float32), np.zeros(rows, np.float32)
    weights[:, :K] = w.reshape(-1, K)
    if b is not None:
        bias[:K] = b
    y = np.empty((rows, OH, OW, N), np.float32)
    sizes = (C, H, W, N, R, S, rows, OH, OW)
    # y is a view: where K does not fill its last block, the rest stays with it.
    offsets = offsets_of("rsc", R, S, C, H, W, N)
    with threads_for(weights.size * OH * OW * N // WORK_PER_NUMBER):
        convolve_rows(
            BLOCKS, x.reshape(-1), weights.reshape(-1), offsets, bias, y.reshape(-1), sizes,
            padding[:2],
        )  # fmt: skip
    return logical(y[:K], BATCH_LAST)


def offsets_of(order, R, S, C, H, W, N):
    """Where the taps read, counted from the first tap of channel 0, in the order of the letters."""
    steps = {"r": W * N, "s": N, "c": H * W * N}
    counts = {"r": R, "s": S, "c": C}
    axes = [np.arange(counts[letter], dtype=np.intp) * steps[letter] for letter in order]
    return (axes[0][:, None, None] + axes[1][:, None] + axes[2]).reshape(-1)


@njit(parallel=True, cache=True)
def convolve_rows(blocks, x, weights, offsets, bias, y, sizes, padding):
    check_blocks(blocks, BLOCKS)
    OH = sizes[7]
    for oh in prange(OH):
        convolve_row(oh, x, weights, offsets, bias, y, sizes, padding)


@njit(nogil=True, cache=True)
def convolve_row(oh, x, weights, offsets, bias, y, sizes, padding):
    """One row of outputs of all pictures and channels."""
    C, H, W, N, R, S, K, OH, OW = sizes
    h = oh - padding[0]
    first_r, end_r = max(0, -h), min(R, H - h)
    for n in range(0, N, LANES):
        k = 0
        while k < K:
            large = takes_large(K - k)
            for ow in range(OW):
                v = ow - padding[1]
                target = ((k * OH + oh) * OW + ow) * N + n
                first_s, end_s = max(0, -v), min(S, W - v)
                # Taps that lie side by side in the table: all rows, or where the window sticks out
                # at the left or right, each row for itself.
                rows, count = max(0, end_r - first_r), max(0, end_s - first_s) * C
                pieces = rows
                if rows == 0 or end_s - first_s == S:
                    pieces, count = 1, rows * count
                for piece in range(pieces):
                    tap = ((first_r + piece) * S + first_s) * C
                    source, add = (h * W + v) * N + n, 1 if piece else 0
                    if large:
                        large_product(
                            count, weights, tap * K + k, K, offsets, tap, x, source,
                            bias, k, y, target, OH * OW * N, add,
                        )  # fmt: skip
                    else:
                        small_product(
                            count, weights, tap * K + k, K, offsets, tap, x, source,
                            bias, k, y, target, OH * OW * N, add,
                        )  # fmt: skip
            k += LARGE if large else SMALL


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    K, C, R, S = w_shape
    x, gy = with_border(batch_behind(x), padding), batch_behind(gy)
    (_, H, W, N), (_, OH, OW, _) = x.shape, gy.shape
    n_taps = C * R * S
    row_blocks, tap_blocks = -(-K // DOT_ROWS), -(-n_taps // DOT_COLUMNS)
    sums = np.zeros((SUMS, row_blocks, tap_blocks, DOT_ROWS, DOT_COLUMNS, WIDTH), np.float32)
    with threads_for(gy.size * n_taps // WORK_PER_NUMBER):
        add_rows(
            DOT_BLOCKS, gy.reshape(-1), x.reshape(-1), offsets_of("crs", R, S, C, H, W, N),
            sums.reshape(SUMS, -1), (K, OH, OW, W, N, n_taps),
        )  # fmt: skip
    # One after the other: NumPy sums the long rows of the first axis several times as fast.
    gw = sums.sum(axis=0).sum(axis=-1).transpose(0, 2, 1, 3)
    gw = gw.reshape(row_blocks * DOT_ROWS, tap_blocks * DOT_COLUMNS)
    return gw[:K, :n_taps].reshape(w_shape)


def with_border(x, padding):
    """x (C, H, W, N) with zeros around it."""
    if padding == (0, 0):
        return x
    (C, H, W, N), (top, left) = x.shape, padding[:2]
    padded = np.zeros((C, H + top + padding[-2], W + left + padding[-1], N), x.dtype)
    padded[:, top : top + H, left : left + W] = x
    return padded


@njit(parallel=True, cache=True)
def add_rows(blocks, gy, x, offsets, sums, sizes):
    """To each sum, what its share of the rows of outputs adds to the gradient."""
    check_blocks(blocks, DOT_BLOCKS)
    for number in prange(len(sums)):
        add_some_rows(number, gy, x, offsets, sums[number], sizes)


@njit(nogil=True, cache=True)
def add_some_rows(number, gy, x, offsets, sums, sizes):
    K, OH, OW, W, N, n_taps = sizes
    first, end, vectors, runs = OH * number // SUMS, OH * (number + 1) // SUMS, OW * N // WIDTH, 0
    is_long = (end - first) * vectors > 2 * RUN * PRODUCTS
    total = np.zeros(len(sums) if is_long else 0)
    for oh in range(first, end):
        for start in range(0, vectors, PRODUCTS):
            count, at = min(PRODUCTS, vectors - start), start * WIDTH
            target = 0
            for k in range(0, K, DOT_ROWS):
                for tap in range(0, n_taps, DOT_COLUMNS):
                    dots(
                        count, gy, (k * OH + oh) * OW * N + at, OH * OW * N, min(DOT_ROWS, K - k),
                        x, oh * W * N + at, offsets, tap, min(DOT_COLUMNS, n_taps - tap),
                        sums, target,
                    )  # fmt: skip
                    target += DOT_ROWS * DOT_COLUMNS * WIDTH
            runs += 1
            if is_long and runs == RUN:
                empty_into(sums, total)
                runs = 0
    if is_long:
        empty_into(sums, total)
        sums[:] = total
