"""Batch and instance normalization over rows of C channels, in blocks of a fixed number of rows.

Each block is reduced by one thread, and the results of the blocks are added in their order. How
many threads there are changes who reduces a block, never what is added to what: the results are
the same bits. Statistics of blocks combine without a second pass over x (Chan et al. 1979):

    mean = sum_b M_b mean_b / M        M var = sum_b (M_b var_b + M_b (mean_b - mean)^2)

Functions and shapes as in the reference kernel; inside, x is (groups, M, C).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from minidl.kernels.cpu.threads.workers import threads_for

BLOCK_VALUES = 2**14  # x values in a block: 64 kB of float32, so that the second look is cached


def statistics(x, per_image):
    x = as_rows(x, len(x) if per_image else 1)
    M, block_rows, counts = split(x)
    means = np.empty((len(x), len(counts), x.shape[2]))
    squares = np.empty_like(means)
    with threads_for(x.size):
        block_moments(x, block_rows, means, squares)
    mean = (counts * means).sum(axis=1) / M
    squares += counts * np.square(means - mean[:, None])
    return mean, squares.sum(axis=1) / M


def normalize(x, mean, inv_std, w, b):
    rows = as_rows(x, len(mean))
    y = np.empty_like(rows)
    with threads_for(rows.size):
        scale_rows(rows, mean, inv_std * w, b + np.zeros(mean.shape), split(rows)[1], y)
    return as_logical(y, x.shape)


def gradient_sums(gy, x, mean, inv_std):
    x, gy = as_rows(x, len(mean)), as_rows(gy, len(mean))
    _, block_rows, counts = split(x)
    sums = np.empty((2, len(x), len(counts), x.shape[2]))
    with threads_for(x.size):
        block_gradient_sums(gy, x, mean, block_rows, sums[0], sums[1])
    sum_gy, sum_gy_centered = sums.sum(axis=2)
    return sum_gy, sum_gy_centered * inv_std


def backward_training(gy, x, mean, inv_std, w, mean_gy, mean_gy_xhat):
    x, gy_rows = as_rows(x, len(mean)), as_rows(gy, len(mean))
    gx = np.empty_like(x)
    # gx = (w gy - mean_gy - xhat mean_gy_xhat) inv_std, with xhat = (x - mean) inv_std
    shift, slope = inv_std * mean_gy, inv_std**2 * mean_gy_xhat
    with threads_for(x.size):
        gradient_rows(gy_rows, x, mean, inv_std * w, shift, slope, split(x)[1], gx)
    return as_logical(gx, gy.shape)


def backward_evaluation(gy, inv_std, w):
    scale = (inv_std * w).astype(gy.dtype)
    return as_logical(as_rows(gy, len(scale)) * scale[:, None], gy.shape)


def as_rows(x, groups):
    """(N, C, ...) as contiguous (groups, M, C); no copy where the memory is channels-last."""
    rows = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    M = math.prod(x.shape[2:]) * (1 if groups == len(x) else len(x))
    return rows.reshape(groups, M, x.shape[1])


def as_logical(rows, shape):
    """(groups, M, C) seen as the (N, C, ...) that it came from."""
    N, C, *pixels = shape
    return np.moveaxis(rows.reshape(N, *pixels, C), -1, 1)


def split(x):
    """M, rows in a block, and (blocks, 1) rows in each: the last block takes what is left."""
    _, M, C = x.shape
    block_rows = max(1, BLOCK_VALUES // max(1, C))
    first = np.arange(0, M, block_rows)
    return M, block_rows, np.minimum(block_rows, M - first)[:, None]


@njit(parallel=True, cache=True)
def block_moments(x, block_rows, means, squares):
    """For each block and channel the mean, and the sum of squared distances from it."""
    groups, M, C = x.shape
    blocks = means.shape[1]
    for block in prange(groups * blocks):
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
def scale_rows(x, mean, scale, shift, block_rows, y):
    """y = (x - mean) scale + shift."""
    groups, M, C = x.shape
    blocks = (M + block_rows - 1) // block_rows
    for block in prange(groups * blocks):
        g, b = block // blocks, block % blocks
        for m in range(b * block_rows, min(M, (b + 1) * block_rows)):
            for c in range(C):
                y[g, m, c] = (x[g, m, c] - mean[g, c]) * scale[g, c] + shift[g, c]


@njit(parallel=True, cache=True)
def block_gradient_sums(gy, x, mean, block_rows, sum_gy, sum_gy_centered):
    """For each block and channel sum gy and sum gy (x - mean)."""
    groups, M, C = x.shape
    blocks = sum_gy.shape[1]
    for block in prange(groups * blocks):
        g, b = block // blocks, block % blocks
        plain, centered = sum_gy[g, b], sum_gy_centered[g, b]
        for c in range(C):
            plain[c] = centered[c] = 0
        for m in range(b * block_rows, min(M, (b + 1) * block_rows)):
            for c in range(C):
                plain[c] += gy[g, m, c]
                centered[c] += gy[g, m, c] * (x[g, m, c] - mean[g, c])


@njit(parallel=True, cache=True)
def gradient_rows(gy, x, mean, scale, shift, slope, block_rows, gx):
    """gx = gy scale - shift - (x - mean) slope."""
    groups, M, C = x.shape
    blocks = (M + block_rows - 1) // block_rows
    for block in prange(groups * blocks):
        g, b = block // blocks, block % blocks
        for m in range(b * block_rows, min(M, (b + 1) * block_rows)):
            for c in range(C):
                away = (x[g, m, c] - mean[g, c]) * slope[g, c]
                gx[g, m, c] = gy[g, m, c] * scale[g, c] - shift[g, c] - away
