"""Reductions, running sums, and the functions of a whole axis (softmax)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minidl import ops
from minidl.io.onnx.node import Node, int_list, one_int
from minidl.nn import functional as F
from minidl.tensor import Tensor


def reduction(function: Callable) -> Callable:
    """The operator for function(x, dims, keepdim).

    Axes are an attribute in older operator sets, an input in newer ones; none means all of them,
    or, with noop_with_empty_axes, no reduction: only what the function does to each element.
    """

    def reduce(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
        given = node.ints("axes", []) if axes is None else int_list(node, axes, "axes")
        keepdims = bool(node.get("keepdims", 1))
        if any(not -x.ndim <= d < x.ndim for d in given):
            node.refuse("no such axis", {"x": x, "axes": given})
        dims = tuple(d % x.ndim for d in given)
        if not given and not node.get("noop_with_empty_axes", 0):
            dims = tuple(range(x.ndim))
        if not dims:  # one element for each: a size-1 axis of its own is reduced
            return function(x.unsqueeze(-1), (x.ndim,), False).to(x.dtype)
        return function(x, dims, keepdims).to(x.dtype)

    return reduce


def prod(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    """minidl reduces one dimension at a time."""
    for d in sorted(dims, reverse=True):
        x = ops.prod(x, d, keepdim)
    return x


def extreme(function: Callable, empty: float) -> Callable:
    """max or min; of nothing, minus or plus infinity."""

    def reduce(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
        if math.prod(x.shape[d] for d in dims):
            return function(x, dims, keepdim)
        sizes = [1 if i in dims else n for i, n in enumerate(x.shape) if keepdim or i not in dims]
        return Tensor(np.full(sizes, lowest_or_highest(x.dtype, empty), x.dtype))

    return reduce


def lowest_or_highest(dtype: np.dtype, infinity: float):
    """The infinity, or the integer nearest to it; of bools, the neutral element."""
    if dtype.kind == "f":
        return infinity
    if dtype.kind == "b":
        return infinity > 0
    return np.iinfo(dtype).max if infinity > 0 else np.iinfo(dtype).min


def log_sum_exp(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    if x.dtype.kind == "f" and math.prod(x.shape[d] for d in dims):
        return ops.logsumexp(x, dims, keepdim)
    return ops.log(ops.sum(ops.exp(x), dims, keepdim))


def log_sum(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    with np.errstate(divide="ignore"):  # of nothing: log 0 is -inf
        return ops.log(ops.sum(x, dims, keepdim))


def mean(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    """The mean; of integers, rounded by the caller."""
    return ops.mean(x if x.dtype.kind == "f" else x.to("float64"), dims, keepdim)


def norm(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    """The 2-norm, whose gradient at 0 is 0; of integers, rounded by the caller."""
    return ops.norm(x if x.dtype.kind == "f" else x.to("float64"), 2, dims, keepdim)


def arg(function: Callable) -> Callable:
    """argmax or argmin; with select_last_index the last of equals."""

    def find(node: Node, x: Tensor) -> Tensor:
        axis, keepdims = node.get("axis", 0), bool(node.get("keepdims", 1))
        if not node.get("select_last_index", 0):
            return function(x, axis, keepdims)
        return x.shape[axis] - 1 - function(ops.flip(x, axis), axis, keepdims)

    return find


def normalized(function: Callable) -> Callable:
    """softmax and its like; before operator set 13 over all dimensions from axis on, as one."""

    def apply(node: Node, x: Tensor) -> Tensor:
        axis = node.get("axis", -1 if node.opset >= 13 else 1)
        if node.opset >= 13:
            return function(x, axis)
        if not -x.ndim <= axis <= x.ndim:
            node.refuse("no such axis", {"x": x, "axis": axis})
        axis += x.ndim if axis < 0 else 0
        rows = math.prod(x.shape[:axis])
        return function(x.reshape(rows, math.prod(x.shape[axis:])), 1).reshape(x.shape)

    return apply


def hardmax(x: Tensor, axis: int) -> Tensor:
    """1 at the first largest element, 0 elsewhere."""
    winner = ops.argmax(x, axis, keepdim=True).data
    y = np.zeros(x.shape, x.dtype)
    np.put_along_axis(y, winner, 1, axis)
    return Tensor(y)


def cumulative(function: Callable, neutral: int) -> Callable:
    """Running sums or products; reverse starts at the end, exclusive leaves the element out."""

    def run(node: Node, x: Tensor, axis: Tensor) -> Tensor:
        dim = one_int(node, axis, "axis")
        if not -x.ndim <= dim < x.ndim:
            node.refuse("no such axis", {"x": x, "axis": dim})
        dim %= x.ndim
        reverse = node.get("reverse", 0)
        y = ops.flip(x, dim) if reverse else x
        if node.get("exclusive", 0):
            behind = [0] * (2 * (x.ndim - 1 - dim))
            y = F.pad(y, [*behind, 1, -1], value=neutral)
        y = function(y, dim).to(x.dtype)
        return ops.flip(y, dim) if reverse else y

    return run


def cumulative_product(x: Tensor, dim: int) -> Tensor:
    parts, product = [], None
    for part in ops.unbind(x, dim):
        product = part if product is None else product * part
        parts.append(product)
    return ops.stack(parts, dim) if parts else x


IMPORTERS = {
    "ArgMax": arg(ops.argmax), "ArgMin": arg(ops.argmin),
    "CumProd": cumulative(cumulative_product, 1), "CumSum": cumulative(ops.cumsum, 0),
    "Hardmax": normalized(hardmax), "LogSoftmax": normalized(ops.log_softmax),
    "ReduceL1": reduction(lambda x, dims, keep: ops.sum(ops.abs(x), dims, keep)),
    "ReduceL2": reduction(norm),
    "ReduceLogSum": reduction(log_sum), "ReduceLogSumExp": reduction(log_sum_exp),
    "ReduceMax": reduction(extreme(ops.amax, -math.inf)), "ReduceMean": reduction(mean),
    "ReduceMin": reduction(extreme(ops.amin, math.inf)), "ReduceProd": reduction(prod),
    "ReduceSum": reduction(ops.sum),
    "ReduceSumSquare": reduction(lambda x, dims, keep: ops.sum(x * x, dims, keep)),
    "Softmax": normalized(ops.softmax),
}  # fmt: skip
