"""Convolutions of signals, pictures and volumes, in terms of the 2-d operations."""

from __future__ import annotations

from dataclasses import dataclass

from minidl.io.onnx.importers.precision import in_float32
from minidl.io.onnx.importers.rows import spread
from minidl.io.onnx.importers.windows import axes_of
from minidl.io.onnx.node import Node
from minidl.nn import functional as F
from minidl.tensor import Tensor


def conv(node: Node, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """A signal is a picture of one row; a volume is summed over the planes of the window."""
    check_dimensions(node, x, w)
    axes = axes_of(node, x, list(w.shape[2:]))
    strides = tuple(axis.stride for axis in axes)
    dilations = tuple(axis.dilation for axis in axes)
    padding = tuple((axis.before, axis.counted) for axis in axes)
    group = node.get("group", 1)
    if x.ndim == 4:
        return F.conv2d(x, w, b, strides, padding, dilations, group)
    if x.ndim == 3:
        x, w, padding = x.unsqueeze(2), w.unsqueeze(2), ((0, 0), *padding)
        return F.conv2d(x, w, b, (1, *strides), padding, (1, *dilations), group).squeeze(2)
    x = F.pad(x, (0, 0, 0, 0, *padding[0]))
    return conv_volume(x, w, b, strides, padding[1:], dilations, group, axes[0].places)


def check_dimensions(node: Node, x: Tensor, w: Tensor) -> None:
    if w.ndim != x.ndim or not 3 <= x.ndim <= 5:
        node.refuse("expects an input (N, C, ...) of 1 to 3 dimensions", {"x": x, "w": w})


def conv_volume(x, w, b, strides, padding, dilations, group, depth) -> Tensor:
    """A 3-d convolution: the planes at one tap of the depth are pictures, a batch of them."""
    total = None
    for r in range(w.shape[2]):
        start = r * dilations[0]
        planes = x[:, :, start : start + (depth - 1) * strides[0] + 1 : strides[0]]
        y = F.conv2d(
            as_pictures(planes), w[:, :, r], None, strides[1:], padding, dilations[1:], group
        )
        total = y if total is None else total + y
    y = as_volume(total, x.shape[0], depth)
    return y if b is None else y + b.reshape(-1, 1, 1, 1)


def as_pictures(x: Tensor) -> Tensor:
    """(N, C, D, H, W) as (N D, C, H, W)."""
    N, C, D, H, W = x.shape
    return x.transpose(1, 2).reshape(N * D, C, H, W)


def as_volume(x: Tensor, N: int, D: int) -> Tensor:
    """(N D, C, H, W) as (N, C, D, H, W)."""
    return x.reshape(N, D, *x.shape[1:]).transpose(1, 2)


@dataclass
class Spread:
    """How a transposed convolution spreads one axis; `before` and `behind` are cut off."""

    stride: int
    dilation: int
    extra: int
    before: int
    behind: int
    size: int  # of the result


def conv_transpose(node: Node, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    check_dimensions(node, x, w)
    axes = spread_of(node, x, w)
    group = node.get("group", 1)
    if x.ndim == 4:
        return spread_pictures(x, w, b, axes, group)
    if x.ndim == 3:
        row = Spread(1, 1, 0, 0, 0, 1)
        return spread_pictures(x.unsqueeze(2), w.unsqueeze(2), b, [row, *axes], group).squeeze(2)
    depth, pictures, total = axes[0], as_pictures(x), None
    for r in range(w.shape[2]):
        y = spread_pictures(pictures, w[:, :, r], None, axes[1:], group)
        y = as_volume(y, *x.shape[::2][:2])
        y = spread(y, 2, depth.stride, r * depth.dilation - depth.before, depth.size)
        total = y if total is None else total + y
    return total if b is None else total + b.reshape(-1, 1, 1, 1)


def spread_pictures(x, w, b, axes: list[Spread], group: int) -> Tensor:
    """The 2-d case. What both sides lose alike, the operation itself cuts off."""
    shared = tuple(min(axis.before, axis.behind) for axis in axes)
    strides, dilations, extra = (
        tuple(getattr(axis, name) for axis in axes) for name in ("stride", "dilation", "extra")
    )
    y = F.conv_transpose2d(x, w, b, strides, shared, extra, group, dilations)
    rest = [same - side for axis, same in zip(axes, shared) for side in (axis.before, axis.behind)]
    return F.pad(y, [*rest[2:], *rest[:2]]) if any(rest) else y


def spread_of(node: Node, x: Tensor, w: Tensor) -> list[Spread]:
    """The axes. output_shape and auto_pad, where given, decide how much is cut off."""
    n = x.ndim - 2
    strides, dilations = node.ints("strides", [1] * n), node.ints("dilations", [1] * n)
    extra, pads = node.ints("output_padding", [0] * n), node.ints("pads", [0] * 2 * n)
    wanted = node.ints("output_shape")
    auto = node.choice("auto_pad", "NOTSET", ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", ""))
    given = [strides, dilations, extra, pads[:n], pads[n:]] + ([wanted[-n:]] if wanted else [])
    if any(len(values) != n for values in given) or len(pads) != 2 * n:
        node.refuse("strides, dilations, pads and output_shape fit the window", {"x": x, "w": w})
    if min(strides + dilations) < 1 or min(pads + extra) < 0:
        node.refuse("strides and dilations are >= 1, pads >= 0", {"strides": strides, "pads": pads})
    axes = []
    for i in range(n):
        more, before, behind = extra[i], pads[i], pads[n + i]
        whole = (x.shape[2 + i] - 1) * strides[i] + (w.shape[2 + i] - 1) * dilations[i] + 1 + more
        size = wanted[i - n] if wanted else whole - before - behind
        if auto.startswith("SAME") and not wanted:
            size = x.shape[2 + i] * strides[i]
        if wanted or auto.startswith("SAME"):
            cut = max(whole - size, 0)
            more += max(size - whole, 0)
            small, large = cut // 2, cut - cut // 2
            before, behind = (small, large) if auto == "SAME_UPPER" else (large, small)
        axes.append(Spread(strides[i], dilations[i], more, before, behind, size))
    return axes


IMPORTERS = {"Conv": in_float32(conv), "ConvTranspose": in_float32(conv_transpose)}
