"""Indexing: x[2, ..., 1:3], x[indices], x[mask], and the functions of that kind.

    y = x[index]        gx = 0 except gx[index] += gy

With ints, slices, None and ... every element is taken at most once, y shares memory with x, and
the gradient is put in place by one assignment. An array of indices may name an element several
times; then the gradients of all its copies add up. The rules are PyTorch's,
except that slices may step backwards, as in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.arrays import as_array, as_written
from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import BoundsError, DtypeError, MinidlError, ShapeError
from minidl.function import Function
from minidl.kernels.layout import zeros
from minidl.kernels.sums import add_at
from minidl.ops.broadcasting import check_operand
from minidl.ops.inplace import check_in_place
from minidl.ops.receptive_field import UNKNOWN, Window
from minidl.shapes import normalize_dim
from minidl.tensor import Tensor

INT = int | np.integer


class GetItem(Function):
    """Ints, slices, None and Ellipsis: a view."""

    def __init__(self, index):
        self.index = index

    def forward(self, x):
        self.x_shape = x.shape
        return x[self.index]

    def backward(self, gy):
        gx = zeros(array_module(gy), self.x_shape, gy.dtype)
        gx[self.index] = gy
        return gx

    @property
    def receptive_field(self):
        """x[:, :, ::2, ::2] takes every second pixel; other indices are not followed."""
        index = self.index if isinstance(self.index, tuple) else (self.index,)
        if index and index[-1] is Ellipsis:
            index = index[:-1]
        if not all(isinstance(part, slice) and (part.step or 1) > 0 for part in index):
            return UNKNOWN
        steps = [part.step or 1 for part in index[2:]] + [1, 1]
        return Window((1, 1), (steps[0], steps[1]))


class Take(GetItem):
    """Arrays of indices or bools: a copy, in which an element may occur several times."""

    def backward(self, gy):
        xp = array_module(gy)
        gx = zeros(xp, self.x_shape, gy.dtype)
        add_at(gx, self.index, gy)
        return gx


def getitem(input: Tensor, index: Any) -> Tensor:
    """input[index].

    Args:
        input: any shape.
        index: int, slice, None, Ellipsis, array, list or Tensor of ints or bools, or a tuple of
            these.

    Returns:
        A view for ints, slices, None and Ellipsis; else a copy.

    Raises:
        BoundsError: an index is outside of the tensor.
        ShapeError: too many indices, or index arrays and masks that do not fit.
        DtypeError: something that is not an index.

    >>> x = minidl.tensor([[1, 2], [3, 4], [5, 6]])
    >>> x[:, 0], x[minidl.tensor([2, 0])][:, 1], x[x > 4]
    (tensor([1, 3, 5]), tensor([6, 2]), tensor([5, 6]))
    """
    check_tensor("getitem", input=input)
    parts = raw_index(index, input.data.ndim)
    y = input
    try:
        for step in steps(parts):
            function = Take if has_array(step) else GetItem
            y = function(step).apply(y)
    except (IndexError, TypeError, ValueError) as error:
        raise explain("getitem", input, parts, error) from None
    return y


def setitem(input: Tensor, index: Any, value: Any) -> None:
    """input[index] = value, in place; not recorded (see minidl/ops/inplace.py).

    Args:
        input: any shape.
        index: as in getitem.
        value: number, array or Tensor that broadcasts to input[index].

    Raises:
        GraphError: a gradient would be lost.
        BoundsError, ShapeError, DtypeError: as getitem; value does not broadcast.
        ArgumentError: a number does not fit into input's integers.
    """
    check_in_place("setitem", input, value)
    check_operand("setitem", value)
    parts = raw_index(index, input.data.ndim)
    *before, last = steps(parts)
    whole = input.data
    try:
        for step in before:
            whole = whole[step]  # a view
        place = whole[last]
    except (IndexError, TypeError, ValueError) as error:
        raise explain("setitem", input, parts, error) from None
    array = as_written("setitem", value, input.data.dtype)
    if not isinstance(value, Tensor):
        array = array_module(input.data).asarray(array)
    shape = getattr(array, "shape", ())
    sizes = zip(shape[::-1], place.shape[::-1])
    if any(size not in (1, wanted) for size, wanted in sizes) or (
        len(shape) > place.ndim and set(shape[: len(shape) - place.ndim]) != {1}
    ):
        raise ShapeError(
            "setitem", "the value does not broadcast to the indexed part",
            {"value": array, "indexed part": place},
        )  # fmt: skip
    whole[last] = array


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of a dimension that a 1-d tensor of indices names, in its order.

    Args:
        input: any shape.
        dim: the dimension.
        index: (n,) ints.

    Returns:
        input's shape with n in place of dim's size.

    Raises:
        BoundsError: an index is outside of the dimension.
        ShapeError, DtypeError: index is not 1-d ints.

    >>> minidl.index_select(minidl.tensor([[1, 2, 3]]), 1, minidl.tensor([2, 2, 0]))
    tensor([[3, 3, 1]])
    """
    check_tensor("index_select", input=input, index=index)
    check_integers("index_select", index)
    axis = normalize_dim("index_select", dim, input.data.ndim)
    if index.data.ndim != 1:
        raise ShapeError("index_select", "index has 1 dimension", {"index": index})
    check_bounds("index_select", index.data, input.data.shape[axis])
    return Take((slice(None),) * axis + (index.data,)).apply(input)


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Take one element along a dimension for each entry of index.

    y[i, j, k] = x[i, index[i, j, k], k] for dim = 1, and so on

    Args:
        input: any shape.
        dim: the dimension that index looks into.
        index: ints >= 0; as many dimensions as input, and no larger except along dim.

    Returns:
        index's shape.

    Raises:
        BoundsError: an index is negative (PyTorch's rule) or outside of the dimension.
        ShapeError, DtypeError: index does not fit.

    >>> minidl.gather(minidl.tensor([[1, 2], [3, 4]]), 1, minidl.tensor([[1], [0]]))
    tensor([[2],
            [3]])
    """
    check_tensor("gather", input=input, index=index)
    check_integers("gather", index)
    axis = normalize_dim("gather", dim, input.data.ndim)
    sizes, wanted = input.data.shape, index.data.shape
    larger = [i for i, (a, b) in enumerate(zip(sizes, wanted)) if b > a and i != axis]
    if len(sizes) != len(wanted) or larger:
        raise ShapeError(
            "gather", "index has input's dimensions and is no larger, except along dim",
            {"input": input, "index": index, "dim": dim},
        )  # fmt: skip
    check_bounds("gather", index.data, sizes[axis], lowest=0)
    places = list(array_module(input.data).ogrid[tuple(slice(size) for size in wanted)])
    places[axis] = index.data
    return Take(tuple(places)).apply(input)


def raw_index(index: Any, ndim: int) -> tuple:
    """The index of an array of ndim dimensions as a tuple of what arrays accept."""
    parts = []
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, Tensor):
            part = part.data
        elif isinstance(part, list):
            part = as_array(part) if part else np.zeros(0, np.int64)
        if getattr(part, "ndim", 1) == 0 and part.dtype.kind in "iub":
            part = part.item()  # a 0-d array counts as a number
        parts.append(part)
    if has_array(parts) and sum(map(dims_of, parts)) == ndim:
        # A ... that stands for nothing does not separate the arrays around it, as in PyTorch.
        parts = [part for part in parts if part is not Ellipsis]
    return tuple(parts)


def steps(parts: tuple) -> list[tuple]:
    """The index as one step, or as two where ints stand beside arrays.

    NumPy would broadcast the ints to the arrays, and x[0, :, array] would put the array's
    dimension first. As in PyTorch, ints select first, and the arrays index what is left.
    """
    if not has_array(parts):
        # With a trailing ..., x[2] of a 1-d array is a 0-d view rather than a NumPy scalar.
        return [parts if Ellipsis in parts else (*parts, Ellipsis)]
    if not any(is_int(part) for part in parts):
        return [parts]
    ints, arrays = [], []
    for part in parts:
        if is_array(part):
            ints += [slice(None)] * dims_of(part)
            arrays.append(part)
        else:
            ints.append(part)
            if not is_int(part):
                arrays.append(Ellipsis if part is Ellipsis else slice(None))
    if Ellipsis not in ints:
        ints.append(Ellipsis)  # a view even where the ints name a single element
    return [tuple(ints), tuple(arrays)]


def is_array(part: Any) -> bool:
    """Whether a part of an index takes copies: arrays, and True or False as 0-d masks."""
    return isinstance(part, bool | np.bool_) or getattr(part, "ndim", 0) > 0


def has_array(parts: tuple) -> bool:
    return any(is_array(part) for part in parts)


def is_int(part: Any) -> bool:
    return isinstance(part, INT) and not isinstance(part, bool)


def explain(op: str, x: Tensor, index: tuple, error: Exception) -> MinidlError:
    """What is wrong with an index that the array refused."""
    shown = tuple(part for part in index if part is not Ellipsis)
    received = {"input": x, "index": shown[0] if len(shown) == 1 else shown}
    if sum(part is Ellipsis for part in index) > 1:
        return ShapeError(op, "an index has at most one ...", {"input": x})
    for part in index:
        known = isinstance(part, INT | slice | np.ndarray) or part is None or part is Ellipsis
        if not known:
            return DtypeError(
                op, "an index is an int, slice, None, ... or an array of ints or bools", received
            )
        if isinstance(part, np.ndarray) and part.dtype.kind not in "iub":
            return DtypeError(
                op, "index arrays hold ints or bools", {**received, "dtype": str(part.dtype)},
                "convert with .long()",
            )  # fmt: skip
        if isinstance(part, slice) and isinstance(error, TypeError | ValueError):
            return DtypeError(op, "the bounds of a slice are ints, its step is not 0", received)
    dims = [dims_of(part) for part in index]
    if sum(dims) > x.ndim:
        return ShapeError(op, f"{sum(dims)} indices for {x.ndim} dimensions", received)
    axis = 0
    for position, part in enumerate(index):
        if part is Ellipsis:
            axis = x.ndim - sum(dims[position + 1 :])
            continue
        problem = misfit(op, part, x.shape, axis)
        if problem:
            problem.received.update(MinidlError("", "", received).received)
            return problem
        axis += dims[position]
    return ShapeError(op, "the index arrays do not broadcast to each other", received)


def dims_of(part: Any) -> int:
    """How many dimensions of the tensor a part of an index stands for."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1


def misfit(op: str, part: Any, shape: tuple, axis: int) -> MinidlError | None:
    """What is wrong with one part of an index that stands at dimension `axis`."""
    if isinstance(part, np.ndarray) and part.dtype.kind == "b":
        covered = shape[axis : axis + part.ndim]
        if part.shape != covered:
            return ShapeError(op, f"the mask has shape {part.shape}, the dimensions {covered}")
    elif isinstance(part, np.ndarray | INT) and not isinstance(part, bool):
        try:
            check_bounds(op, np.asarray(part), shape[axis], f" of dimension {axis}")
        except BoundsError as error:
            return error
    return None


def check_bounds(
    op: str, index: Any, size: int, where: str = " of the dimension", lowest: int | None = None
) -> None:
    """Every index is from `lowest` (by default -size) to size - 1."""
    lowest = -size if lowest is None else lowest
    outside = index[(index < lowest) | (index >= size)]
    if outside.size:
        raise BoundsError(
            op, f"index {outside.flat[0]} is outside{where}, which has size {size}",
            hint=f"indices run from {lowest} to {size - 1}" if size else "the tensor is empty",
        )  # fmt: skip


def check_integers(op: str, index: Tensor) -> None:
    if index.data.dtype.kind not in "iu":
        raise DtypeError(op, "index is a Tensor of ints", {"index": index}, "use .long()")
