"""Batch and instance normalization over rows of channels, in blocks of a fixed number of rows.

Each block is reduced by one thread, and the results of the blocks are added in their order. How
many threads there are changes who reduces a block, never what is added to what: the results are
the same bits. Statistics of blocks combine without a second pass over x (Chan et al. 1979):

    mean = sum_b M_b mean_b / M        M var = sum_b (M_b var_b + M_b (mean_b - mean)^2)

Functions and shapes as in the reference kernel; inside, x is (groups, M, C), or with p pixels in a
row (groups, M / p, p C): see as_rows.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from minidl.kernels.memory import aligned

BLOCK_VALUES = 2**14  # x values in a block: 64 kB of float32, so that the second look is cached
LONG_ROW = 128  # numbers that some pixels have together at most
LARGE = 2**20  # so many values are worth a second thread


def statistics(x, per_image):
    rows = as_rows(x, len(x) if per_image else 1)
    groups, M, numbers = rows.shape
    mean, variance = np.empty((2, groups, x.shape[1]))
    means, squares = np.empty((2, groups, blocks_of(rows), numbers))
    run(block_moments, share_block_moments, rows, rows_in_block(numbers), means, squares)
    means, squares = of_pixels(means, x), of_pixels(squares, x)
    parts = means.shape[1] // max(1, blocks_of(rows))
    add_moments(M, rows_in_block(numbers), parts, means, squares, mean, variance)
    return mean, variance


def normalize(x, mean, inv_std, w, b, relu=False):
    rows = as_rows(x, len(mean))
    y, numbers = aligned(rows.shape, rows.dtype), rows.shape[2]
    vectors = [of_row(vector, numbers) for vector in (mean, inv_std, w, b)]
    run(scale_rows, share_scale_rows, rows, rows_in_block(numbers), *vectors, relu, y)
    return as_logical(y, x.shape)


def gradient_sums(gy, x, mean, inv_std):
    rows, gy_rows = as_rows(x, len(mean)), as_rows(gy, len(mean))
    groups, _, numbers = rows.shape
    sums = np.empty((2, groups, blocks_of(rows), numbers))
    run(
        block_gradient_sums, share_block_gradient_sums, rows, rows_in_block(numbers), gy_rows,
        of_row(mean, numbers), sums[0], sums[1],
    )  # fmt: skip
    sum_gy, sum_gy_centered = (of_pixels(sum_, x).sum(axis=1) for sum_ in sums)
    sum_gy_centered *= inv_std
    return sum_gy, sum_gy_centered


def backward_training(gy, x, mean, inv_std, w, mean_gy, mean_gy_xhat):
    rows, gy_rows = as_rows(x, len(mean)), as_rows(gy, len(mean))
    gx, numbers = aligned(rows.shape, gy.dtype), rows.shape[2]
    vectors = [of_row(vector, numbers) for vector in (mean, inv_std, w, mean_gy, mean_gy_xhat)]
    run(gradient_rows, share_gradient_rows, rows, rows_in_block(numbers), gy_rows, *vectors, gx)
    return as_logical(gx, gy.shape)


def backward_evaluation(gy, inv_std, w):
    scale = (inv_std * w).astype(gy.dtype)
    rows = as_rows(gy, len(scale))
    return as_logical(rows * of_row(scale, rows.shape[2])[:, None], gy.shape)


def run(alone, shared, x, block_rows, *arguments):
    """A loop over all blocks of x, by as many threads as that is worth."""
    if x.size < LARGE:
        alone(0, x.shape[0] * blocks_of(x), x, block_rows, *arguments)
    else:
        shared(x.shape[0] * blocks_of(x), x, block_rows, *arguments)


def as_rows(x, groups):
    """(N, C, ...) as contiguous (groups, M, numbers); no copy where the memory is channels-last.

    A row has the channels of one pixel, or of some where these are few: loops over a few numbers
    take longer to begin than to go on.
    """
    rows = np.ascontiguousarray(x.transpose(0, *range(2, x.ndim), 1))
    C, pixels = x.shape[1], 1
    M = math.prod(x.shape[2:]) * (1 if groups == len(x) else len(x))
    while 2 * pixels * C <= LONG_ROW and M % 2 == 0 and rows.size:
        M, pixels = M // 2, 2 * pixels
    return rows.reshape(groups, M, pixels * C)


def of_row(vectors, numbers):
    """(C,), the same for all groups, or (groups, C), for the numbers of a row: a matrix."""
    C = vectors.shape[-1]
    vectors = np.ascontiguousarray(vectors).reshape(-1, C)
    return vectors if numbers == C else np.concatenate([vectors] * (numbers // C), axis=1)


def of_pixels(sums, x):
    """What was found for rows, (groups, blocks, numbers), as found for pixels, (groups, parts, C):
    where a row has p pixels, each block makes p parts."""
    groups, blocks, numbers = sums.shape
    C = x.shape[1]
    return sums.reshape(groups, blocks * (numbers // C if C else 1), C)


def as_logical(rows, shape):
    """as_rows of (N, C, ...) seen as that shape."""
    N, C, *pixels = shape
    last = len(pixels) + 1
    return rows.reshape(N, *pixels, C).transpose(0, last, *range(1, last))


def rows_in_block(numbers):
    return max(1, BLOCK_VALUES // max(1, numbers))


def blocks_of(rows):
    """How many blocks a group has: the last one takes what is left."""
    return -(-rows.shape[1] // rows_in_block(rows.shape[2]))


@njit(nogil=True, cache=True)
def block_moments(start, stop, x, block_rows, means, squares):
    """For each block and channel the mean, and the sum of squared distances from it."""
    M, C = x.shape[1:]
    blocks = means.shape[1]
    for block in range(start, stop):
        g, b = block // blocks, block % blocks
        first, last = b * block_rows, min(M, (b + 1) * block_rows)
        mean, square = means[g, b], squares[g, b]
        for c in range(C):
            mean[c] = square[c] = 0
        for m in range(first, last):
            for c in range(C):
                mean[c] += x[g, m, c]
        for c in range(C):
            mean[c] /= last - first
        for m in range(first, last):
            for c in range(C):
                distance = x[g, m, c] - mean[c]
                square[c] += distance * distance


@njit(parallel=True, cache=True)
def share_block_moments(blocks, x, block_rows, means, squares):
    for block in prange(blocks):
        block_moments(block, block + 1, x, block_rows, means, squares)


@njit(nogil=True, cache=True)
def add_moments(M, block_rows, parts, means, squares, mean, variance):
    """The mean and variance of each group from those of its blocks, in their order; each block has
    several parts of as many rows."""
    groups, blocks, C = means.shape
    for g in range(groups):
        mean[g] = 0
        variance[g] = 0
        for b in range(blocks):
            share = min(block_rows, M - b // parts * block_rows) / (M * parts)
            for c in range(C):
                mean[g, c] += share * means[g, b, c]
        for b in range(blocks):
            share = min(block_rows, M - b // parts * block_rows) / (M * parts)
            for c in range(C):
                distance = means[g, b, c] - mean[g, c]
                variance[g, c] += squares[g, b, c] / (M * parts) + share * distance * distance


@njit(nogil=True, cache=True)
def scale_rows(start, stop, x, block_rows, mean, inv_std, w, bias, relu, y):
    """y = w (x - mean) inv_std + bias; with relu, 0 where that is less (NaN is not)."""
    M, C = x.shape[1:]
    blocks, least = (M + block_rows - 1) // block_rows, 0.0 if relu else -np.inf
    for block in range(start, stop):
        g, b = block // blocks, block % blocks
        own = g if len(w) > 1 else 0
        scale = inv_std[g] * w[own]
        for m in range(b * block_rows, min(M, (b + 1) * block_rows)):
            for c in range(C):
                number = (x[g, m, c] - mean[g, c]) * scale[c] + bias[own, c]
                y[g, m, c] = least if number <= least else number


@njit(parallel=True, cache=True)
def share_scale_rows(blocks, x, block_rows, mean, inv_std, w, bias, relu, y):
    for block in prange(blocks):
        scale_rows(block, block + 1, x, block_rows, mean, inv_std, w, bias, relu, y)


@njit(nogil=True, cache=True)
def block_gradient_sums(start, stop, x, block_rows, gy, mean, sum_gy, sum_gy_centered):
    """For each block and channel sum gy and sum gy (x - mean)."""
    M, C = x.shape[1:]
    blocks = sum_gy.shape[1]
    for block in range(start, stop):
        g, b = block // blocks, block % blocks
        plain, centered = sum_gy[g, b], sum_gy_centered[g, b]
        for c in range(C):
            plain[c] = centered[c] = 0
        for m in range(b * block_rows, min(M, (b + 1) * block_rows)):
            for c in range(C):
                plain[c] += gy[g, m, c]
                centered[c] += gy[g, m, c] * (x[g, m, c] - mean[g, c])


@njit(parallel=True, cache=True)
def share_block_gradient_sums(blocks, x, block_rows, gy, mean, sum_gy, sum_gy_centered):
    for block in prange(blocks):
        block_gradient_sums(block, block + 1, x, block_rows, gy, mean, sum_gy, sum_gy_centered)


@njit(nogil=True, cache=True)
def gradient_rows(start, stop, x, block_rows, gy, mean, inv_std, w, mean_gy, mean_gy_xhat, gx):
    """gx = (w gy - mean_gy - xhat mean_gy_xhat) inv_std, with xhat = (x - mean) inv_std."""
    M, C = x.shape[1:]
    blocks = (M + block_rows - 1) // block_rows
    for block in range(start, stop):
        g, b = block // blocks, block % blocks
        scale, shift = inv_std[g] * w[g if len(w) > 1 else 0], inv_std[g] * mean_gy[g]
        slope = inv_std[g] * inv_std[g] * mean_gy_xhat[g]
        for m in range(b * block_rows, min(M, (b + 1) * block_rows)):
            for c in range(C):
                away = (x[g, m, c] - mean[g, c]) * slope[c]
                gx[g, m, c] = gy[g, m, c] * scale[c] - shift[c] - away


@njit(parallel=True, cache=True)
def share_gradient_rows(blocks, x, block_rows, gy, mean, inv_std, w, mean_gy, mean_gy_xhat, gx):
    for block in prange(blocks):
        gradient_rows(
            block, block + 1, x, block_rows, gy, mean, inv_std, w, mean_gy, mean_gy_xhat, gx
        )
