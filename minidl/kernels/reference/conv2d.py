"""2-D convolution, as the formula says it.

`windows` shows for each output pixel what its window sees of the padded input: an array
(N, C, OH, OW, R, S) that shares x's memory, because neighbouring windows see the same pixels.
Then

    y[n, k, oh, ow] = b[k] + sum over c, r, s:  w[k, c, r, s] seen[n, c, oh, ow, r, s]

is one tensor product that sums over c, r and s, and the gradient of w one that sums over n, oh
and ow instead. np.tensordot lays what it sums over out as a matrix, R S times as large as x, and
multiplies: the compiled kernel's im2col, all at once. The gradient of x goes the other way through
the view: tap (r, s) of every window adds to the pixel it saw. Where each channel has windows of
its own (groups = C, depthwise), no sum goes over channels, and np.einsum says the formula.

Shapes: x (N, C, H, W), w (K, C/groups, R, S), b (K,) or None, y (N, K, OH, OW). stride, padding
and dilation are pairs (height, width); where opposite sides differ, padding is (top, left, bottom,
right), so that [0] and [1] are in front and [-2] and [-1] behind either way. Group g of the
channels sees group g of the kernels only.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minidl.kernels.reference import leaky_relu as leaky
from minidl.kernels.reference import relu as rectifier
from minidl.kernels.sums import LONG, total


def forward(x, w, b, stride, padding, dilation, groups, slope=1.0):
    """y, of which what is below 0 is multiplied by the slope: 0 makes a ReLU, 1 nothing."""
    seen = windows(pad(x, padding), w.shape[2:], stride, dilation)
    (N, C, OH, OW, R, S), K = seen.shape, len(w)
    if groups == C > 1:
        y = np.einsum("ncijrs,cmrs->nijcm", seen, w.reshape(C, K // C, R, S), order="C")
    else:
        seen = seen.reshape(N, groups, C // groups, OH, OW, R, S)
        w = w.reshape(groups, K // groups, C // groups, R, S)
        y = np.empty((N, OH, OW, groups, K // groups), x.dtype)
        for g in range(groups):
            y[:, :, :, g] = np.tensordot(seen[:, g], w[g], axes=([1, 4, 5], [1, 2, 3]))
    y = y.reshape(N, OH, OW, K).transpose(0, 3, 1, 2)
    if b is not None:
        y += b.reshape(1, K, 1, 1)
    return y if slope == 1 else activated(y, slope)


def activated(y, slope):
    return leaky.forward(y, slope) if slope else rectifier.forward(y)


def backward_input(gy, w, x_shape, stride, padding, dilation, groups, mask=None, add_to=None):
    """gx: each output pixel sends its gradient back to the pixels that its window saw, where the
    mask, the outputs of a ReLU behind the convolution, is not 0. With add_to it comes on top of
    what is there."""
    gy = gy if mask is None else rectifier.backward(gy, mask)
    (N, C, H, W), (K, C_group, R, S), (OH, OW) = x_shape, w.shape, gy.shape[2:]
    gx = np.zeros((N, C, H + padding[0] + padding[-2], W + padding[1] + padding[-1]), gy.dtype)
    # Windows that stick out at the end, which a transposed convolution's output may have no
    # pixels for, are cut off by [:OH, :OW].
    seen = windows(gx, w.shape[2:], stride, dilation, writeable=True)[:, :, :OH, :OW]
    gy_groups = gy.reshape(N, groups, K // groups, OH * OW)
    w_groups = w.reshape(groups, K // groups, C_group, R, S)
    for r in range(R):
        for s in range(S):
            sent = w_groups[:, :, :, r, s].transpose(0, 2, 1) @ gy_groups
            seen[..., r, s] += sent.reshape(N, C, OH, OW)  # no pixel twice for one tap
    gx = gx[:, :, padding[0] : padding[0] + H, padding[1] : padding[1] + W]
    return gx.copy() if add_to is None else add_to + gx


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    """gw: a weight met every pixel that its tap saw."""
    if groups == x.shape[1] > 1:
        return depthwise_weight(gy, x, w_shape, stride, padding, dilation)
    K, C_group, R, S = w_shape
    N, _, OH, OW = gy.shape
    seen = windows(pad(x, padding), (R, S), stride, dilation)[:, :, :OH, :OW]
    seen = seen.reshape(N, groups, C_group, OH, OW, R, S)
    gy = gy.reshape(N, groups, K // groups, OH, OW)
    gw = np.empty((groups, K // groups, C_group, R, S), gy.dtype)
    if N * OH * OW >= LONG:  # a long sum: kernels/sums.py
        gy, seen = gy.astype(np.float64), seen.astype(np.float64)
    for g in range(groups):
        gw[g] = np.tensordot(gy[:, g], seen[:, g], axes=([0, 2, 3], [0, 2, 3]))
    return gw.reshape(w_shape)


def depthwise_weight(gy, x, w_shape, stride, padding, dilation):
    """gw where each channel has windows of its own: summed in float64, over n, oh and ow."""
    (K, _, R, S), (N, _, OH, OW), C = w_shape, gy.shape, x.shape[1]
    seen = windows(pad(x, padding), (R, S), stride, dilation)[:, :, :OH, :OW]
    gy = gy.reshape(N, C, K // C, OH, OW)
    precision = np.result_type(gy, np.float64)
    gw = np.einsum("ncmij,ncijrs->cmrs", gy, seen, dtype=precision)
    return gw.reshape(w_shape).astype(gy.dtype)


def add_bias(y, b):
    """y += b, a number for each channel."""
    y += b.reshape(1, -1, 1, 1)


def backward_bias(gy):
    return total(gy, (0, 2, 3))


def backward_activation(gy, y, slope, has_bias):
    """Through the activation: the gradient before it, and that of the bias, if there is one."""
    gy = leaky.backward(gy, y, slope) if slope else rectifier.backward(gy, y)
    return gy, backward_bias(gy) if has_bias else None


def pad(x, padding):
    """x with a frame of zeros, as many rows and columns as `padding` says."""
    N, C, H, W = x.shape
    padded = np.zeros((N, C, H + padding[0] + padding[-2], W + padding[1] + padding[-1]), x.dtype)
    padded[:, :, padding[0] : padding[0] + H, padding[1] : padding[1] + W] = x
    return padded


def windows(x, kernel_size, stride, dilation, writeable=False):
    """What each window sees, (N, C, OH, OW, R, S): a view of x, no copy.

    A window of R taps, dilation apart, spans dilation (R - 1) + 1 rows. All windows of that span,
    of which every stride-th is kept, and in it every dilation-th row.
    """
    span = dilation[0] * (kernel_size[0] - 1) + 1, dilation[1] * (kernel_size[1] - 1) + 1
    every = sliding_window_view(x, span, axis=(2, 3), writeable=writeable)
    return every[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
