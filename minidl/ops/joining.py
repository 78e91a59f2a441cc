"""Joining tensors and taking them apart: cat, stack, split, chunk, unbind.

The gradient of a joined tensor is taken apart, and the other way round. Parts share memory with
the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.dtypes import promoted_dtype
from minidl.errors import ArgumentError, DeviceError, DtypeError, ShapeError
from minidl.function import Function
from minidl.kernels.layout import zeros
from minidl.ops.casting import cast
from minidl.ops.receptive_field import UNKNOWN, along
from minidl.shapes import normalize_dim
from minidl.tensor import Tensor


class Cat(Function):
    def __init__(self, axis):
        self.axis = axis

    def forward(self, *xs):
        self.sizes = [x.shape[self.axis] for x in xs]
        return array_module(xs[0]).concatenate(xs, axis=self.axis)

    def backward(self, gy):
        return pieces(gy, self.sizes, self.axis)

    @property
    def receptive_field(self):
        return along(self.axis)  # joined channels see what each of them saw


class Stack(Function):
    receptive_field = UNKNOWN

    def __init__(self, axis):
        self.axis = axis

    def forward(self, *xs):
        return array_module(xs[0]).stack(xs, axis=self.axis)

    def backward(self, gy):
        return tuple(array_module(gy).moveaxis(gy, self.axis, 0))


class Split(Function):
    def __init__(self, sizes, axis):
        self.sizes, self.axis = sizes, axis

    def forward(self, x):
        self.x_shape = x.shape
        return pieces(x, self.sizes, self.axis)

    def backward(self, *gys):
        xp, dtype = common(gys)
        gx = zeros(xp, self.x_shape, dtype)
        for gy, piece in zip(gys, pieces(gx, self.sizes, self.axis)):
            if gy is not None:  # None: nothing used that part
                piece[...] = gy
        return gx

    @property
    def receptive_field(self):
        return along(self.axis)


def pieces(x, sizes, axis):
    """Views of so many places each along an axis, one behind the other."""
    before, start, found = (slice(None),) * axis, 0, []
    for size in sizes:
        found.append(x[(*before, slice(start, start + size))])
        start += size
    return tuple(found)


class Unbind(Function):
    receptive_field = UNKNOWN

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        self.x_shape = x.shape
        parts = array_module(x).moveaxis(x, self.axis, 0)
        return tuple(parts[i, ...] for i in range(len(parts)))

    def backward(self, *gys):
        xp, dtype = common(gys)
        gx = zeros(xp, self.x_shape, dtype)
        parts = xp.moveaxis(gx, self.axis, 0)  # a view: writing here fills gx
        for i, gy in enumerate(gys):
            if gy is not None:
                parts[i] = gy
        return gx


def common(gys):
    """Array module and dtype of gradients, some of which are None."""
    gy = next(gy for gy in gys if gy is not None)
    return array_module(gy), gy.dtype


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join tensors along a dimension they have.

    Args:
        tensors: at least one; equal in all sizes but that of dim.
        dim: along which to join.

    Returns:
        The sizes along dim added up.

    Raises:
        ShapeError: another size differs.
        ArgumentError: no tensors, or no such dimension.
        DtypeError: something is not a Tensor.

    >>> minidl.cat([minidl.ones(2, 1), minidl.zeros(2, 3)], dim=1).shape
    (2, 4)
    """
    tensors = check_tensors("cat", tensors)
    shapes = [x.data.shape for x in tensors]
    ndim = len(shapes[0])
    if ndim == 0:
        raise ShapeError("cat", "0-d tensors cannot be joined", hint="use stack()")
    axis = normalize_dim("cat", dim, ndim)
    for i, shape in enumerate(shapes):
        if len(shape) != ndim or without(shape, axis) != without(shapes[0], axis):
            raise ShapeError(
                "cat", f"all sizes but that of dimension {axis} must be equal",
                {"tensor 0": tensors[0], f"tensor {i}": tensors[i]},
            )  # fmt: skip
    return Cat(axis).apply(*tensors)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join tensors of one shape along a new dimension.

    Args:
        tensors: at least one, all of the same shape.
        dim: where the new dimension stands in the result.

    Returns:
        One more dimension, of size len(tensors).

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: no tensors, or dim is out of range.
        DtypeError: something is not a Tensor.

    >>> minidl.stack([minidl.ones(3), minidl.zeros(3)], dim=1).shape
    (3, 2)
    """
    tensors = check_tensors("stack", tensors)
    axis = normalize_dim("stack", dim, tensors[0].data.ndim + 1)
    for i, x in enumerate(tensors):
        if x.data.shape != tensors[0].data.shape:
            raise ShapeError(
                "stack", "the shapes must be equal", {"tensor 0": tensors[0], f"tensor {i}": x}
            )
    return Stack(axis).apply(*tensors)


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut a tensor into parts along a dimension.

    Args:
        tensor: at least 1 dimension.
        split_size_or_sections: the size of each part (the last may be smaller), or a list of
            sizes that add up to the whole ([] for a whole of size 0).
        dim: the dimension.

    Returns:
        A tuple of views.

    Raises:
        ArgumentError: the sizes do not add up, or are not positive; no such dimension.

    >>> [part.shape for part in minidl.ones(5, 2).split(2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    axis, total = check_parts("split", tensor, dim)
    size = split_size_or_sections
    if isinstance(size, int | np.integer) and not isinstance(size, bool) and size > 0:
        sizes = [min(size, total - start) for start in range(0, total, size)] or [0]
    else:
        sizes = list(size) if isinstance(size, list | tuple) else [-1]
        whole = all(isinstance(s, int | np.integer) and s >= 0 for s in sizes)
        if not whole or sum(sizes) != total:
            raise ArgumentError(
                "split", f"expects a size >= 1, or sizes >= 0 that add up to {total}",
                {"tensor": tensor, "split_size_or_sections": size, "dim": dim},
            )  # fmt: skip
    return Split(sizes, axis).apply(tensor) if sizes else ()


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut a tensor into a number of equal parts; the last may be smaller, or missing.

    Args:
        input: at least 1 dimension.
        chunks: how many parts, >= 1.
        dim: the dimension.

    Returns:
        A tuple of at most `chunks` views.

    Raises:
        ArgumentError: chunks is below 1, or no such dimension.

    >>> [part.shape for part in minidl.ones(5).chunk(2)]
    [(3,), (2,)]
    """
    _, total = check_parts("chunk", input, dim)
    if not isinstance(chunks, int | np.integer) or chunks < 1:
        raise ArgumentError("chunk", "chunks is an int >= 1", {"chunks": chunks})
    if total == 0:
        return split(input, [0] * chunks, dim)
    return split(input, -(-total // chunks), dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, without that dimension. Iterating over a tensor does this.

    Args:
        input: at least 1 dimension.
        dim: the dimension.

    Returns:
        A tuple of input.shape[dim] views.

    Raises:
        ArgumentError: no such dimension.

    >>> minidl.tensor([[1, 2], [3, 4]]).unbind(1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    axis, _ = check_parts("unbind", input, dim)
    return Unbind(axis).apply(input)


def check_tensors(op: str, tensors: Any) -> list[Tensor]:
    """A list of at least one Tensor, converted to their common dtype."""
    if not isinstance(tensors, list | tuple):
        raise DtypeError(op, "expects a list or tuple of Tensors", {"tensors": tensors})
    if not tensors:
        raise ArgumentError(op, "expects at least one tensor", {"tensors": tensors})
    for i, x in enumerate(tensors):
        check_tensor(op, **{f"tensor_{i}": x})
        if type(x.data) is not type(tensors[0].data):
            raise DeviceError(
                op, "expects tensors on one device", {f"tensor {i}": x.device for i, x in
                                                      enumerate(tensors)},
            )  # fmt: skip
    dtype = tensors[0].data.dtype
    if all(x.data.dtype == dtype for x in tensors):
        return list(tensors)
    widest = tensors[0].data
    for x in tensors:
        dtype = promoted_dtype(widest, x.data)
        widest = widest if widest.dtype == dtype else x.data
    return [cast(x, dtype) for x in tensors]


def check_parts(op: str, x: Tensor, dim: int) -> tuple[int, int]:
    """The axis to cut and its size."""
    check_tensor(op, input=x)
    if x.data.ndim == 0:
        raise ShapeError(op, "a 0-d tensor has no parts", {"input": x})
    axis = normalize_dim(op, dim, x.data.ndim)
    return axis, x.data.shape[axis]


def without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]
