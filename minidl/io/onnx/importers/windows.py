"""Where the windows of convolutions and pooling lie: ONNX's attributes, with auto_pad resolved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minidl.io.onnx.node import Node
from minidl.nn import functional as F
from minidl.shapes import check_size
from minidl.tensor import Tensor


@dataclass
class Axis:
    """The windows along one axis: places windows, of `kernel` taps `dilation` pixels apart.

    Args:
        before, behind: pixels of padding; more than ONNX says where ceil_mode adds a window.
        counted: of the padding behind, what ONNX's pads say (count_include_pad counts it).
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    behind: int
    places: int
    counted: int


def axes_of(node: Node, x: Tensor, kernel: list[int]) -> list[Axis]:
    """The windows of each spatial axis of x (N, C, ...)."""
    n = x.ndim - 2
    if n < 1 or len(kernel) != n or min(kernel) < 1:
        node.refuse(f"the window has {len(kernel)} dimensions", {"x": x, "kernel": kernel})
    strides, dilations = node.ints("strides", [1] * n), node.ints("dilations", [1] * n)
    pads = node.ints("pads", [0] * 2 * n)
    if len(strides) != n or len(dilations) != n or len(pads) != 2 * n:
        node.refuse("strides, dilations and pads fit the window", {"x": x, "kernel": kernel})
    if min(strides + dilations) < 1 or min(pads) < 0:
        node.refuse(
            "strides and dilations are >= 1, pads >= 0",
            {"strides": strides, "dilations": dilations, "pads": pads},
        )
    auto = node.choice("auto_pad", "NOTSET", ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", ""))
    ceil = bool(node.get("ceil_mode", 0))
    axes = []
    for i, (size, k, s, d) in enumerate(zip(x.shape[2:], kernel, strides, dilations)):
        before, behind = (0, 0) if auto == "VALID" else (pads[i], pads[n + i])
        if auto.startswith("SAME"):
            before, behind = same_padding(auto, size, (k - 1) * d + 1, s)
        axes.append(axis_of(node, x, size, k, s, d, before, behind, ceil))
    return axes


def same_padding(auto: str, size: int, window: int, stride: int) -> tuple[int, int]:
    """As many windows as size / stride, rounded up; an odd pixel goes behind, or before."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return (
        (total // 2, total - total // 2) if auto == "SAME_UPPER" else (-(-total // 2), total // 2)
    )


def axis_of(
    node: Node, x: Tensor, size: int, kernel: int, stride: int, dilation: int, before: int,
    behind: int, ceil: bool,
) -> Axis:  # fmt: skip
    """With ceil a last window may stick out, if it starts inside of the picture or before it."""
    window = (kernel - 1) * dilation + 1
    room = size + before + behind - window
    places = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (places - 1) * stride >= size + before:
        places -= 1
    if size == 0 or places < 1:
        node.refuse("the window is larger than the padded input", {"x": x, "window": window})
    sticks_out = (places - 1) * stride + window - (size + before)
    return Axis(size, kernel, stride, dilation, before, max(behind, sticks_out), places, behind)


def symmetric(axes: list[Axis]) -> bool:
    """Whether each axis has as much padding before as behind, and no more than ONNX says."""
    return all(axis.before == axis.counted for axis in axes)


def padded(x: Tensor, axes: list[Axis], value: float) -> Tensor:
    """x with the padding around its spatial axes."""
    widths = [n for axis in axes[::-1] for n in (axis.before, axis.behind)]
    return F.pad(x, widths, value=value) if any(widths) else x


def taps(x: Tensor, axes: list[Axis]):
    """For each tap of the window, what it sees at all places; x is padded already."""
    sizes = (*x.shape[:2], *(axis.places for axis in axes))
    check_size("onnx", sizes, x.dtype, {"x": x})
    for tap in np.ndindex(*(axis.kernel for axis in axes)):
        index = [slice(None), slice(None)]
        for axis, at in zip(axes, tap):
            start = at * axis.dilation
            index.append(slice(start, start + (axis.places - 1) * axis.stride + 1, axis.stride))
        yield x[tuple(index)]


def counts(axes: list[Axis], include_padding: bool) -> np.ndarray:
    """How many taps of each window count: those on pixels, or also those on ONNX's pads."""
    total = np.ones((), np.float64)
    for axis in axes:
        first = np.arange(axis.places)[:, None] * axis.stride - axis.before
        position = first + np.arange(axis.kernel) * axis.dilation
        low, high = (-axis.before, axis.size + axis.counted) if include_padding else (0, axis.size)
        inside = ((position >= low) & (position < high)).sum(axis=1)
        total = total[..., None] * inside
    return total
