"""Pooling of signals, pictures and volumes."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from minidl import ops
from minidl.io.onnx.importers.precision import in_float32
from minidl.io.onnx.importers.windows import Axis, axes_of, counts, padded, symmetric, taps
from minidl.io.onnx.node import Node, int_list
from minidl.nn import functional as F
from minidl.shapes import check_size
from minidl.tensor import Tensor


def kernel_of(node: Node) -> list[int]:
    node.required("kernel_shape")
    return node.ints("kernel_shape")


def is_plain(x: Tensor, axes: list[Axis]) -> bool:
    """Whether minidl's own pooling knows these windows: pictures, symmetric, little padding."""
    little = all(2 * axis.before <= axis.kernel for axis in axes)
    return x.ndim == 4 and little and symmetric(axes) and x.dtype.kind == "f"


def max_pool(node: Node, x: Tensor) -> Any:
    """Values and, where a second output is asked for, their places in the flat input."""
    if x.ndim == 3:
        return as_pictures(node, x, max_pool_axes)
    return max_pool_axes(node, x, axes_of(node, x, kernel_of(node)))


def as_pictures(node: Node, x: Tensor, pool: Any) -> Any:
    """Pool a signal (N, C, L) as pictures of one row."""
    (axis,) = axes_of(node, x, kernel_of(node))
    row = Axis(1, 1, 1, 1, 0, 0, 1, 0)
    y = pool(node, x.unsqueeze(2), [row, axis])
    return tuple(part.squeeze(2) for part in y) if isinstance(y, tuple) else y.squeeze(2)


def max_pool_axes(node: Node, x: Tensor, axes: list[Axis]) -> Any:
    wants_places = len(node.outputs) > 1
    if x.dtype.kind != "f":
        values, *rest = as_tuple(max_pool_axes(node, x.to("float64"), axes))
        return (values.to(x.dtype), *rest) if rest else values.to(x.dtype)
    if x.ndim == 5:
        if wants_places:
            node.refuse("the indices of a 3-d maximum are not supported", {"x": x})
        return functools.reduce(ops.maximum, taps(padded(x, axes, -np.inf), axes))
    kernel = tuple(axis.kernel for axis in axes)
    stride = tuple(axis.stride for axis in axes)
    dilation = tuple(axis.dilation for axis in axes)
    padding = tuple(axis.before for axis in axes)
    if is_plain(x, axes):
        y = F.max_pool2d(
            x, kernel, stride, padding, dilation, bool(node.get("ceil_mode", 0)), wants_places
        )
        frame, W = (0, 0), x.shape[3]
    else:  # padding that never wins
        wide = padded(x, axes, -np.inf)
        y = F.max_pool2d(wide, kernel, stride, 0, dilation, False, wants_places)
        frame, W = padding, wide.shape[3]
    if not wants_places:
        return y
    values, places = y
    rows, columns = places.data // W - frame[0], places.data % W - frame[1]
    return values, Tensor(flat_places(node, x, rows, columns))


def flat_places(node: Node, x: Tensor, rows: Any, columns: Any) -> np.ndarray:
    """Where pixels are in the flat input; with storage_order 1, columns come first."""
    N, C, H, W = x.shape
    within = rows + columns * H if node.get("storage_order", 0) else rows * W + columns
    return np.arange(N * C).reshape(N, C, 1, 1) * (H * W) + within


def as_tuple(y: Any) -> tuple:
    return y if isinstance(y, tuple) else (y,)


def average_pool(node: Node, x: Tensor) -> Tensor:
    if x.ndim == 3:
        return as_pictures(node, x, average_pool_axes)
    return average_pool_axes(node, x, axes_of(node, x, kernel_of(node)))


def average_pool_axes(node: Node, x: Tensor, axes: list[Axis]) -> Tensor:
    include = bool(node.get("count_include_pad", 0))
    if is_plain(x, axes) and all(axis.dilation == 1 for axis in axes):
        return F.avg_pool2d(
            x, tuple(axis.kernel for axis in axes), tuple(axis.stride for axis in axes),
            tuple(axis.before for axis in axes), bool(node.get("ceil_mode", 0)), include,
        )  # fmt: skip
    total = functools.reduce(ops.add, taps(padded(x, axes, 0), axes))
    return total / Tensor(counts(axes, include).astype(x.dtype))


def lp_pool(node: Node, x: Tensor) -> Tensor:
    """The p-norm of each window."""
    p, axes = node.get("p", 2), axes_of(node, x, kernel_of(node))
    if p < 1:
        node.refuse("p is at least 1", {"p": p})
    powers = ops.pow(ops.abs(padded(x, axes, 0)), p)
    return ops.pow(functools.reduce(ops.add, taps(powers, axes)), 1 / p)


def spatial(node: Node, x: Tensor) -> tuple[int, ...]:
    if x.ndim < 3:
        node.refuse("expects an input (N, C, ...)", {"x": x})
    return tuple(range(2, x.ndim))


def global_average_pool(node: Node, x: Tensor) -> Tensor:
    return ops.mean(x, spatial(node, x), keepdim=True)


def global_max_pool(node: Node, x: Tensor) -> Tensor:
    return ops.amax(x, spatial(node, x), keepdim=True)


def global_lp_pool(node: Node, x: Tensor) -> Tensor:
    return ops.norm(x, node.get("p", 2), spatial(node, x), keepdim=True)


def max_unpool(node: Node, x: Tensor, places: Tensor, shape: Tensor | None = None) -> Tensor:
    """Values back where max pooling found them, zeros elsewhere."""
    kernel = kernel_of(node)
    n = x.ndim - 2
    strides, pads = node.ints("strides", [1] * n), node.ints("pads", [0] * 2 * n)
    if not len(kernel) == len(strides) == len(pads) // 2 == n or places.shape != x.shape:
        node.refuse("kernel, strides, pads and indices fit the input", {"x": x, "indices": places})
    # The indices speak of the picture that was pooled, output_shape may be larger.
    inner = (*x.shape[:2], *(
        (x.shape[2 + i] - 1) * strides[i] - pads[i] - pads[n + i] + kernel[i] for i in range(n)
    ))  # fmt: skip
    outer = inner if shape is None else tuple(int_list(node, shape, "output_shape"))
    if len(outer) != x.ndim or any(o < i for o, i in zip(outer, inner)):
        node.refuse("output_shape is as large as the pooled input", {"output_shape": outer})
    check_size("onnx", inner, np.int64, {"x": x, "strides": strides})
    index = places.data.reshape(-1)
    source = np.full(math.prod(inner), x.numel(), np.int64)  # where nothing comes from: a zero
    if index.size and (index.min() < 0 or index.max() >= source.size):
        node.refuse("an index is outside of the output", {"output": inner})
    source[index] = np.arange(index.size)
    values = ops.cat([x.reshape(-1), Tensor(np.zeros(1, x.dtype))])
    y = ops.index_select(values, 0, Tensor(source)).reshape(inner)
    behind = [n for i in range(x.ndim - 1, -1, -1) for n in (0, outer[i] - inner[i])]
    return F.pad(y, behind) if any(behind) else y


IMPORTERS = {
    "AveragePool": in_float32(average_pool), "GlobalAveragePool": global_average_pool,
    "GlobalLpPool": global_lp_pool, "GlobalMaxPool": global_max_pool, "LpPool": lp_pool,
    "MaxPool": in_float32(max_pool), "MaxUnpool": max_unpool,
}  # fmt: skip
