"""Batch and instance normalization over rows of C channels, in blocks of a fixed number of rows.

Each block is reduced by one thread, and the results of the blocks are added in their order. How
many threads there are changes who reduces a block, never what is added to what: the results are
the same bits. Statistics of blocks combine without a second pass over x (Chan et al. 1979):

    mean = sum_b M_b mean_b / M        M var = sum_b (M_b var_b + M_b (mean_b - mean)^2)

Inside a block, sums are of the dtype of x, which is twice as fast for float32; blocks are short,
and what is summed is x less the block's first row, so that a large mean costs no digits. Blocks are
combined in float64. Where the mean is taken away from x, it is in two numbers of that dtype, the
nearest one and the rest, for the same reason.

Functions and shapes as in the reference kernel; inside, x is (groups, M / r, r C), r rows beside
each other: loops over a few channels would be too short to be fast. A statistic of C channels
stands r times beside itself there (`beside`).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

BLOCK_VALUES = 2**15  # x values in a block: 128 rows beside each other, and some to share out
LOOP_VALUES = 256  # how long an inner loop should be


def statistics(x, per_image):
    groups, C = len(x) if per_image else 1, x.shape[1]
    x = as_rows(x, groups)
    block_rows, counts = split(x, C)
    means = np.empty((groups, len(counts), C))
    squares = np.empty_like(means)
    block_moments(x, block_rows, means, squares)
    M = counts.sum()
    mean = (counts * means).sum(axis=1) / M
    squares += counts * np.square(means - mean[:, None])
    return mean, squares.sum(axis=1) / M


def normalize(x, mean, inv_std, w, b):
    rows = as_rows(x, len(mean))
    y = np.empty_like(rows)
    near, rest = nearest_and_rest(mean, x.dtype)
    scale = inv_std * w
    # y = (x - near) scale + (b - rest scale)
    scale_rows(
        rows, beside(near, rows), beside(scale, rows), beside(b - rest * scale, rows),
        split(rows, x.shape[1])[0], y,
    )  # fmt: skip
    return as_logical(y, x.shape)


def gradient_sums(gy, x, mean, inv_std):
    x, gy = as_rows(x, len(mean)), as_rows(gy, len(mean))
    C = mean.shape[1]
    block_rows, counts = split(x, C)
    near, rest = nearest_and_rest(mean, x.dtype)
    sums = np.empty((2, len(x), len(counts), C))
    block_gradient_sums(gy, x, beside(near, x), block_rows, sums[0], sums[1])
    sum_gy, sum_gy_near = sums.sum(axis=2)
    return sum_gy, (sum_gy_near - rest * sum_gy) * inv_std


def backward_training(gy, x, mean, inv_std, w, mean_gy, mean_gy_xhat):
    x, gy_rows = as_rows(x, len(mean)), as_rows(gy, len(mean))
    gx = np.empty_like(x)
    near, rest = nearest_and_rest(mean, x.dtype)
    # gx = (gy - mean_gy - xhat mean_gy_xhat) scale, with xhat = (x - near - rest) inv_std
    scale, slope = inv_std * w, inv_std * mean_gy_xhat
    gradient_rows(
        gy_rows, x, beside(near, x), beside(scale, x), beside(slope * scale, x),
        beside((mean_gy - rest * slope) * scale, x), split(x, len(w))[0], gx,
    )  # fmt: skip
    return as_logical(gx, gy.shape)


def backward_evaluation(gy, inv_std, w):
    scale = (inv_std * w).astype(gy.dtype)
    N, C = gy.shape[:2]
    pixels = gy.size // max(1, len(scale) * C)
    rows = np.ascontiguousarray(np.moveaxis(gy, 1, -1)).reshape(len(scale), pixels, C)
    return as_logical(rows * scale[:, None], gy.shape)


def as_rows(x, groups):
    """(N, C, ...) as contiguous (groups, M / r, r C); no copy where the memory is channels-last."""
    rows = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    C = x.shape[1]
    M = math.prod(x.shape[2:]) * (1 if groups == len(x) else len(x))
    r = math.gcd(M, 2 ** max(0, (LOOP_VALUES // max(1, C)).bit_length() - 1))
    return rows.reshape(groups, M // r, r * C)


def as_logical(rows, shape):
    """Rows seen as the (N, C, ...) that they came from."""
    N, C, *pixels = shape
    return np.moveaxis(rows.reshape(N, *pixels, C), -1, 1)


def split(x, C):
    """Wide rows in a block, and (blocks, 1) values of a channel in each: the last has the rest."""
    _, M, values = x.shape
    block_rows = max(1, BLOCK_VALUES // max(1, values))
    first = np.arange(0, M, block_rows)
    return block_rows, np.minimum(block_rows, M - first)[:, None] * (values // max(1, C))


def nearest_and_rest(mean, dtype):
    """The nearest number of that dtype, and what is missing."""
    near = mean.astype(dtype).astype(np.float64)
    return near, mean - near


def beside(statistic, rows):
    """(groups, C) or (C,) as (groups, r C) of the dtype of the rows: once for each row."""
    statistic = np.broadcast_to(statistic, (len(rows), statistic.shape[-1])).astype(rows.dtype)
    return np.tile(statistic, rows.shape[2] // max(1, statistic.shape[1]))


@njit(parallel=True, cache=True)
def block_moments(x, block_rows, means, squares):
    """For each block and channel the mean, and the sum of squared distances from it."""
    groups, M, values = x.shape
    blocks, C = means.shape[1:]
    for block in prange(groups * blocks):
        g, b = block // blocks, block % blocks
        begin, end = b * block_rows, min(M, (b + 1) * block_rows)
        sums, sums_of_squares = np.zeros(values, x.dtype), np.zeros(values, x.dtype)
        origin = np.empty(values, x.dtype)
        for i in range(values):
            origin[i] = x[g, begin, i % C]
        for m in range(begin, end):
            for i in range(values):
                distance = x[g, m, i] - origin[i]
                sums[i] += distance
                sums_of_squares[i] += distance * distance
        count = (end - begin) * (values // C)
        for c in range(C):
            total = total_of_squares = 0.0
            for i in range(c, values, C):
                total += sums[i]
                total_of_squares += sums_of_squares[i]
            means[g, b, c] = origin[c] + total / count
            squares[g, b, c] = max(0.0, total_of_squares - total * total / count)


@njit(parallel=True, cache=True)
def scale_rows(x, near, scale, shift, block_rows, y):
    """y = (x - near) scale + shift."""
    groups, M, values = x.shape
    blocks = (M + block_rows - 1) // block_rows
    for block in prange(groups * blocks):
        g, b = block // blocks, block % blocks
        for m in range(b * block_rows, min(M, (b + 1) * block_rows)):
            for i in range(values):
                y[g, m, i] = (x[g, m, i] - near[g, i]) * scale[g, i] + shift[g, i]


@njit(parallel=True, cache=True)
def block_gradient_sums(gy, x, near, block_rows, sum_gy, sum_gy_near):
    """For each block and channel sum gy and sum gy (x - near)."""
    groups, M, values = x.shape
    blocks, C = sum_gy.shape[1:]
    for block in prange(groups * blocks):
        g, b = block // blocks, block % blocks
        plain, product = np.zeros(values, x.dtype), np.zeros(values, x.dtype)
        for m in range(b * block_rows, min(M, (b + 1) * block_rows)):
            for i in range(values):
                plain[i] += gy[g, m, i]
                product[i] += gy[g, m, i] * (x[g, m, i] - near[g, i])
        for c in range(C):
            total = total_product = 0.0
            for i in range(c, values, C):
                total += plain[i]
                total_product += product[i]
            sum_gy[g, b, c], sum_gy_near[g, b, c] = total, total_product


@njit(parallel=True, cache=True)
def gradient_rows(gy, x, near, scale, slope, shift, block_rows, gx):
    """gx = gy scale - (x - near) slope - shift."""
    groups, M, values = x.shape
    blocks = (M + block_rows - 1) // block_rows
    for block in prange(groups * blocks):
        g, b = block // blocks, block % blocks
        for m in range(b * block_rows, min(M, (b + 1) * block_rows)):
            for i in range(values):
                away = (x[g, m, i] - near[g, i]) * slope[g, i]
                gx[g, m, i] = gy[g, m, i] * scale[g, i] - away - shift[g, i]
