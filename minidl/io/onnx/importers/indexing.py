"""Operators that pick elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl import ops
from minidl.io.onnx.importers.rows import spread
from minidl.io.onnx.node import Node, int_list, one_int
from minidl.nn import functional as F
from minidl.shapes import check_size
from minidl.tensor import Tensor


def dim_of(node: Node, x: Tensor, axis: int) -> int:
    """axis counted from the front."""
    if not -x.ndim <= axis < x.ndim:
        node.refuse("no such axis", {"x": x, "axis": axis})
    return axis % x.ndim


def gather(node: Node, x: Tensor, index: Tensor) -> Tensor:
    """x[..., index, ...] along one axis; rows of a matrix are an embedding."""
    axis = dim_of(node, x, node.get("axis", 0))
    check_integers(node, index)
    n = x.shape[axis]
    if x.ndim == 2 and axis == 0 and x.dtype.kind == "f":
        places = index.data
        if (places < 0).any():
            places = np.where(places < 0, places + n, places)
        return F.embedding(Tensor(places), x)
    y = ops.index_select(x, axis, index.reshape(-1))
    return y.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def check_integers(node: Node, index: Tensor) -> None:
    if index.dtype.kind not in "iu":
        node.refuse("the indices are ints", {"indices": index})


def gather_elements(node: Node, x: Tensor, index: Tensor) -> Tensor:
    axis = dim_of(node, x, node.get("axis", 0))
    check_integers(node, index)
    places = np.where(index.data < 0, index.data + x.shape[axis], index.data)
    return ops.gather(x, axis, Tensor(places))


def gather_nd(node: Node, x: Tensor, index: Tensor) -> Tensor:
    """The last axis of index holds tuples of indices; the first batch_dims axes are parallel."""
    check_integers(node, index)
    batch = node.get("batch_dims", 0)
    if index.ndim == 0 or not 0 <= batch < min(x.ndim, index.ndim):
        node.refuse("batch_dims is below both ranks", {"x": x, "indices": index})
    if x.shape[:batch] != index.shape[:batch] or index.shape[-1] > x.ndim - batch:
        node.refuse("the indices do not fit the input", {"x": x, "indices": index})
    grid = np.ogrid[tuple(slice(size) for size in index.shape[:batch])] if batch else []
    more = index.ndim - 1 - batch
    parts = [g.reshape(*g.shape, *(1,) * more) for g in grid]
    parts += [index.data[..., i] for i in range(index.shape[-1])]
    return x[tuple(Tensor(np.broadcast_to(part, index.shape[:-1])) for part in parts)]


def slice_(
    node: Node, x: Tensor, starts: Tensor | None = None, ends: Tensor | None = None,
    axes: Tensor | None = None, steps: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Bounds beyond the ends are cut; attributes before operator set 10."""
    if starts is None:
        first, last, dims = node.ints("starts"), node.ints("ends"), node.ints("axes")
    else:
        first, last = int_list(node, starts, "starts"), int_list(node, ends, "ends")
        dims = int_list(node, axes, "axes")
    dims = list(range(len(first or []))) if dims is None else dims
    stride = [1] * len(dims) if steps is None else int_list(node, steps, "steps")
    if first is None or last is None or not len(first) == len(last) == len(dims) == len(stride):
        node.refuse("starts, ends, axes and steps have one entry for each axis")
    index = [slice(None)] * x.ndim
    for d, start, end, step in zip(dims, first, last, stride):
        if step == 0:
            node.refuse("a step is not 0")
        index[dim_of(node, x, d)] = bounded(start, end, step, x.shape[d])
    return x[tuple(index)]


def bounded(start: int, end: int, step: int, n: int) -> slice:
    """Python's slice: there, -1 as the end of a walk backwards would be the last element."""
    start, end = (i + n if i < 0 else i for i in (start, end))
    if step > 0:
        return slice(min(max(start, 0), n), min(max(end, 0), n), step)
    start, end = min(start, n - 1), max(end, -1)
    if start <= end:
        return slice(0, 0)
    return slice(start, None if end == -1 else end, step)


def compress(node: Node, x: Tensor, condition: Tensor) -> Tensor:
    """The slices (or, without axis, elements) where the condition holds."""
    axis = node.get("axis")
    kept = np.flatnonzero(condition.data)
    if axis is None:
        return ops.index_select(x.reshape(-1), 0, Tensor(kept))
    return ops.index_select(x, axis, Tensor(kept))


def non_zero(node: Node, x: Tensor) -> Tensor:
    return Tensor(np.array(np.nonzero(x.data), np.int64).reshape(x.ndim, -1))


def top_k(node: Node, x: Tensor, k: Tensor | None = None) -> Any:
    """The largest (or smallest) k along an axis, and where they are; of equals the first."""
    count = node.get("k", 1) if k is None else one_int(node, k, "k")
    axis = dim_of(node, x, node.get("axis", -1))
    if not 0 <= count <= x.shape[axis]:
        node.refuse(f"k is from 0 to {x.shape[axis]}", {"x": x, "k": count})
    largest = bool(node.get("largest", 1))
    array = np.flip(x.data, axis) if largest else x.data
    order = np.argsort(array, axis=axis, kind="stable")
    if largest:  # the first of equals: sort the reversed array, and walk back
        order = x.shape[axis] - 1 - np.flip(order, axis)
    index = Tensor(np.ascontiguousarray(np.take(order, range(count), axis)).astype(np.int64))
    return ops.gather(x, axis, index), index


