"""2-D convolution: the fastest of nine ways to compute a result, chosen from shapes and memory.

    convolution/depthwise.py    each channel has windows of its own: vectors of channels
    convolution/batch_last.py   few channels and many pictures: each lane of a vector is a picture
    convolution/winograd/       3x3 and 5x5 windows with a fraction of the multiplications
    convolution/halving.py      4x4 windows with stride 2 by the same algorithm
    convolution/quads.py        its gradient where it draws a picture of a few channels
    convolution/direct.py       windows read where they lie: the first layer, and strides
    convolution/widened.py      the same for few output channels: layers that draw a picture
    convolution/few_channels.py the gradient of x where that is a picture
    convolution/im2col.py       a matrix product of all that the windows read: everything else

Each has the functions of this file, and `is_faster` says whether it should compute a result:
"y", "gx" or "gw". They round differently, but the choice depends on shapes, dtype and the order in
memory, and for narrow groups on whether all numbers are finite: the same call gives the same bits.

A few groups of a few channels, as in table I of LeNet-5, are too narrow to be fast in any of these
ways. They are computed as one group, with zeros where a kernel does not see a channel. Infinity and
NaN times 0 are NaN, which would reach groups that do not see them; so where there are any, each
group is computed for itself.

A ReLU behind the convolution is applied where the outputs are written, and its gradient where gy is
read: on its own, each would read and write a whole array once more. The ways in ONE_PASS do that;
after the others, the ReLU follows on its own. The same goes for a leaky ReLU and those in SLOPED;
its gradient is computed by the loop that sums up that of the bias.

Shapes as in the reference kernel.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from minidl.kernels.cpu import leaky_relu as leaky
from minidl.kernels.cpu import relu as rectifier
from minidl.kernels.cpu.convolution import (
    batch_last,
    depthwise,
    direct,
    few_channels,
    halving,
    im2col,
    quads,
    widened,
    winograd,
)
from minidl.kernels.cpu.matmul import add_to_rows
from minidl.kernels.layout import CHANNELS_LAST, channels_first
from minidl.kernels.memory import aligned
from minidl.kernels.sums import total

ONE_PASS = winograd, halving, direct, few_channels, im2col
SLOPED = winograd, halving, direct
NARROW_GROUPS = 16, 4  # so many groups at most, and output channels in each, are computed as one


def choose(result, array, x_shape, w_shape, *geometry):
    """The module that computes a result.

    Args:
        result: "y", "gx" or "gw".
        array: x where y is computed, gy for a gradient: its dtype and order in memory count.
        x_shape: (N, C, H, W).
        w_shape: (K, C / groups, R, S).
        geometry: stride, padding, dilation, groups. padding is (height, width) or, where opposite
            sides differ, (top, left, bottom, right): [-2] and [-1] are those behind either way.
    """
    for algorithm in (
        depthwise, batch_last, winograd, halving, quads, direct, widened, few_channels
    ):  # fmt: skip
        if algorithm.is_faster(result, array, x_shape, w_shape, *geometry):
            return algorithm
    return im2col


def forward(x, w, b, stride, padding, dilation, groups, slope=1.0):
    """y, of which what is below 0 is multiplied by the slope: 0 makes a ReLU, 1 nothing."""
    if are_narrow(w.shape, groups) and is_finite(x):
        w, groups = with_zeros(w, groups), 1
    geometry = stride, padding, dilation, groups
    algorithm = choose("y", x, x.shape, w.shape, *geometry)
    if slope == 0 and algorithm in ONE_PASS:  # but for few_channels, which computes gradients alone
        return algorithm.forward(x, w, b, *geometry, least=0.0)
    if slope != 1 and algorithm in SLOPED:
        return algorithm.forward(x, w, b, *geometry, slope=slope)
    y = algorithm.forward(x, w, b, *geometry)
    if slope == 1:
        return y
    return leaky.forward(y, slope) if slope else rectifier.forward(y)


def backward_input(gy, w, x_shape, stride, padding, dilation, groups, mask=None, add_to=None):
    if are_narrow(w.shape, groups) and is_finite(gy):
        w, groups = with_zeros(w, groups), 1
    geometry = stride, padding, dilation, groups
    algorithm = choose("gx", gy, x_shape, w.shape, *geometry)
    if algorithm is im2col and im2col.adds(w.shape, add_to, *geometry):
        return im2col.backward_input(gy, w, x_shape, *geometry, mask=mask, add_to=add_to)
    if mask is None:
        gx = algorithm.backward_input(gy, w, x_shape, *geometry)
    elif algorithm in ONE_PASS:  # but for direct, which computes no gradients of x
        gx = algorithm.backward_input(gy, w, x_shape, *geometry, mask=mask)
    else:
        gx = algorithm.backward_input(rectifier.backward(gy, mask), w, x_shape, *geometry)
    return gx if add_to is None else np.add(add_to, gx, out=gx)


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    if are_narrow(w_shape, groups):
        whole = (w_shape[0], x.shape[1], *w_shape[2:])
        gw = backward_weight(gy, x, whole, stride, padding, dilation, 1)
        return diagonal(gw, groups).reshape(w_shape)
    geometry = stride, padding, dilation, groups
    algorithm = choose("gw", gy, x.shape, w_shape, *geometry)
    return algorithm.backward_weight(gy, x, w_shape, *geometry)


def add_bias(y, b):
    rows, W = rows_of(y), y.shape[3]
    if rows is not None:
        add_to_rows(rows, np.tile(b, W), y.dtype.type(-np.inf))
    else:
        y += b.reshape(1, -1, 1, 1)


def backward_bias(gy):
    if (rows := rows_of(gy)) is None:
        return total(gy, (0, 2, 3))
    sums = np.zeros(rows.shape[1], np.float64)
    add_up(rows, sums)
    return sums.reshape(-1, gy.shape[1]).sum(axis=0).astype(gy.dtype)


def backward_activation(gy, y, slope, has_bias):
    """Through the activation: the gradient before it, and that of the bias, if there is one."""
    rows, y_rows = rows_of(gy), rows_of(y)
    if slope == 0 or not has_bias or rows is None or y_rows is None:
        gy = leaky.backward(gy, y, slope) if slope else rectifier.backward(gy, y)
        return gy, backward_bias(gy) if has_bias else None
    N, C, H, W = y.shape
    before, sums = aligned(rows.shape, gy.dtype), np.zeros(W * C, np.float64)
    scale_and_add_up(rows, y_rows, gy.dtype.type(slope), before, sums)
    gb = sums.reshape(W, C).sum(axis=0).astype(gy.dtype)
    return channels_first(before.reshape(N, H, W, C)), gb


def rows_of(y):
    """The rows of all pictures, (N H, W C), which are long also where a pixel has few channels;
    None where the memory is not channels-last or there is nothing in it."""
    N, C, H, W = y.shape
    pixels = y.transpose(CHANNELS_LAST)
    return pixels.reshape(N * H, W * C) if y.size and pixels.flags.c_contiguous else None


@njit(nogil=True, cache=True)
def add_up(rows, sums):
    """sums += each of the rows, in float64."""
    for row in range(len(rows)):
        for i in range(len(sums)):
            sums[i] += rows[row, i]


@njit(nogil=True, cache=True)
def scale_and_add_up(gy, y, slope, before, sums):
    """before = gy where y > 0, else slope gy; sums += each of its rows, in float64, while it is in
    the nearest cache. (In one loop, the compiler finds no vector instructions.)"""
    zero = y.dtype.type(0)
    for row in range(len(gy)):
        source, outputs, target = gy[row], y[row], before[row]
        for i in range(len(sums)):
            target[i] = source[i] if outputs[i] > zero else slope * source[i]
        for i in range(len(sums)):
            sums[i] += target[i]


def are_narrow(w_shape, groups):
    """Few groups of few output channels, too few also for convolution/depthwise.py."""
    few = 1 < groups <= NARROW_GROUPS[0] and w_shape[0] // groups <= NARROW_GROUPS[1]
    return few and not (w_shape[1] == 1 and w_shape[0] >= depthwise.WIDTH)


def is_finite(x):
    """All numbers are finite, or so large that their sum is not."""
    with np.errstate(all="ignore"):
        return math.isfinite(x.sum())


def with_zeros(w, groups):
    """Weights of groups, (K, C/groups, R, S), as those of one group, (K, C, R, S)."""
    K, C_group, R, S = w.shape
    whole = np.zeros((R, S, C_group * groups, K), w.dtype).transpose(3, 2, 0, 1)
    diagonal(whole, groups)[...] = w.reshape(groups, K // groups, C_group, R, S)
    return whole


def diagonal(whole, groups):
    """A view of what groups have of (K, C, R, S) weights: (groups, K/groups, C/groups, R, S)."""
    K, C, R, S = whole.shape
    return np.einsum("gkgcrs->gkcrs", whole.reshape(groups, K // groups, groups, C // groups, R, S))
