"""Depthwise convolution: each channel of the picture has windows of its own (groups = C).

    y[n,oh,ow,k] = b[k] + sum over r, s of w[k,r,s] x[n, oh sh + r dh - ph, ow sw + s dw - pw, c]
    gw[k,r,s]    = sum over n, oh, ow of gy[n,oh,ow,k] x[n, oh sh + r dh - ph, ow sw + s dw - pw, c]

where window k sees channel c = k / (K / C); usually K = C. Nothing is summed over channels: a
matrix product would gain nothing, and there is little to compute for what is read and written. It
is memory that takes the time. Pictures lie channels-last. A row of outputs is computed in blocks of
a few neighbours. In a block one vector of channels follows another, so that memory is read and
written in its own order, and the sums of a vector stay in registers while the taps of the window go
by (vector/tap_products.py). Windows are read where they lie; of those that stick out of the
picture, the part inside. Tables say which part that is (depthwise_plan.py).

The gradient of x is such a sum, too: what x[h, v] gets depends on the remainders of h and v modulo
the stride, and for each remainder it is a convolution of gy with some of the taps.

A sum of the gradient of w goes over millions of pixels. Those of some ADDED blocks are made in the
arrays' precision, and the sum of these in float64.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.cpu.convolution.depthwise_plan import KINDS, backward_plan, forward_plan
from minidl.kernels.cpu.convolution.im2col import output_size
from minidl.kernels.cpu.threads.workers import SMALL, threads_for
from minidl.kernels.cpu.vector.instructions import AVX512, WIDTH
from minidl.kernels.cpu.vector.matrix_product import check_blocks, empty_into
from minidl.kernels.cpu.vector.moves import prefetch
from minidl.kernels.cpu.vector.tap_products import tap_dots_of, tap_sums_of
from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.memory import aligned

OUTPUTS = 14 if AVX512 else 7  # in a block: their sums, five weights and a pixel fill the registers
DOTS = 7  # in a block, for the gradient of w
BLOCKS = OUTPUTS, DOTS, WIDTH
PARTS = 16  # into which all rows of outputs are divided
SUMS = 8  # how many sums of weight gradients are made side by side
ADDED = 32  # blocks in a sum in the arrays' precision

tap_sums = tap_sums_of(OUTPUTS, KINDS)
tap_dots = tap_dots_of(DOTS, KINDS)


def is_faster(result, array, x_shape, w_shape, stride, padding, dilation, groups):
    """These kernels compute this result, and faster than others; see conv2d.choose."""
    windows = 1 < groups == x_shape[1] and w_shape[0] >= WIDTH
    return windows and min(x_shape) > 0 and array.size > 0


def forward(x, w, b, stride, padding, dilation, groups):
    K, _, R, S = w.shape
    x = for_each_window(channels_last(x), K)
    size = x.shape[1:3]
    out_size = output_size(x.shape, R, S, stride, padding, dilation)
    plan = forward_plan(OUTPUTS, K, (R, S), size, out_size, stride, padding[:2], dilation)
    y = aligned((len(x), *out_size, K), x.dtype)
    bias = np.zeros(K, x.dtype) if b is None else np.ascontiguousarray(b)
    convolve(x, w, bias, plan, y)
    return channels_first(y)


def backward_input(gy, w, x_shape, stride, padding, dilation, groups):
    (N, C, *out_size), (K, _, *window) = x_shape, w.shape
    gy = channels_last(gy)
    plan = backward_plan(
        OUTPUTS, K, tuple(window), gy.shape[1:3], tuple(out_size), stride, padding[:2], dilation
    )
    gx = aligned((N, *out_size, K), gy.dtype)
    convolve(gy, w, np.zeros(K, gy.dtype), plan, gx)
    if K > C:
        gx = gx.reshape(N, *out_size, C, K // C).sum(axis=-1)
    return channels_first(gx)


def for_each_window(x, K):
    """x (N, H, W, C) with each channel as often as it has windows: (N, H, W, K)."""
    C = x.shape[3]
    return x if C == K else np.repeat(x, K // C, axis=3)


def taps_of(w):
    """Weights (K, 1, R, S) as flat (R, S, K), as which they usually lie in memory."""
    return np.ascontiguousarray(w.transpose(2, 3, 1, 0)).reshape(-1)


def convolve(x, w, bias, plan, y):
    N, rows, _, K = y.shape
    parts = N * rows * np.arange(PARTS + 1) // PARTS
    with threads_for(work(x, y, w.shape)):
        convolve_parts(
            BLOCKS, parts, x.reshape(N, -1), taps_of(w), bias, y.reshape(N * rows, -1), K, *plan
        )


def work(x, y, w_shape):
    """As many numbers, about, could be moved meanwhile: in a cache, four taps take as long."""
    return x.size + y.size * (1 + w_shape[2] * w_shape[3] // 4)


@njit(parallel=True, cache=True)
def convolve_parts(
    blocks_now, parts, x, w, bias, y, K, starts, rows, runs, blocks, steps, ahead
):  # fmt: skip
    check_blocks(blocks_now, BLOCKS)
    H = len(starts) - 1
    for part in prange(len(parts) - 1):
        for row in range(parts[part], parts[part + 1]):
            h = row % H
            convolve_row(
                x[row // H], w, bias, y[row], K, starts[h], starts[h + 1], rows, runs, blocks,
                steps, ahead,
            )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_row(x, w, bias, y, K, row, row_end, rows, runs, blocks, steps, ahead):
    x_step, w_step, y_step = steps
    for kind, start, count, run, run_end in blocks:
        for lanes in range(0, K, WIDTH):
            k = min(lanes, K - WIDTH)  # the last ones twice, where WIDTH does not divide K
            fetch(y, len(y) + start + k, count, y_step)
            if row_end > row:
                last = rows[2 * row_end - 2] + runs[4 * run] + k
                for i in range(ahead[0]):
                    fetch(x, last + (i + 1) * ahead[1], count * ahead[0], x_step)
            tap_sums(
                kind, rows, row, row_end, runs, run, run_end, x, k, x_step, w, k, w_step, bias, k,
                y, start + k, y_step, count,
            )  # fmt: skip


@njit(nogil=True, cache=True)
def fetch(array, start, count, step):
    """Bring into the cache what the next row of outputs needs: memory takes its time."""
    for j in range(count):
        prefetch(array, start + j * step)


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    (K, _, R, S), gy = w_shape, channels_last(gy)
    N, OH, OW, _ = gy.shape
    x = for_each_window(channels_last(x), K)
    room = -(-K // WIDTH) * WIDTH  # the last vector of channels has a place of its own
    plan = forward_plan(
        DOTS, K, (R, S), x.shape[1:3], (OH, OW), stride, padding[:2], dilation, room
    )  # fmt: skip
    n_sums = min(SUMS, N * OH) if work(x, gy, w_shape) >= SMALL else 1
    parts = N * OH * np.arange(n_sums + 1) // n_sums
    partial, total = (np.zeros((n_sums, R * S * room), dtype) for dtype in (x.dtype, np.float64))
    with threads_for(work(x, gy, w_shape)):
        add_parts(BLOCKS, parts, x.reshape(N, -1), gy.reshape(N * OH, -1), partial, total, K, *plan)
    total = total.sum(axis=0).reshape(R * S, room)
    gw = np.empty((R * S, K), x.dtype)
    gw[:, : room - WIDTH] = total[:, : room - WIDTH]
    gw[:, K - WIDTH :] = total[:, room - WIDTH :]
    return gw.reshape(R, S, 1, K).transpose(3, 2, 0, 1)


@njit(parallel=True, cache=True)
def add_parts(
    blocks_now, parts, x, gy, partial, total, K, starts, rows, runs, blocks, steps, ahead
):  # fmt: skip
    check_blocks(blocks_now, BLOCKS)
    H = len(starts) - 1
    for part in prange(len(parts) - 1):
        added = 0
        for row in range(parts[part], parts[part + 1]):
            h = row % H
            for first in range(0, len(blocks), ADDED):
                some = blocks[first : first + ADDED]
                add_row(
                    x[row // H], gy[row], partial[part], K, starts[h], starts[h + 1], rows, runs,
                    some, steps, ahead,
                )  # fmt: skip
                added += len(some)
                if added >= ADDED:
                    empty_into(partial[part], total[part])
                    added = 0
        empty_into(partial[part], total[part])


@njit(nogil=True, cache=True)
def add_row(x, gy, gw, K, row, row_end, rows, runs, blocks, steps, ahead):
    """To gw, what one row of outputs adds."""
    x_step, w_step, _ = steps
    for kind, start, count, run, run_end in blocks:
        for lanes in range(0, K, WIDTH):
            k = min(lanes, K - WIDTH)
            fetch(gy, len(gy) + start + k, count, K)
            if row_end > row:
                last = rows[2 * row_end - 2] + runs[4 * run] + k
                for i in range(ahead[0]):
                    fetch(x, last + (i + 1) * ahead[1], count * ahead[0], x_step)
            tap_dots(
                kind, rows, row, row_end, runs, run, run_end, x, k, x_step, gw, lanes, w_step,
                gy, start + k, K, count,
            )  # fmt: skip
