"""Convolution as a matrix product (im2col).

im2col writes, for each output pixel, everything its window reads into one row:

    columns[(n, oh, ow), (r, s, c)] = x[n, oh sh + r dh - ph, ow sw + s dw - pw, c]   (0 outside)

Then y = columns @ w with w as an (R S C, K) matrix, and one call of the BLAS does all the
arithmetic (Chellapilla et al. 2006). The gradients are products with the same matrix:

    gw = columns^T @ gy            gx = col2im(gy @ w^T),  col2im being the adjoint of im2col

columns is R S times as large as x, so it is made for a few rows of output pixels at a time, few
enough to stay in the cache; worker threads (threads/workers.py) share these parts. In the deep
layers with many channels and few pixels it is made whole: each product reads all weights, and for
as few pixels as fit the cache, reading them takes as long as computing. For a 1x1 kernel with
stride 1 it is x itself: nothing is copied.

Any convolution can be computed this way. Shapes as in the reference kernel; inside, x is
(N, H, W, C) and columns is (groups, pixels, R S C/groups). An image row is a row of output pixels
of one image, number n OH + oh.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from minidl.kernels.cpu.matmul import add_to_rows, is_narrow, long_sum, multiply, product
from minidl.kernels.cpu.relu import select
from minidl.kernels.cpu.threads.workers import share
from minidl.kernels.cpu.vector.long_product import add_long_product
from minidl.kernels.cpu.vector.matrix_product import BLOCKS
from minidl.kernels.layout import CHANNELS_LAST, channels_first, channels_last
from minidl.kernels.sums import SHORT

MANY_TAPS = 2**10  # from so many numbers in a row of it on, the column matrix is made whole,
WHOLE_BYTES = 2**26  # if it is no larger
COLUMNS_BYTES = 2 * 2**20  # how large a part of it may get: it should stay in the cache
SMALL_BYTES = 2**17  # fewer columns are not worth a second thread
SUMS = 4  # how many sums of weight gradients are made side by side
IMAGE_GROUPS = 8  # into how many groups the images are divided for the gradient of x


def forward(x, w, b, stride, padding, dilation, groups, least=-np.inf):
    K, _, R, S = w.shape
    x = channels_last(x)
    N, _, _, C = x.shape
    OH, OW = output_size(x.shape, R, S, stride, padding, dilation)
    y = np.empty((N * OH, OW * K), x.dtype)
    window = (R, S, OH, OW, stride, padding, dilation, groups)
    if is_whole(x, *window):
        pixels = y.reshape(N * OH * OW, K)
        multiply(whole_columns(x, *window), weight_matrix(w, groups)[0], pixels, b, least=least)
    else:
        rows = chunks(0, N * OH, OW * R * S * C * x.itemsize)
        share(forward_rows, rows, x, weight_matrix(w, groups), b, least, y, window)
    return channels_first(y.reshape(N, OH, OW, K))


def forward_rows(rows, x, w_matrix, b, least, y, window):
    """Some image rows of y."""
    columns = im2col(x, rows, *window)
    K = len(w_matrix) * w_matrix.shape[2]
    pixels = y[rows].reshape(-1, K)
    multiply_groups(columns, w_matrix, pixels)
    if b is not None or least > -np.inf:
        b = np.zeros(K, y.dtype) if b is None else b
        add_to_rows(pixels, b, y.dtype.type(least))


def adds(w_shape, add_to, stride, padding, dilation, groups):
    """The gradient of x is one product, which can be added to this array as it is computed."""
    if add_to is None or not add_to.transpose(CHANNELS_LAST).flags.c_contiguous or groups > 1:
        return False
    return w_shape[2:] == (1, 1) and stride == (1, 1) and max(padding) == 0


def backward_input(gy, w, x_shape, stride, padding, dilation, groups, mask=None, add_to=None):
    N, C, H, W = x_shape
    K, _, R, S = w.shape
    gy = channels_last(gy)
    OH, OW = gy.shape[1:3]
    gy = gy.reshape(N * OH, OW * K)
    mask = mask if mask is None else channels_last(mask).reshape(N * OH, OW * K)
    w_matrix = weight_matrix(w, groups).transpose(0, 2, 1)
    if is_pointwise(R, S, stride, padding, (H, W), (OH, OW)) and groups == 1:
        is_sum = add_to is not None  # adds() allowed it
        gx = channels_last(add_to) if is_sum else np.empty((N, H, W, C), gy.dtype)
        multiply(masked(gy, mask).reshape(-1, K), w_matrix[0], gx.reshape(-1, C), add=is_sum)
        return channels_first(gx)
    gx = np.zeros((N, H, W, C), gy.dtype)
    window = (R, S, OH, OW, stride, padding, dilation)
    if is_whole(gx, *window, groups):
        columns = np.empty((N * OH * OW, R * S * C), gy.dtype)
        multiply(masked(gy, mask).reshape(-1, K), w_matrix[0], columns)
        columns = columns.reshape(N, 1, OH * OW, R * S * C)
        share(add_columns, range(N), columns, gx, window)
    else:
        share(backward_images, divide(N, IMAGE_GROUPS), gy, mask, w_matrix, gx, window)
    return channels_first(gx)


def masked(gy, mask):
    """gy, and 0 where the mask is 0. Asked of a few rows at a time, that stay in the cache."""
    if mask is None:
        return gy
    y = np.empty_like(gy)
    select(gy.reshape(-1), mask.reshape(-1), y.reshape(-1))
    return y


def add_columns(n, columns, gx, window):
    """One image of gx, from the gradient of its columns."""
    R, S, OH, OW, stride, padding, dilation = window
    col2im(columns[n], gx, n * OH, R, S, OH, OW, *stride, *padding[:2], *dilation)


def backward_images(images, gy, mask, w_matrix, gx, window):
    """Some images of gx. Windows of neighbouring rows add to the same pixels: one thread each."""
    groups, K_group, n_taps = w_matrix.shape
    R, S, OH, OW, stride, padding, dilation = window
    bytes_per_row = OW * groups * n_taps * gx.itemsize
    for rows in chunks(images.start * OH, images.stop * OH, bytes_per_row):
        of_rows = masked(gy[rows], mask if mask is None else mask[rows])
        gy_groups = split_groups(of_rows.reshape(-1, groups * K_group), groups)
        columns = product(gy_groups, w_matrix)
        col2im(columns, gx, rows.start, R, S, OH, OW, *stride, *padding[:2], *dilation)


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    K, C_group, R, S = w_shape
    x, gy = channels_last(x), channels_last(gy)
    N, OH, OW, _ = gy.shape
    C = x.shape[3]
    window = (R, S, OH, OW, stride, padding, dilation, groups)
    if is_whole(x, *window):
        columns, pixels = whole_columns(x, *window).T, gy.reshape(N * OH * OW, K)
        gw = long_sum(columns, pixels)
        if gw is None:
            gw = np.empty((R * S * C_group, K), gy.dtype)
            multiply(columns, pixels, gw)
        gw = gw.astype(gy.dtype, copy=False)
        return gw.reshape(R, S, C_group, K).transpose(3, 2, 0, 1)
    gy = gy.reshape(N * OH, OW * K)
    parts = divide(N * OH, SUMS)
    shape = R * S * C_group, K // groups
    pieces = chunks(0, parts[0].stop if parts else 0, OW * R * S * C * x.itemsize)
    pixels = pieces[0].stop * OW if pieces else 0
    is_long = len(pieces) > SHORT or is_narrow(math.prod(shape), pixels)  # kernels/sums.py
    sums = np.zeros((len(parts), groups, *shape), np.float64 if is_long else gy.dtype)
    share(weight_sum, range(len(parts)), parts, gy, x, sums, window)
    gw = sums.sum(axis=0).astype(gy.dtype, copy=False)
    gw = gw.reshape(groups, R, S, C_group, K // groups).transpose(1, 2, 3, 0, 4)
    return gw.reshape(R, S, C_group, K).transpose(3, 2, 0, 1)


def weight_sum(number, parts, gy, x, sums, window):
    """What some of the image rows add to gw."""
    groups, n_taps, K_group = sums.shape[1:]
    OW, part = window[3], parts[number]
    for rows in chunks(part.start, part.stop, OW * groups * n_taps * x.itemsize):
        columns = im2col(x, rows, *window)
        gy_groups = split_groups(gy[rows].reshape(-1, groups * K_group), groups)
        is_float32 = x.dtype == np.float32 and sums.dtype == np.float64
        if is_float32 and is_narrow(n_taps * K_group, columns.shape[1]):
            for of_x, of_gy, total in zip(columns, gy_groups, sums[number]):
                add_long_product(BLOCKS, of_x, np.ascontiguousarray(of_gy), total)
        else:
            sums[number] += product(columns.transpose(0, 2, 1), gy_groups)


def output_size(x_shape, R, S, stride, padding, dilation):
    _, H, W, _ = x_shape
    OH = (H + padding[0] + padding[-2] - dilation[0] * (R - 1) - 1) // stride[0] + 1
    OW = (W + padding[1] + padding[-1] - dilation[1] * (S - 1) - 1) // stride[1] + 1
    return OH, OW


def chunks(first, end, bytes_per_row):
    """Slices of image rows whose columns fit into COLUMNS_BYTES (at least one row each).

    Two at least, where that is more than a few rows: a thread for each.
    """
    step = max(1, COLUMNS_BYTES // max(1, bytes_per_row))
    if (end - first) * bytes_per_row > SMALL_BYTES:
        step = min(step, -(-(end - first) // 2))
    return [slice(start, min(start + step, end)) for start in range(first, end, step)]


def divide(n, at_most):
    """0 to n in slices of one length, at most so many."""
    step = max(1, -(-n // at_most))
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


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
        product(columns[0], w_matrix[0], out=y)
    else:
        split_groups(y, groups)[...] = product(columns, w_matrix)


def is_whole(x, R, S, OH, OW, stride, padding, dilation, groups):
    """The columns of x are made in one piece, or are x itself."""
    if groups > 1:
        return False
    if is_pointwise(R, S, stride, padding, x.shape[1:3], (OH, OW)):
        return True
    taps = R * S * x.shape[3]
    return taps >= MANY_TAPS and len(x) * OH * OW * taps * x.itemsize <= WHOLE_BYTES


def whole_columns(x, R, S, OH, OW, stride, padding, dilation, groups):
    """The columns of all image rows, (pixels, R S C)."""
    N, H, W, C = x.shape
    if is_pointwise(R, S, stride, padding, (H, W), (OH, OW)):
        return x.reshape(N * H * W, C)
    columns = np.empty((N * OH, OW, R * S * C), x.dtype)
    rows = chunks(0, N * OH, OW * R * S * C * x.itemsize)
    share(fill_rows, rows, x, columns, (R, S, OH, OW, *stride, *padding[:2], *dilation))
    return columns.reshape(N * OH * OW, R * S * C)


def fill_rows(rows, x, columns, window):
    """The columns of some image rows."""
    target = columns[rows].reshape(1, -1, columns.shape[2])
    fill_columns(x, target, rows.start, *window)


def im2col(x, rows, R, S, OH, OW, stride, padding, dilation, groups):
    """The columns of a slice of image rows."""
    _, H, W, C = x.shape
    if is_pointwise(R, S, stride, padding, (H, W), (OH, OW)) and groups == 1:
        return x.reshape(1, -1, C)[:, rows.start * OW : rows.stop * OW]
    n_pixels = (rows.stop - rows.start) * OW
    columns = np.empty((groups, n_pixels, R * S * (C // groups)), x.dtype)
    fill_columns(x, columns, rows.start, R, S, OH, OW, *stride, *padding[:2], *dilation)
    return columns


# The two loops below move runs: numbers that lie side by side both in x and in columns. Without
# dilation and groups the S taps of a kernel row read S pixels in a row, one run of S C numbers;
# else each tap is a run of C/groups. Of a run that sticks out of the picture, only a part is moved.


@njit(nogil=True, cache=True)
def fill_columns(x, columns, first_row, R, S, OH, OW, sh, sw, ph, pw, dh, dw):
    N, H, W, C = x.shape
    groups, n_pixels, _ = columns.shape
    C_group = C // groups
    taps, run = (1, S * C) if dw == 1 and groups == 1 else (S, C_group)
    x_rows = x.reshape(N * H, W * C)
    kernel_rows = columns.reshape(groups, n_pixels, R, S * C_group)
    for i in range(n_pixels // OW):
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


@njit(nogil=True, cache=True)
def col2im(columns, x, first_row, R, S, OH, OW, sh, sw, ph, pw, dh, dw):
    """x[n, h, v] += the column entries that im2col read from there.

    Row by row of x, so that each sum has one order: tap (r, s) of output row oh read row h where
    oh sh = h + ph - r dh.
    """
    N, H, W, C = x.shape
    groups, n_pixels, _ = columns.shape
    C_group = C // groups
    taps, run = (1, S * C) if dw == 1 and groups == 1 else (S, C_group)
    x_rows = x.reshape(N * H, W * C)
    kernel_rows = columns.reshape(groups, n_pixels, R, S * C_group)
    end_row = first_row + n_pixels // OW
    first_n, end_n = first_row // OH, (end_row + OH - 1) // OH
    for x_row in range(first_n * H, end_n * H):
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
