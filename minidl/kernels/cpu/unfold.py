"""Unfold with the loops of the convolution: fill_columns forward, col2im backward.

Their column matrix has a row for each window, (n, oh, ow), and in it the pixels in the order
(r, s, c). Unfold wants them the other way round, so the matrix is transposed once.

Shapes as in the reference kernel.
"""

from __future__ import annotations

import numpy as np

from minidl.kernels.cpu.convolution.im2col import (
    IMAGE_GROUPS,
    col2im,
    divide,
    fill_columns,
    output_size,
)
from minidl.kernels.cpu.threads.workers import share
from minidl.kernels.layout import channels_first, channels_last


def forward(x, kernel_size, dilation, padding, stride):
    x = channels_last(x)
    N, _, _, C = x.shape
    R, S = kernel_size
    OH, OW = output_size(x.shape, R, S, stride, padding, dilation)
    columns = np.empty((1, N * OH * OW, R * S * C), x.dtype)
    window = (R, S, OH, OW, *stride, *padding, *dilation)
    share(fill_images, divide(N, IMAGE_GROUPS), x, columns, window)
    y = columns.reshape(N, OH * OW, R * S, C).transpose(0, 3, 2, 1)
    return y.reshape(N, C * R * S, OH * OW)


def backward(gy, x_shape, kernel_size, dilation, padding, stride):
    N, C, H, W = x_shape
    R, S = kernel_size
    gx = np.zeros((N, H, W, C), gy.dtype)
    OH, OW = output_size(gx.shape, R, S, stride, padding, dilation)
    columns = gy.reshape(N, C, R * S, OH * OW).transpose(0, 3, 2, 1)
    columns = np.ascontiguousarray(columns).reshape(1, N * OH * OW, R * S * C)
    window = (R, S, OH, OW, *stride, *padding, *dilation)
    share(add_images, divide(N, IMAGE_GROUPS), columns, gx, window)
    return channels_first(gx)


def fill_images(images, x, columns, window):
    """The columns of some images."""
    OH, OW = window[2:4]
    part = columns[:, images.start * OH * OW : images.stop * OH * OW]
    fill_columns(x, part, images.start * OH, *window)


def add_images(images, columns, gx, window):
    """Some images of gx."""
    OH, OW = window[2:4]
    part = columns[:, images.start * OH * OW : images.stop * OH * OW]
    col2im(part, gx, images.start * OH, *window)