def unique(node: Node, x: Tensor) -> Any:
    """Values, where they are first, which one each element is, and how often they come."""
    axis = node.get("axis")
    array = x.data.reshape(-1) if axis is None else x.data
    along = 0 if axis is None else dim_of(node, x, axis)
    _, first, inverse, count = np.unique(array, True, True, True, axis=along)
    inverse = inverse.reshape(-1)
    if not node.get("sorted", 1):  # in the order in which they come
        order = np.argsort(first)
        first, count = first[order], count[order]
        inverse = np.argsort(order)[inverse]
    values = ops.index_select(x.reshape(-1) if axis is None else x, along, Tensor(first))
    return values, *(Tensor(a.astype(np.int64)) for a in (first, inverse, count))


def reverse_sequence(node: Node, x: Tensor, lengths: Tensor) -> Tensor:
    """The first steps of each sequence backwards, those past its length as they are."""
    time, batch = node.get("time_axis", 0), node.get("batch_axis", 1)
    if x.ndim < 2 or {time, batch} != {0, 1}:
        node.refuse("time_axis and batch_axis are 0 and 1", {"x": x})
    T, N = x.shape[time], x.shape[batch]
    count = np.array(int_list(node, lengths, "sequence_lens"), np.int64)
    if count.shape != (N,) or (N and (count.min() < 0 or count.max() > T)):
        node.refuse(f"a length from 0 to {T} for each sequence", {"sequence_lens": lengths})
    step = np.arange(T)[:, None]
    source = np.where(step < count, count - 1 - step, step)
    batches = np.arange(N)[None, :]
    if time == 0:
        return x[Tensor(source), Tensor(np.broadcast_to(batches, source.shape))]
    return x[Tensor(np.broadcast_to(batches.T, (N, T))), Tensor(source.T)]


def trilu(node: Node, x: Tensor, k: Tensor | None = None) -> Tensor:
    """The upper or lower triangle of matrices, zeros elsewhere."""
    if x.ndim < 2:
        node.refuse("expects matrices", {"x": x})
    offset = 0 if k is None else one_int(node, k, "k")
    offset = max(min(offset, max(x.shape[-2:])), -max(x.shape[-2:]))
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    upper = bool(node.get("upper", 1))
    kept = columns - rows >= offset if upper else columns - rows <= offset
    return ops.where(Tensor(kept), x, Tensor(np.zeros((), x.dtype)))


def one_hot(node: Node, index: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    """values[1] at the index along a new axis, values[0] elsewhere."""
    count = int(np.asarray(depth.data).reshape(-1)[0])
    axis = node.get("axis", -1)
    if count < 1 or values.shape != (2,) or not -index.ndim - 1 <= axis <= index.ndim:
        node.refuse("expects a depth >= 1, two values and an axis of the result", {"depth": count})
    axis = axis % (index.ndim + 1)
    sizes = (*index.shape[:axis], count, *index.shape[axis:])
    check_size("onnx", sizes, np.int64, {"indices": index, "depth": count})
    places = np.expand_dims(index.data.astype(np.int64), axis)
    places = np.where(places < 0, places + count, places)
    classes = np.arange(count).reshape(-1, *(1,) * (index.ndim - axis))
    return ops.where(Tensor(places == classes), values[1], values[0])


def eye_like(node: Node, x: Tensor) -> Tensor:
    if x.ndim != 2:
        node.refuse("expects a matrix", {"x": x})
    dtype = node.dtype(node.get("dtype")) if "dtype" in node.attributes else x.dtype
    return Tensor(np.eye(*x.shape, k=node.get("k", 0), dtype=dtype))


def col2im(node: Node, x: Tensor, size: Tensor, block: Tensor) -> Tensor:
    """Windows as columns (N, C R S, places) added up to pictures: the transpose of unfold."""
    sizes, kernel = int_list(node, size, "image_shape"), int_list(node, block, "block_shape")
    n = len(kernel)
    strides, dilations = node.ints("strides", [1] * n), node.ints("dilations", [1] * n)
    pads = node.ints("pads", [0] * 2 * n)
    fits = len(sizes) == len(strides) == len(dilations) == len(pads) // 2 == n and x.ndim == 3
    if not fits or min(kernel + strides + dilations) < 1 or min(sizes) < 0 or min(pads) < 0:
        node.refuse("image, block, strides, dilations and pads fit", {"x": x, "block": kernel})
    places = [
        (sizes[i] + pads[i] + pads[n + i] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1
        for i in range(n)
    ]
    taps = math.prod(kernel)
    if math.prod(places) != x.shape[2] or min(places) < 1 or x.shape[1] % taps:
        node.refuse("the columns are not those of such windows", {"x": x, "image": sizes})
    N, C = x.shape[0], x.shape[1] // taps
    columns, total = x.reshape(N, C, taps, *places), None
    for number, tap in enumerate(np.ndindex(*kernel)):
        part = columns[:, :, number]
        for i in range(n):
            first = tap[i] * dilations[i] - pads[i]
            part = spread(part, 2 + i, strides[i], first, sizes[i])
        total = part if total is None else total + part
    return total


IMPORTERS = {
    "Col2Im": col2im, "Compress": compress, "EyeLike": eye_like, "Gather": gather,
    "GatherElements": gather_elements, "GatherND": gather_nd, "NonZero": non_zero,
    "OneHot": one_hot, "ReverseSequence": reverse_sequence, "Slice": slice_, "TopK": top_k,
    "Trilu": trilu, "Unique": unique,
}  # fmt: skip
