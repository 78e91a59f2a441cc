"""2-D convolution as a matrix product (im2col).

im2col writes, for each output pixel, everything its window reads into one row:

    columns[(n, oh, ow), (r, s, c)] = x[n, oh sh + r dh - ph, ow sw + s dw - pw, c]   (0 outside)

Then y = columns @ w with w as an (R S C, K) matrix, and one call of the BLAS does all the
arithmetic (Chellapilla et al. 2006). The gradients are products with the same matrix:

    gw = columns^T @ gy            gx = col2im(gy @ w^T),  col2im being the adjoint of im2col

columns is R S times as large as x, so it is made for a few rows of output pixels at a time, few
enough to stay in the cache. For a 1x1 kernel with stride 1 it is x itself: nothing is copied.

Shapes as in the reference kernel; inside, x is (N, H, W, C) and columns is
(groups, pixels, R S C/groups). An image row is a row of output pixels of one image, number
n OH + oh.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.blas import matmul
from minidl.kernels.layout import channels_first, channels_last

COLUMNS_BYTES = 2 * 2**20  # how large the column matrix may get: it should stay in the cache


def forward(x, w, b, stride, padding, dilation, groups):
    K, _, R, S = w.shape
    x = channels_last(x)
    N, _, _, C = x.shape
    OH, OW = output_size(x.shape, R, S, stride, padding, dilation)
    y = np.empty((N * OH, OW * K), x.dtype)
    w_matrix = weight_matrix(w, groups)
    for rows in chunks(N * OH, OW * R * S * C * x.itemsize):
        columns = im2col(x, rows, R, S, OH, OW, stride, padding, dilation, groups)
        multiply_groups(columns, w_matrix, y[rows].reshape(-1, K))
    if b is not None:
        y += np.tile(b, OW)  # whole rows: K alone may be too short a loop to be fast
    return channels_first(y.reshape(N, OH, OW, K))


def backward_input(gy, w, x_shape, stride, padding, dilation, groups):
    N, C, H, W = x_shape
    K, _, R, S = w.shape
    gy = channels_last(gy)
    OH, OW = gy.shape[1:3]
    gy = gy.reshape(N * OH, OW * K)
    w_matrix = weight_matrix(w, groups).transpose(0, 2, 1)
    if is_pointwise(R, S, stride, padding, (H, W), (OH, OW)) and groups == 1:
        return channels_first(matmul(gy.reshape(-1, K), w_matrix[0]).reshape(N, H, W, C))
    gx = np.zeros((N, H, W, C), gy.dtype)
    for rows in chunks(N * OH, OW * R * S * C * gy.itemsize):
        g_columns = matmul(split_groups(gy[rows].reshape(-1, K), groups), w_matrix)
        col2im(g_columns, gx, rows.start, R, S, OH, OW, *stride, *padding, *dilation)
    return channels_first(gx)


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    K, C_group, R, S = w_shape
    x, gy = channels_last(x), channels_last(gy)
    N, OH, OW, _ = gy.shape
    gy = gy.reshape(N * OH, OW * K)
    gw = np.zeros((groups, R * S * C_group, K // groups), gy.dtype)
    for rows in chunks(N * OH, OW * R * S * x.shape[3] * x.itemsize):
        columns = im2col(x, rows, R, S, OH, OW, stride, padding, dilation, groups)
        gw += matmul(columns.transpose(0, 2, 1), split_groups(gy[rows].reshape(-1, K), groups))
    gw = gw.reshape(groups, R, S, C_group, K // groups).transpose(1, 2, 3, 0, 4)
    return gw.reshape(R, S, C_group, K).transpose(3, 2, 0, 1)


def backward_bias(gy):
    gy = channels_last(gy)
    N, OH, OW, K = gy.shape
    return gy.reshape(N * OH, OW * K).sum(axis=0).reshape(OW, K).sum(axis=0)


def output_size(x_shape, R, S, stride, padding, dilation):
    _, H, W, _ = x_shape
    OH = (H + 2 * padding[0] - dilation[0] * (R - 1) - 1) // stride[0] + 1
    OW = (W + 2 * padding[1] - dilation[1] * (S - 1) - 1) // stride[1] + 1
    return OH, OW


def chunks(n_rows, bytes_per_row):
    """Slices of image rows whose columns fit into COLUMNS_BYTES (at least one row each)."""
    step = max(1, COLUMNS_BYTES // max(1, bytes_per_row))
    return [slice(first, min(first + step, n_rows)) for first in range(0, n_rows, step)]


def is_pointwise(R, S, stride, padding, input_size, output_size):
    """Output pixel (oh, ow) reads input pixel (oh, ow) and no other."""
    return R == S == 1 and stride == (1, 1) and padding == (0, 0) and input_size == output_size


def weight_matrix(w, groups):
    """(K, C/groups, R, S) weights as one (R S C/groups, K/groups) matrix per group."""
    K, C_group, R, S = w.shape
    w = w.reshape(groups, K // groups, C_group, R, S).transpose(0, 3, 4, 2, 1)
    return np.ascontiguousarray(w).reshape(groups, R * S * C_group, K // groups)


def split_groups(pixels, groups):
    """(pixels, K) as (groups, pixels, K/groups): a view."""
    return pixels.reshape(len(pixels), groups, -1).transpose(1, 0, 2)


def multiply_groups(columns, w_matrix, y):
    """y[:, channels of group g] = columns[g] @ w_matrix[g]."""
    groups = len(columns)
    if groups == 1:
        matmul(columns[0], w_matrix[0], out=y)
    else:
        split_groups(y, groups)[...] = matmul(columns, w_matrix)


def im2col(x, rows, R, S, OH, OW, stride, padding, dilation, groups):
    """The columns of a slice of image rows."""
    _, H, W, C = x.shape
    if is_pointwise(R, S, stride, padding, (H, W), (OH, OW)) and groups == 1:
        return x.reshape(1, -1, C)[:, rows.start * OW : rows.stop * OW]
    n_pixels = (rows.stop - rows.start) * OW
    columns = np.empty((groups, n_pixels, R * S * (C // groups)), x.dtype)
    fill_columns(x, columns, rows.start, R, S, OH, OW, *stride, *padding, *dilation)
    return columns


# The two loops below move runs: numbers that lie side by side both in x and in columns. Without
# dilation and groups the S taps of a kernel row read S pixels in a row, one run of S C numbers;
# else each tap is a run of C/groups. Of a run that sticks out of the picture, only a part is moved.


@njit(parallel=True, cache=True)
def fill_columns(x, columns, first_row, R, S, OH, OW, sh, sw, ph, pw, dh, dw):
    N, H, W, C = x.shape
    groups, n_pixels, _ = columns.shape
    C_group = C // groups
    taps, run = (1, S * C) if dw == 1 and groups == 1 else (S, C_group)
    x_rows = x.reshape(N * H, W * C)
    kernel_rows = columns.reshape(groups, n_pixels, R, S * C_group)
    for i in prange(n_pixels // OW):
        n, oh = (first_row + i) // OH, (first_row + i) % OH
        for r in range(R):
            h = oh * sh + r * dh - ph
            inside = 0 <= h < H
            source = x_rows[n * H + (h if inside else 0)]
            for g in range(groups):
                for ow in range(OW):
                    target = kernel_rows[g, i * OW + ow, r]
                    for t in range(taps):
                        start = (ow * sw + t * dw - pw) * C + g * C_group
                        if inside and start >= 0 and start + run <= W * C:
                            for j in range(run):
                                target[t * run + j] = source[start + j]
                        else:
                            for j in range(run):
                                here = inside and 0 <= start + j < W * C
                                target[t * run + j] = source[start + j] if here else 0


@njit(parallel=True, cache=True)
def col2im(columns, x, first_row, R, S, OH, OW, sh, sw, ph, pw, dh, dw):
    """x[n, h, v] += the column entries that im2col read from there.

    A thread has whole rows of x, so no two add to the same place, and each sum has one order:
    tap (r, s) of output row oh read row h where oh sh = h + ph - r dh.
    """
    N, H, W, C = x.shape
    groups, n_pixels, _ = columns.shape
    C_group = C // groups
    taps, run = (1, S * C) if dw == 1 and groups == 1 else (S, C_group)
    x_rows = x.reshape(N * H, W * C)
    kernel_rows = columns.reshape(groups, n_pixels, R, S * C_group)
    end_row = first_row + n_pixels // OW
    first_n, end_n = first_row // OH, (end_row + OH - 1) // OH
    for x_row in prange(first_n * H, end_n * H):
        n, h = x_row // H, x_row % H
        target = x_rows[x_row]
        for r in range(R):
            oh = (h + ph - r * dh) // sh
            row = n * OH + oh
            if (h + ph - r * dh) % sh != 0 or not 0 <= oh < OH:
                continue
            if not first_row <= row < end_row:
                continue
            for g in range(groups):
                for ow in range(OW):
                    pixel = (row - first_row) * OW + ow
                    source = kernel_rows[g, pixel, r]
                    for t in range(taps):
                        start = (ow * sw + t * dw - pw) * C + g * C_group
                        # The part inside the picture. max also tells the compiler that no index
                        # is negative (such ones count from the end), so it makes a plain loop.
                        begin, end = max(start, 0), min(start + run, W * C)
                        first = max(t * run + begin - start, 0)
                        for j in range(end - begin):
                            target[begin + j] += source[first + j]
