"""Convolutions, and the columns that one multiplies with."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.io.onnx.writer import Writer
from minidl.ops.conv2d import Conv2d
from minidl.ops.conv2d_relu import Conv2dReLU
from minidl.ops.conv_transpose2d import ConvTranspose2d
from minidl.ops.unfold import Unfold
from minidl.shapes import window_output


def geometry(stride: Any, padding: Any, dilation: Any, groups: int) -> dict[str, Any]:
    """minidl's settings of a convolution as ONNX's attributes."""
    return {
        "strides": list(stride), "pads": [*padding[:2], *padding[-2:]], "dilations": list(dilation),
        "group": int(groups),
    }  # fmt: skip


def conv(g: Writer, f: Any, x: str, w: str, b: str = "") -> str:
    size = list(f.inputs[1].shape[2:])
    return g.add("Conv", x, w, b, kernel_shape=size, **geometry(*f.geometry))


def conv_relu(g: Writer, f: Any, x: str, w: str, b: str = "") -> str:
    y = conv(g, f, x, w, b)
    return g.add("LeakyRelu", y, alpha=f.negative_slope) if f.negative_slope else g.add("Relu", y)


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


EXPORTERS = {
    Conv2d: conv, Conv2dReLU: conv_relu, ConvTranspose2d: conv_transpose, Unfold: unfold,
}  # fmt: skip
