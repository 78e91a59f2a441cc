"""Convolution, pooling, normalization, linear and recurrent layers, interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.io.onnx.exporters.average_pool import average_pool
from minidl.io.onnx.exporters.interpolate import bilinear, nearest
from minidl.io.onnx.writer import Writer
from minidl.ops.avg_pool2d import AveragePool
from minidl.ops.batch_norm import BatchNorm
from minidl.ops.conv2d import Conv2d
from minidl.ops.conv_transpose2d import ConvTranspose2d
from minidl.ops.interpolate import InterpolateBilinear, InterpolateNearest
from minidl.ops.linear import Linear
from minidl.ops.lrn import LocalResponseNorm
from minidl.ops.lstm import LSTM
from minidl.ops.matmul import MatMul
from minidl.ops.max_pool2d import MaxPool2d
from minidl.ops.unfold import Unfold
from minidl.shapes import window_output

INT32 = 6  # ONNX's number


def geometry(stride: Any, padding: Any, dilation: Any, groups: int) -> dict[str, Any]:
    """minidl's settings of a convolution as ONNX's attributes."""
    return {
        "strides": list(stride), "pads": [*padding, *padding], "dilations": list(dilation),
        "group": int(groups),
    }  # fmt: skip


def conv(g: Writer, f: Any, x: str, w: str, b: str = "") -> str:
    size = list(f.inputs[1].shape[2:])
    return g.add("Conv", x, w, b, kernel_shape=size, **geometry(*f.geometry))


def conv_transpose(g: Writer, f: Any, x: str, w: str, b: str = "") -> str:
    """output_padding is what the output has more than the smallest one.

    Where a convolution would not lead back from that output to the input, runtimes refuse it: then
    less is cut off at the end, rows that nothing reaches are added, and the bias after them.
    """
    stride, padding, dilation, groups = f.geometry
    size, kernel = f.inputs[0].shape[2:], f.inputs[1].shape[2:]
    settings = {"kernel_shape": list(kernel), **geometry(*f.geometry)}
    extra, back = [], []
    for i in (0, 1):
        span = (size[i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1
        extra.append(f.output_size[i] - (span - 2 * padding[i]))
        back.append(window_output(f.output_size[i], kernel[i], stride[i], padding[i], dilation[i]))
    if not any(extra):
        return g.add("ConvTranspose", x, w, b, **settings)
    if tuple(back) == tuple(size):
        return g.add("ConvTranspose", x, w, b, output_padding=extra, **settings)
    settings["pads"][2:] = [max(p - more, 0) for p, more in zip(padding, extra)]
    added = [max(more - p, 0) for p, more in zip(padding, extra)]
    y = g.add("Pad", g.add("ConvTranspose", x, w, **settings), g.ints(0, 0, 0, 0, 0, 0, *added))
    return g.add("Add", y, g.add("Reshape", b, g.ints(1, -1, 1, 1))) if b else y


def max_pool(g: Writer, f: Any, x: str) -> list[str]:
    """The values; where they are counts differently in ONNX.

    ceil_mode, unless its rule, which changed in ONNX, gives another size: then padding at the end,
    which never wins.
    """
    kernel, stride, padding, dilation = f.geometry
    ends, floors, ceils = list(padding), [], []
    for i, size in enumerate(f.inputs[0].shape[2:]):
        settings = kernel[i], stride[i], padding[i], dilation[i]
        floors.append(window_output(size, *settings))
        ceils.append(window_output(size + stride[i] - 1, *settings))
        reach = (f.output_size[i] - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1
        ends[i] = max(padding[i], reach - size - padding[i])
    size, ceil = list(f.output_size), 0
    if size in (floors, ceils):
        ends, ceil = list(padding), int(size != floors)
    y = g.add("MaxPool", x, kernel_shape=list(kernel), strides=list(stride),
              pads=[*padding, *ends], dilations=list(dilation), ceil_mode=ceil)  # fmt: skip
    return [y]


def batch_norm(g: Writer, f: Any, x: str, w: str, b: str) -> str:
    """With running averages; with the statistics of each picture, instance normalization."""
    if not f.training:
        mean, var = (g.name_of(average) for average in f.running)
        return g.add("BatchNormalization", x, w, b, mean, var, epsilon=f.eps)
    if f.per_image:
        return g.add("InstanceNormalization", x, w, b, epsilon=f.eps)
    ndim, dtype = f.inputs[0].ndim, f.inputs[0].dtype
    axes = [0, *range(2, ndim)]
    centered = g.add("Sub", x, g.reduce("ReduceMean", x, axes))
    variance = g.reduce("ReduceMean", g.add("Mul", centered, centered), axes)
    std = g.add("Sqrt", g.add("Add", variance, g.constant(f.eps, dtype)))
    per_channel = g.ints(-1, *[1] * (ndim - 2))
    w, b = (g.add("Reshape", v, per_channel) for v in (w, b))
    return g.add("Add", g.add("Mul", g.add("Div", centered, std), w), b)


def lrn(g: Writer, f: Any, x: str) -> str:
    """Even windows, which runtimes refuse or place differently, as an average over channels."""
    if f.size % 2:
        return g.add("LRN", x, size=int(f.size), alpha=float(f.alpha), beta=float(f.beta),
                     bias=float(f.k))  # fmt: skip
    N, C, H, W = f.inputs[0].shape
    squares = g.add("Reshape", g.add("Mul", x, x), g.ints(N, 1, C, H * W))
    before, behind = f.size // 2, (f.size - 1) // 2
    # Not by the pooling: ONNX Runtime 1.23 counts pads that differ wrongly from set 19 on.
    squares = g.add("Pad", squares, g.ints(0, 0, before, 0, 0, 0, behind, 0))
    mean = g.add("AveragePool", squares, kernel_shape=[int(f.size), 1], strides=[1, 1])
    mean = g.add("Reshape", mean, g.ints(N, C, H, W))
    dtype = f.inputs[0].dtype
    scaled = g.add("Mul", mean, g.constant(f.alpha, dtype))
    power = g.add("Pow", g.add("Add", scaled, g.constant(f.k, dtype)), g.constant(f.beta, dtype))
    return g.add("Div", x, power)


def linear(g: Writer, f: Any, x: str, w: str, b: str = "") -> str:
    if f.inputs[0].ndim == 2:
        return g.add("Gemm", x, w, b, transB=1)
    y = g.add("MatMul", x, g.add("Transpose", w, perm=[1, 0]))
    return g.add("Add", y, b) if b else y


def matmul(g: Writer, f: Any, a: str, b: str) -> str:
    return g.add("MatMul", a, b)


def lstm(g: Writer, f: Any, x: str, h: str, c: str, w: str, r: str, *rest: str) -> list[str]:
    """The gates in ONNX's order, a dimension for the direction; a state of zeros is left out."""
    biases, lengths = rest[: len(rest) // 2 * 2], rest[len(rest) // 2 * 2 :]
    first = g.ints(0)
    w, r = (g.add("Unsqueeze", gates_in_order(g, rows), first) for rows in (w, r))
    bias = ""
    if biases:
        both = g.add("Concat", *(gates_in_order(g, rows) for rows in biases), axis=0)
        bias = g.add("Unsqueeze", both, first)
    if lengths:
        counts = g.add("Cast", *lengths, to=INT32)
    else:
        counts = "" if f.lengths is None else g.constant(f.lengths, np.int32)
    states = []
    for name, x0 in zip((h, c), f.inputs[1:3]):
        zero = x0.grad_fn is None and x0 not in g.names and not x0.data.any()
        states.append("" if zero else g.add("Unsqueeze", name, first))
    y, h, c = g.add(
        "LSTM", x, w, r, bias, counts, *states, outputs=3, hidden_size=f.inputs[4].shape[1],
        direction="reverse" if f.reverse else "forward",
    )  # fmt: skip
    return [g.add("Squeeze", y, g.ints(1)), g.add("Squeeze", h, first), g.add("Squeeze", c, first)]


def gates_in_order(g: Writer, rows: str) -> str:
    """Rows in the order i, f, g, o (minidl's and PyTorch's) as i, o, f, g (ONNX's)."""
    i, f, cell, o = g.add(
        "Split", rows, axis=0, outputs=4, num_outputs=4 if g.opset >= 18 else None
    )
    return g.add("Concat", i, o, f, cell, axis=0)


def unfold(g: Writer, f: Any, x: str) -> str:
    """A convolution with R S kernels for each channel, each of which picks one pixel."""
    kernel, dilation, padding, stride = f.geometry
    N, C, *size = f.inputs[0].shape
    taps = kernel[0] * kernel[1]
    picks = np.tile(np.eye(taps).reshape(taps, 1, *kernel), (C, 1, 1, 1))
    w = g.constant(picks, f.inputs[0].dtype)
    y = g.add("Conv", x, w, kernel_shape=list(kernel), **geometry(stride, padding, dilation, C))
    places = [window_output(size[i], kernel[i], stride[i], padding[i], dilation[i]) for i in (0, 1)]
    return g.add("Reshape", y, g.ints(N, C * taps, places[0] * places[1]))


CONVERTERS = {
    AveragePool: average_pool, BatchNorm: batch_norm, Conv2d: conv,
    ConvTranspose2d: conv_transpose, InterpolateBilinear: bilinear, InterpolateNearest: nearest,
    LSTM: lstm, Linear: linear, LocalResponseNorm: lrn, MatMul: matmul, MaxPool2d: max_pool,
    Unfold: unfold,
}  # fmt: skip
