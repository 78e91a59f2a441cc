"""2-D convolution, one kernel tap at a time.

A tap is one position (r, s) of the R x S kernel. For a fixed tap, every output pixel (oh, ow)
reads exactly one input pixel, (oh sh + r dh, ow sw + s dw) of the padded input. So

    y[n, k, oh, ow] = b[k] + sum over taps (r, s), channels c:  w[k, c, r, s] x[n, c, ...]

is a sum over taps of a matrix product over channels. The three gradients below are the same loop
with the product turned around.

Shapes: x (N, C, H, W), w (K, C/groups, R, S), b (K,) or None, y (N, K, OH, OW). stride, padding
and dilation are pairs (height, width).
"""

from __future__ import annotations

import numpy as np


def forward(x, w, b, stride, padding, dilation, groups):
    N, C, H, W = x.shape
    K, _, R, S = w.shape
    OH = (H + 2 * padding[0] - dilation[0] * (R - 1) - 1) // stride[0] + 1
    OW = (W + 2 * padding[1] - dilation[1] * (S - 1) - 1) // stride[1] + 1
    x_padded = pad(x, padding)
    w_grouped = w.reshape(groups, K // groups, C // groups, R, S)
    y = np.zeros((N, groups, K // groups, OH * OW), x.dtype)
    for r in range(R):
        for s in range(S):
            seen = x_padded[tap(r, s, OH, OW, stride, dilation)]
            seen = seen.reshape(N, groups, C // groups, OH * OW)
            y += w_grouped[:, :, :, r, s] @ seen
    y = y.reshape(N, K, OH, OW)
    if b is not None:
        y += b.reshape(1, K, 1, 1)
    return y


def backward_input(gy, w, x_shape, stride, padding, dilation, groups):
    """gx: each output pixel sends its gradient back to the pixels that its taps read."""
    N, C, H, W = x_shape
    K, _, R, S = w.shape
    OH, OW = gy.shape[2:]
    w_grouped = w.reshape(groups, K // groups, C // groups, R, S)
    gy_grouped = gy.reshape(N, groups, K // groups, OH * OW)
    gx_padded = np.zeros((N, C, H + 2 * padding[0], W + 2 * padding[1]), gy.dtype)
    for r in range(R):
        for s in range(S):
            sent = w_grouped[:, :, :, r, s].transpose(0, 2, 1) @ gy_grouped
            gx_padded[tap(r, s, OH, OW, stride, dilation)] += sent.reshape(N, C, OH, OW)
    return gx_padded[:, :, padding[0] : padding[0] + H, padding[1] : padding[1] + W].copy()


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    """gw: the weight of a tap met every pixel that the tap read."""
    N, C, _, _ = x.shape
    K, _, R, S = w_shape
    OH, OW = gy.shape[2:]
    x_padded = pad(x, padding)
    gy_grouped = gy.reshape(N, groups, K // groups, OH * OW)
    gw = np.zeros((groups, K // groups, C // groups, R, S), gy.dtype)
    for r in range(R):
        for s in range(S):
            seen = x_padded[tap(r, s, OH, OW, stride, dilation)]
            seen = seen.reshape(N, groups, C // groups, OH * OW)
            gw[:, :, :, r, s] = (gy_grouped @ seen.transpose(0, 1, 3, 2)).sum(axis=0)
    return gw.reshape(w_shape)


def backward_bias(gy):
    return gy.sum(axis=(0, 2, 3))


def pad(x, padding):
    """x with a frame of zeros, `padding` rows and columns wide."""
    return np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))


def tap(r, s, OH, OW, stride, dilation):
    """Index of the padded input pixels that tap (r, s) reads, one for each output pixel."""
    first_row, first_column = r * dilation[0], s * dilation[1]
    rows = slice(first_row, first_row + stride[0] * (OH - 1) + 1, stride[0])
    columns = slice(first_column, first_column + stride[1] * (OW - 1) + 1, stride[1])
    return (slice(None), slice(None), rows, columns)
