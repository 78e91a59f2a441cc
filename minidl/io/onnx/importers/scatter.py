"""Operators that write values into places of a tensor.

Nothing is changed in place. A result without reduction picks each element either from the tensor
or from the updates, by one array of indices, so the gradient of both is that of indexing. With a
reduction the updates of one place are combined in pairs, then pairs of those, and at last with the
tensor.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minidl import ops
from minidl.io.onnx.node import Node
from minidl.tensor import Tensor

REDUCTIONS = {"add": ops.add, "mul": ops.mul, "max": ops.maximum, "min": ops.minimum}


def scatter_elements(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    """y[i][index[i, j]] = updates[i, j] along an axis, and so on for each element of index."""
    axis = node.get("axis", 0)
    fits = index.shape == updates.shape and index.ndim == x.ndim and index.dtype.kind in "iu"
    if not fits or not -x.ndim <= axis < x.ndim:
        node.refuse("indices and updates have one shape", {"x": x, "indices": index})
    axis %= x.ndim
    places = list(np.indices(index.shape))
    places[axis] = index.data
    return scatter(node, x, places, updates)


def scatter_nd(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    """The last axis of index holds tuples of indices, each of which names a slice of x."""
    depth = index.shape[-1] if index.ndim else 0
    rest = x.shape[depth:]
    if index.dtype.kind not in "iu" or depth > x.ndim or updates.shape != index.shape[:-1] + rest:
        node.refuse(
            "updates have a slice for each index",
            {"x": x, "indices": index, "updates": updates},
        )
    more = len(rest)
    parts = [index.data[..., i].reshape(*index.shape[:-1], *(1,) * more) for i in range(depth)]
    inner = [g.reshape((1,) * (index.ndim - 1) + g.shape) for g in np.indices(rest)]
    places = [np.broadcast_to(part, updates.shape) for part in [*parts, *inner]]
    return scatter(node, x, places, updates)


def tensor_scatter(node: Node, x: Tensor, updates: Tensor, starts: Tensor | None = None) -> Tensor:
    """Write updates behind each other along an axis, for each item of the batch from its start."""
    axis = node.get("axis", -2)
    if not -x.ndim <= axis < x.ndim or axis % x.ndim == 0:
        node.refuse("axis is a dimension behind the batch", {"x": x, "axis": axis})
    axis %= x.ndim
    starts = Tensor(np.zeros(x.shape[0], np.int64)) if starts is None else starts
    others = [n for i, n in enumerate(x.shape) if i != axis]
    fits = updates.ndim == x.ndim and updates.shape[axis] <= x.shape[axis]
    fits = fits and others == [n for i, n in enumerate(updates.shape) if i != axis]
    if not fits or starts.shape != x.shape[:1] or starts.dtype.kind not in "iu":
        node.refuse(
            "updates differ from the tensor along the axis alone, and each item has a start",
            {"x": x, "updates": updates, "starts": starts},
        )
    places = list(np.indices(updates.shape))
    places[axis] = places[axis] + starts.data.reshape(-1, *(1,) * (x.ndim - 1))
    if node.choice("mode", "linear", ("linear", "circular")) == "circular":
        places[axis] = places[axis] % x.shape[axis] if x.shape[axis] else places[axis]
    elif places[axis].size and places[axis].min() < 0:
        node.refuse("a start is below 0", {"starts": starts})
    return scatter(node, x, places, updates)


def scatter(node: Node, x: Tensor, places: list, updates: Tensor) -> Tensor:
    """x with the updates at places, one array of indices for each dimension of x."""
    flat = np.zeros(updates.shape, np.int64)
    for size, part in zip(x.shape, places):
        if part.size and (part.min() < -size or part.max() >= size):
            node.refuse(f"an index is outside of the dimension, which has size {size}", {"x": x})
        flat = flat * size + np.where(part < 0, part + size, part)
    flat, values = flat.reshape(-1), updates.reshape(-1)
    name = node.choice("reduction", "none", ("none", *REDUCTIONS))
    y = x.reshape(-1)
    if name == "none":
        return write(y, flat, values).reshape(x.shape)
    flat, values = one_each(REDUCTIONS[name], flat, values)
    return write(y, flat, combine(REDUCTIONS[name], select(y, flat), values)).reshape(x.shape)


def combine(function: Callable, old: Tensor, new: Tensor) -> Tensor:
    return function(old, new).to(old.dtype)


def write(x: Tensor, places: np.ndarray, values: Tensor) -> Tensor:
    """x (n,) with the values at places; of several at one place the last."""
    source = np.arange(x.numel())
    source[places] = x.numel() + np.arange(places.size)
    return ops.index_select(ops.cat([x, values]), 0, Tensor(source))


def select(x: Tensor, places: np.ndarray) -> Tensor:
    return ops.index_select(x, 0, Tensor(places))


def one_each(
    function: Callable, places: np.ndarray, values: Tensor
) -> tuple[np.ndarray, Tensor]:  # fmt: skip
    """The places, each once, and the function of all values of each."""
    order = np.argsort(places, kind="stable")
    places, values = places[order], select(values, order)
    while (again := places[1:] == places[:-1]).any():
        starts = np.flatnonzero(np.r_[True, ~again])
        lengths = np.diff(np.r_[starts, places.size])
        turn = np.arange(places.size) - np.repeat(starts, lengths)  # how often it came before
        first = np.flatnonzero(turn % 2 == 0)
        has_second = np.r_[again, False][first]
        pairs, singles = first[has_second], first[~has_second]
        made = combine(function, select(values, pairs), select(values, pairs + 1))
        joined = ops.cat([made, select(values, singles)])
        places, values = places[first], select(joined, np.argsort(np.r_[pairs, singles]))
    return places, values


IMPORTERS = {
    "Scatter": scatter_elements, "ScatterElements": scatter_elements, "ScatterND": scatter_nd,
    "TensorScatter": tensor_scatter,
}  # fmt: skip
