"""2-D convolution as a matrix product (im2col).

im2col writes, for each output pixel, everything its window reads into one row:

    columns[(n, oh, ow), (r, s, c)] = x[n, oh sh + r dh - ph, ow sw + s dw - pw, c]   (0 outside)

Then y = columns @ w with w as an (R S C, K) matrix, and one call of the BLAS does all the
arithmetic (Chellapilla et al. 2006). The gradients are products with the same matrix:

    gw = columns^T @ gy            gx = col2im(gy @ w^T),  col2im being the adjoint of im2col

columns is R S times as large as x, so it is made for a few images at a time. For a 1x1 kernel
with stride 1 columns is x itself, and nothing is copied.

Shapes as in the reference kernel; inside, x is (N, H, W, C) and columns is
(groups, rows, R S C/groups).
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.layout import channels_first, channels_last

COLUMNS_BYTES = 64 * 2**20  # how large the column matrix may get: it should not leave the cache far


def forward(x, w, b, stride, padding, dilation, groups):
    K, _, R, S = w.shape
    x = channels_last(x)
    OH, OW = output_size(x.shape, R, S, stride, padding, dilation)
    y = np.empty((len(x), OH, OW, K), x.dtype)
    w_matrix = weight_matrix(w, groups)
    for images in chunks(len(x), OH * OW * R * S * x.shape[3] * x.itemsize):
        columns = im2col(x[images], R, S, OH, OW, stride, padding, dilation, groups)
        multiply_groups(columns, w_matrix, y[images].reshape(-1, K))
    if b is not None:
        y += b
    return channels_first(y)


def backward_input(gy, w, x_shape, stride, padding, dilation, groups):
    N, C, H, W = x_shape
    K, _, R, S = w.shape
    gy = channels_last(gy)
    OH, OW = gy.shape[1:3]
    w_matrix = weight_matrix(w, groups)
    gx = np.empty((N, H, W, C), gy.dtype)
    for images in chunks(N, OH * OW * R * S * C * gy.itemsize):
        gy_groups = split_groups(gy[images].reshape(-1, K), groups)
        g_columns = gy_groups @ w_matrix.transpose(0, 2, 1)
        if is_pointwise(R, S, stride, padding, (H, W), (OH, OW)) and groups == 1:
            gx[images] = g_columns.reshape(gx[images].shape)
        else:
            col2im(g_columns, gx[images], R, S, OH, OW, *stride, *padding, *dilation)
    return channels_first(gx)


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    K, C_group, R, S = w_shape
    x, gy = channels_last(x), channels_last(gy)
    OH, OW = gy.shape[1:3]
    gw = np.zeros((groups, R * S * C_group, K // groups), gy.dtype)
    for images in chunks(len(x), OH * OW * R * S * x.shape[3] * x.itemsize):
        columns = im2col(x[images], R, S, OH, OW, stride, padding, dilation, groups)
        gw += columns.transpose(0, 2, 1) @ split_groups(gy[images].reshape(-1, K), groups)
    gw = gw.reshape(groups, R, S, C_group, K // groups).transpose(1, 2, 3, 0, 4)
    return gw.reshape(R, S, C_group, K).transpose(3, 2, 0, 1)


def backward_bias(gy):
    gy = channels_last(gy)
    return gy.reshape(-1, gy.shape[3]).sum(axis=0)


def output_size(x_shape, R, S, stride, padding, dilation):
    _, H, W, _ = x_shape
    OH = (H + 2 * padding[0] - dilation[0] * (R - 1) - 1) // stride[0] + 1
    OW = (W + 2 * padding[1] - dilation[1] * (S - 1) - 1) // stride[1] + 1
    return OH, OW


def chunks(n_images, bytes_per_image):
    """Slices of images whose columns fit into COLUMNS_BYTES (at least one image each)."""
    step = max(1, COLUMNS_BYTES // max(1, bytes_per_image))
    return [slice(first, min(first + step, n_images)) for first in range(0, n_images, step)]


def is_pointwise(R, S, stride, padding, input_size, output_size):
    """Output pixel (oh, ow) reads input pixel (oh, ow) and no other."""
    return R == S == 1 and stride == (1, 1) and padding == (0, 0) and input_size == output_size


def weight_matrix(w, groups):
    """(K, C/groups, R, S) weights as one (R S C/groups, K/groups) matrix per group."""
    K, C_group, R, S = w.shape
    w = w.reshape(groups, K // groups, C_group, R, S).transpose(0, 3, 4, 2, 1)
    return np.ascontiguousarray(w).reshape(groups, R * S * C_group, K // groups)


def split_groups(rows, groups):
    """(rows, K) as (groups, rows, K/groups): a view."""
    return rows.reshape(len(rows), groups, -1).transpose(1, 0, 2)


def multiply_groups(columns, w_matrix, y):
    """y[:, channels of group g] = columns[g] @ w_matrix[g]."""
    groups = len(columns)
    if groups == 1:
        np.matmul(columns[0], w_matrix[0], out=y)
    else:
        split_groups(y, groups)[...] = columns @ w_matrix


def im2col(x, R, S, OH, OW, stride, padding, dilation, groups):
    N, H, W, C = x.shape
    if is_pointwise(R, S, stride, padding, (H, W), (OH, OW)) and groups == 1:
        return x.reshape(1, -1, C)
    columns = np.empty((groups, N * OH * OW, R * S * (C // groups)), x.dtype)
    fill_columns(x, columns, R, S, OH, OW, *stride, *padding, *dilation)
    return columns


@njit(parallel=True, cache=True)
def fill_columns(x, columns, R, S, OH, OW, sh, sw, ph, pw, dh, dw):
    N, H, W, C = x.shape
    groups = columns.shape[0]
    C_group = C // groups
    for image_row in prange(N * OH):  # one row of output pixels
        n, oh = image_row // OH, image_row % OH
        for ow in range(OW):
            row = image_row * OW + ow
            for g in range(groups):
                at = 0
                for r in range(R):
                    h = oh * sh + r * dh - ph
                    for s in range(S):
                        v = ow * sw + s * dw - pw
                        if 0 <= h < H and 0 <= v < W:
                            for c in range(C_group):
                                columns[g, row, at + c] = x[n, h, v, g * C_group + c]
                        else:
                            for c in range(C_group):
                                columns[g, row, at + c] = 0
                        at += C_group


@njit(parallel=True, cache=True)
def col2im(columns, x, R, S, OH, OW, sh, sw, ph, pw, dh, dw):
    """x[n, h, v] = sum of the column entries that im2col read from there.

    Written from the side of the input pixel (a gather), so that no two threads add to the same
    place: tap (r, s) of output row oh read row h when oh sh = h + ph - r dh.
    """
    N, H, W, C = x.shape
    groups = columns.shape[0]
    C_group = C // groups
    for image_row in prange(N * H):  # one row of input pixels
        n, h = image_row // H, image_row % H
        for v in range(W):
            for c in range(C):
                x[n, h, v, c] = 0
            for r in range(R):
                top = h + ph - r * dh
                if top < 0 or top % sh != 0 or top // sh >= OH:
                    continue
                for s in range(S):
                    left = v + pw - s * dw
                    if left < 0 or left % sw != 0 or left // sw >= OW:
                        continue
                    row = (n * OH + top // sh) * OW + left // sw
                    at = (r * S + s) * C_group
                    for g in range(groups):
                        for c in range(C_group):
                            x[n, h, v, g * C_group + c] += columns[g, row, at + c]
