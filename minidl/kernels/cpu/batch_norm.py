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
from minidl.kernels.memory import aligned

BLOCK_VALUES = 2**14  # x values in a block: 64 kB of float32, so that the second look is cached


def statistics(x, per_image):
    rows = as_rows(x, len(x) if per_image else 1)
    groups, M, C = rows.shape
    blocks = blocks_of(rows)
    mean, variance = np.empty((2, groups, C))
    of_blocks = np.empty((2, groups, blocks, C))
    with threads_for(rows.size):
        block_moments(rows, rows_in_block(C), of_blocks[0], of_blocks[1])
    add_moments(M, rows_in_block(C), of_blocks[0], of_blocks[1], mean, variance)
    return mean, variance


def normalize(x, mean, inv_std, w, b, relu=False):
    rows = as_rows(x, len(mean))
    y = aligned(rows.shape, rows.dtype)
    with threads_for(rows.size):
        scale_rows(
            rows, mean, inv_std, as_matrix(w), as_matrix(b), rows_in_block(rows.shape[2]), relu, y
        )
    return as_logical(y, x.shape)


def gradient_sums(gy, x, mean, inv_std):
    x, gy = as_rows(x, len(mean)), as_rows(gy, len(mean))
    of_blocks = np.empty((2, len(x), blocks_of(x), x.shape[2]))
    with threads_for(x.size):
        block_gradient_sums(gy, x, mean, rows_in_block(x.shape[2]), of_blocks[0], of_blocks[1])
    sum_gy, sum_gy_centered = of_blocks.sum(axis=2)
    sum_gy_centered *= inv_std
    return sum_gy, sum_gy_centered


def backward_training(gy, x, mean, inv_std, w, mean_gy, mean_gy_xhat):
    x, gy_rows = as_rows(x, len(mean)), as_rows(gy, len(mean))
    gx = aligned(x.shape, gy.dtype)
    with threads_for(x.size):
        gradient_rows(
            gy_rows, x, mean, inv_std, as_matrix(w), mean_gy, mean_gy_xhat,
            rows_in_block(x.shape[2]), gx,
        )  # fmt: skip
    return as_logical(gx, gy.shape)


def backward_evaluation(gy, inv_std, w):
    scale = (inv_std * w).astype(gy.dtype)
    return as_logical(as_rows(gy, len(scale)) * scale[:, None], gy.shape)


def as_rows(x, groups):
    """(N, C, ...) as contiguous (groups, M, C); no copy where the memory is channels-last."""
    rows = np.ascontiguousarray(x.transpose(0, *range(2, x.ndim), 1))
    M = math.prod(x.shape[2:]) * (1 if groups == len(x) else len(x))
    return rows.reshape(groups, M, x.shape[1])


def as_logical(rows, shape):
    """(groups, M, C) seen as the (N, C, ...) that it came from."""
    N, C, *pixels = shape
    last = len(pixels) + 1
    return rows.reshape(N, *pixels, C).transpose(0, last, *range(1, last))


def as_matrix(vectors):
    """(C,), the same for all groups, as (1, C); that of each group, (groups, C), as it is."""
    return np.ascontiguousarray(vectors).reshape(-1, vectors.shape[-1])


def rows_in_block(C):
    return max(1, BLOCK_VALUES // max(1, C))


def blocks_of(rows):
    """How many blocks a group has: the last one takes what is left."""
    return -(-rows.shape[1] // rows_in_block(rows.shape[2]))


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


@njit(nogil=True, cache=True)
def add_moments(M, block_rows, means, squares, mean, variance):
    """The mean and variance of each group from those of its blocks, in their order."""
    groups, blocks, C = means.shape
    for g in range(groups):
        mean[g] = 0
        variance[g] = 0
        for b in range(blocks):
            share = min(block_rows, M - b * block_rows) / M
            for c in range(C):
                mean[g, c] += share * means[g, b, c]
        for b in range(blocks):
            share = min(block_rows, M - b * block_rows) / M
            for c in range(C):
                distance = means[g, b, c] - mean[g, c]
                variance[g, c] += squares[g, b, c] / M + share * distance * distance


@njit(parallel=True, cache=True)
def scale_rows(x, mean, inv_std, w, bias, block_rows, relu, y):
    """y = w (x - mean) inv_std + bias; with relu, 0 where that is less (NaN is not)."""
    groups, M, C = x.shape
    blocks = (M + block_rows - 1) // block_rows
    for block in prange(groups * blocks):
        g, b = block // blocks, block % blocks
        own = g if len(w) > 1 else 0
        scale, least = inv_std[g] * w[own], 0.0 if relu else -np.inf
        for m in range(b * block_rows, min(M, (b + 1) * block_rows)):
            for c in range(C):
                number = (x[g, m, c] - mean[g, c]) * scale[c] + bias[own, c]
                y[g, m, c] = least if number <= least else number


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
def gradient_rows(gy, x, mean, inv_std, w, mean_gy, mean_gy_xhat, block_rows, gx):
    """gx = (w gy - mean_gy - xhat mean_gy_xhat) inv_std, with xhat = (x - mean) inv_std."""
    groups, M, C = x.shape
    blocks = (M + block_rows - 1) // block_rows
    for block in prange(groups * blocks):
        g, b = block // blocks, block % blocks
        scale, shift = inv_std[g] * w[g if len(w) > 1 else 0], inv_std[g] * mean_gy[g]
        slope = inv_std[g] * inv_std[g] * mean_gy_xhat[g]
        for m in range(b * block_rows, min(M, (b + 1) * block_rows)):
            for c in range(C):
                away = (x[g, m, c] - mean[g, c]) * slope[c]
                gx[g, m, c] = gy[g, m, c] * scale[c] - shift[c] - away
