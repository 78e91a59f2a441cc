"""Convolution as a matrix product whose left matrix is never written (direct convolution).

In the column matrix of im2col.py the row of an output pixel is what its window reads.
Where pictures lie channels-last, each row of the window is one *run* of S C numbers, and the window
of the next pixel begins sw C numbers further on. A product that is told these distances finds the
rows of the matrix in the picture itself (vector/matrix_product.py, multiply_runs):

    y[pixel, k] = sum over r, v of x[pixel sw C + r (a row of the picture) + v] w[r, v, k]

with v = (s, c). Nothing is copied but a *band*: those rows of a picture that a few rows of outputs
read, with the zeros of the padding around them. The gradient of w is the product of the same
matrix, transposed, with gy:

    gw[r, v, k] = sum over pixels of x[pixel sw C + r (a row of the picture) + v] gy[pixel, k]

This is the idea of "The indirect convolution algorithm" (Dukhan 2019), with distances in place of
its pointers. It saves most where the columns are many and short, in the first layer of a network
and where a stride leaves few outputs. The gradient of x has gy in place of x and few lanes to fill
there; im2col.py computes it.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.matrix_product import (
    BLOCKS,
    LARGE,
    PANEL,
    block_rows,
    check_blocks,
    empty_into,
    multiply_runs,
    sum_runs,
)
from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.memory import aligned, scratch
from minidl.kernels.sums import PRODUCTS, RUN

MOST_TAPS = 2**10  # in a window; with more, products of a matrix written once are as fast
MOST_WEIGHTS = 2**18  # which are read for each row of outputs
BAND_NUMBERS = 2**15  # in a band (and its part of gy), unless one row of outputs needs more
SUMS = 8  # how many sums of weight gradients are made side by side, where there are bands for them
MOST_IN_FLOAT32 = 2 * RUN * PRODUCTS  # products that float32 adds up, PRODUCTS at a time
WORK_PER_NUMBER = 8  # multiply-adds that take as long as to move a number


def is_faster(result, array, x_shape, w_shape, stride, padding, dilation, groups):
    """These kernels compute this result, and faster than im2col; see conv2d.choose."""
    K, C, R, S = w_shape
    if result == "gx" or array.dtype != np.float32 or dilation != (1, 1) or groups > 1:
        return False
    # A row of outputs is computed in blocks of LARGE pixels, and reads all weights.
    OW = (x_shape[3] + padding[1] + padding[-1] - S) // stride[1] + 1
    return (
        min(x_shape) > 0
        and K % PANEL == 0
        and 1 < R * S
        and 0 < R * S * C <= MOST_TAPS
        and R * S * C * K <= MOST_WEIGHTS
        and OW >= LARGE
    )


def forward(x, w, b, stride, padding, dilation, groups, least=-np.inf, slope=1.0):
    x = channels_last(x)
    (N, H, W, C), (K, _, R, S) = x.shape, w.shape
    OH = (H + padding[0] + padding[-2] - R) // stride[0] + 1
    OW = (W + padding[1] + padding[-1] - S) // stride[1] + 1
    y = aligned((N, OH, OW, K), x.dtype)
    weights = w.reshape(K // PANEL, PANEL, C, R, S).transpose(0, 3, 4, 2, 1)  # panel behind panel
    bias = np.zeros(K, np.float32) if b is None else np.ascontiguousarray(b)
    width = (block_rows(OW) - 1) * stride[1] * C + S * C
    bands = bands_of(OH, stride[0] * width, R * width)
    size, products = band_size(bands, stride[0], R, width), block_rows(OW) * PANEL
    with (
        scratch(get_num_threads() * (size + products)) as (work,),
        threads_for(y.size * R * S * C // WORK_PER_NUMBER),
    ):
        convolve_bands(
            BLOCKS, bands, x.reshape(N, H, W * C), np.ascontiguousarray(weights).reshape(-1), bias,
            (R, S * C, stride[0], stride[1] * C, padding[0], padding[1] * C, width),
            work, size, products, np.float32(least), np.float32(slope), y.reshape(N, OH, OW * K),
        )  # fmt: skip
    return channels_first(y)


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    (K, C, R, S), x, gy = w_shape, channels_last(x), channels_last(gy)
    (N, H, W, _), (_, OH, OW, _) = x.shape, gy.shape
    rows = block_rows(S * C)  # blocks write so many, and read so far
    width = (OW - 1) * stride[1] * C + rows
    bands = bands_of(OH, stride[0] * width + OW * K, R * width)
    size = band_size(bands, stride[0], R, width)
    tasks = N * (len(bands) - 1)
    n_sums = min(SUMS, tasks)
    parts = tasks * np.arange(n_sums + 1) // n_sums
    sums = np.empty((n_sums, K // PANEL, R, rows, PANEL), np.float32)
    with (
        scratch(get_num_threads() * size) as (work,),
        threads_for(gy.size * R * S * C // WORK_PER_NUMBER),
    ):
        sum_parts(
            BLOCKS, parts, bands, x.reshape(N, H, W * C), gy.reshape(N, OH, OW * K),
            (R, S * C, stride[0], stride[1] * C, padding[0], padding[1] * C, width),
            work, size, sums.reshape(n_sums, -1),
        )  # fmt: skip
    gw = sums.sum(axis=0)[:, :, : S * C].reshape(K // PANEL, R, S, C, PANEL)
    gw = np.ascontiguousarray(gw.transpose(1, 2, 3, 0, 4)).reshape(R, S, C, K)
    return gw.transpose(3, 2, 0, 1)


def bands_of(OH, row, more):
    """Where bands begin and end: rows of outputs, of which each needs `row` numbers, and `more`."""
    at_once = max(1, (BAND_NUMBERS - more) // row)
    return np.array([*range(0, OH, at_once), OH])


def band_size(bands, stride, R, width):
    """Numbers in the largest band."""
    return ((int(np.diff(bands).max()) - 1) * stride + R) * width


# A window is (R, L, sh, step, ph, before, width): R runs of L numbers; the window of the next row
# of outputs begins sh rows below, that of the next pixel step numbers further on. Over a picture
# are ph rows of zeros, before each row there are `before` zeros. A row of a band has width numbers.


@njit(parallel=True, cache=True)
def convolve_bands(blocks, bands, x, weights, bias, window, work, size, products, least, slope, y):
    check_blocks(blocks, BLOCKS)
    for task in prange(len(x) * (len(bands) - 1)):
        mine = get_thread_id() * (size + products)
        n, number = task // (len(bands) - 1), task % (len(bands) - 1)
        convolve_band(
            bands[number], bands[number + 1], x[n], weights, bias, window,
            work[mine : mine + size], work[mine + size : mine + size + products],
            least, slope, y[n],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def convolve_band(first, end, x, weights, bias, window, band, products, least, slope, y):
    """Rows first to end of the outputs of one picture: `slope` times those below 0, then no less
    than `least`."""
    R, L, sh, step, _, _, width = window
    fill_band(first, end, x, window, band)
    pixels = y.shape[1] // len(bias)
    for oh in range(first, end):
        for p in range(len(bias) // PANEL):
            multiply_runs(
                pixels, R, L, band, (oh - first) * sh * width, step, width, 1,
                weights, p * R * L * PANEL, PANEL, products, 0, PANEL, 0,
            )  # fmt: skip
            for pixel in range(pixels):
                for k in range(PANEL):
                    output = products[pixel * PANEL + k] + bias[p * PANEL + k]
                    output = slope * output if output <= 0 else output
                    y[oh, pixel * len(bias) + p * PANEL + k] = least if output <= least else output


@njit(nogil=True, cache=True)
def fill_band(first, end, x, window, band):
    """The rows of x that rows first to end of the outputs read; zeros around the picture."""
    R, _, sh, _, ph, before, width = window
    H, row_size = x.shape
    begin = min(before, width)
    stop = max(begin, min(width, before + row_size))
    for i in range((end - first - 1) * sh + R):
        h = first * sh - ph + i
        row = band[i * width : (i + 1) * width]
        if 0 <= h < H:
            row[:begin] = 0
            row[begin:stop] = x[h, begin - before : stop - before]
            row[stop:] = 0
        else:
            row[:] = 0


@njit(parallel=True, cache=True)
def sum_parts(blocks, parts, bands, x, gy, window, work, size, sums):
    """What each part adds to gw, to a sum of its own.

    That is made in float32. Where it becomes long, it is moved to `total`, in float64, whenever it
    holds about RUN sums of PRODUCTS (kernels/sums.py).
    """
    check_blocks(blocks, BLOCKS)
    n_sums, numbers = sums.shape
    pixels = gy.shape[2] // (numbers // (window[0] * block_rows(window[1])))
    for part in prange(n_sums):
        mine = get_thread_id() * size
        sum_, runs = sums[part], 0
        sum_[:] = 0
        expected = (parts[part + 1] - parts[part]) * gy.shape[1] // (len(bands) - 1) * pixels
        total = np.zeros(numbers if expected > MOST_IN_FLOAT32 else 0)
        for task in range(parts[part], parts[part + 1]):
            n, number = task // (len(bands) - 1), task % (len(bands) - 1)
            runs = add_band(
                bands[number], bands[number + 1], x[n], gy[n].reshape(-1), len(gy[n]), window,
                work[mine : mine + size], runs, sum_, total,
            )  # fmt: skip
        if len(total) > 0:
            empty_into(sum_, total)
            sum_[:] = total


@njit(nogil=True, cache=True)
def add_band(first, end, x, gy, OH, window, band, runs, gw, total):
    """What rows first to end of the outputs of one picture add to gw, which holds `runs` sums."""
    fill_band(first, end, x, window, band)
    R, L, sh, step, _, _, width = window
    rows = block_rows(L)
    K = len(gw) // (R * rows)
    pixels = len(gy) // OH // K
    at_once = min(pixels, RUN * PRODUCTS)
    more = max(1, RUN * PRODUCTS // at_once)  # rows of outputs
    for oh in range(first, end, more):
        end_oh = min(oh + more, end)
        for ow in range(0, pixels, at_once):
            count = min(at_once, pixels - ow)
            for p in range(K // PANEL):
                for r in range(R):
                    sum_runs(
                        L, end_oh - oh, count, band, (r + (oh - first) * sh) * width + ow * step,
                        sh * width, step, gy, (oh * pixels + ow) * K + p * PANEL, K,
                        gw, (p * R + r) * rows * PANEL, PANEL, 1,
                    )  # fmt: skip
            runs += ((end_oh - oh) * count + PRODUCTS - 1) // PRODUCTS
            if runs >= RUN and len(total) > 0:
                empty_into(gw, total)
                runs = 0
    return runs
