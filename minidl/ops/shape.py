"""The same elements in another shape or order of dimensions.

The gradient goes the way back: the inverse reshape, the inverse permutation. Where NumPy can, the
result shares memory with the input, as in PyTorch. Stretching and copying are in repetition.py,
reversing and rolling in flip.py.
"""

from __future__ import annotations

import math

import numpy as np

from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, ShapeError
from minidl.function import Function
from minidl.ops.receptive_field import SAME_PIXEL, UNKNOWN
from minidl.shapes import normalize_dim, normalize_dims
from minidl.tensor import Tensor


class Reshape(Function):
    receptive_field = UNKNOWN

    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        self.x_shape = x.shape
        return x.reshape(self.shape)

    def backward(self, gy):
        return gy.reshape(self.x_shape)


class Permute(Function):
    receptive_field = UNKNOWN

    def __init__(self, dims):
        self.dims = dims

    def forward(self, x):
        return x.transpose(self.dims)

    def backward(self, gy):
        return gy.transpose(np.argsort(self.dims))


class Contiguous(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        return array_module(x).ascontiguousarray(x)

    def backward(self, gy):
        return gy


def reshape(input: Tensor, *shape: int | tuple[int, ...]) -> Tensor:
    """The elements in row-major order in another shape; also Tensor.view.

    Args:
        input: any shape.
        shape: the sizes, as ints or one tuple; one of them may be -1, meaning what remains.

    Returns:
        The new shape, sharing memory with input where its layout allows.

    Raises:
        ShapeError: the number of elements differs.
        ArgumentError: a size is negative, or two are -1.

    >>> minidl.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    check_tensor("reshape", input=input)
    sizes = int_sequence("reshape", "shape", shape)
    return Reshape(fill_in_size("reshape", input, sizes)).apply(input)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merge the dimensions from start_dim to end_dim into one.

    Args:
        input: any shape.
        start_dim, end_dim: the first and the last dimension to merge.

    Returns:
        input's shape with those sizes replaced by their product.

    Raises:
        ArgumentError: there is no such dimension, or start_dim comes after end_dim.

    >>> minidl.ones(2, 3, 4, 5).flatten(1).shape
    (2, 60)
    """
    check_tensor("flatten", input=input)
    first = normalize_dim("flatten", start_dim, input.data.ndim)
    last = normalize_dim("flatten", end_dim, input.data.ndim)
    if first > last:
        raise ArgumentError(
            "flatten", "start_dim must not come after end_dim",
            {"input": input, "start_dim": start_dim, "end_dim": end_dim},
        )  # fmt: skip
    sizes = input.data.shape
    merged = math.prod(sizes[first : last + 1])
    return Reshape((*sizes[:first], merged, *sizes[last + 1 :])).apply(input)


def squeeze(input: Tensor, dim: int | tuple[int, ...] | None = None) -> Tensor:
    """Drop dimensions of size 1.

    Args:
        input: any shape.
        dim: which, if their size is 1; by default all.

    Returns:
        The same elements with fewer dimensions.

    Raises:
        ArgumentError: there is no such dimension.

    >>> minidl.ones(1, 3, 1).squeeze(0).shape
    (3, 1)
    """
    check_tensor("squeeze", input=input)
    dims = normalize_dims("squeeze", dim, input.data.ndim)
    sizes = input.data.shape
    kept = tuple(size for i, size in enumerate(sizes) if size != 1 or i not in dims)
    return Reshape(kept).apply(input)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Insert a dimension of size 1.

    Args:
        input: any shape.
        dim: where the new dimension stands in the result.

    Returns:
        The same elements with one more dimension.

    Raises:
        ArgumentError: dim is out of range.

    >>> minidl.ones(3, 4).unsqueeze(-1).shape
    (3, 4, 1)
    """
    check_tensor("unsqueeze", input=input)
    at = normalize_dim("unsqueeze", dim, input.data.ndim + 1)
    sizes = input.data.shape
    return Reshape((*sizes[:at], 1, *sizes[at:])).apply(input)


def permute(input: Tensor, *dims: int | tuple[int, ...]) -> Tensor:
    """Put the dimensions into another order, without moving memory.

    Args:
        input: any shape.
        dims: for each dimension of the result, which dimension of input it is.

    Returns:
        A view with sizes input.shape[dims[0]], input.shape[dims[1]], ...

    Raises:
        ArgumentError: dims is not an order of all dimensions.

    >>> minidl.ones(2, 3, 4).permute(2, 0, 1).shape
    (4, 2, 3)
    """
    check_tensor("permute", input=input)
    order = normalize_dims("permute", int_sequence("permute", "dims", dims), input.data.ndim)
    if len(order) != input.data.ndim:
        raise ArgumentError(
            "permute", "dims names every dimension once", {"input": input, "dims": order}
        )
    return Permute(order).apply(input)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange two dimensions, without moving memory.

    Args:
        input: any shape.
        dim0, dim1: the dimensions.

    Returns:
        A view.

    Raises:
        ArgumentError: there is no such dimension.

    >>> minidl.ones(2, 3, 4).transpose(0, -1).shape
    (4, 3, 2)
    """
    check_tensor("transpose", input=input)
    a = normalize_dim("transpose", dim0, input.data.ndim)
    b = normalize_dim("transpose", dim1, input.data.ndim)
    order = list(range(input.data.ndim))
    if order:
        order[a], order[b] = b, a
    return Permute(tuple(order)).apply(input)


def transpose_matrix(input: Tensor) -> Tensor:
    """The transpose of a matrix, x.T. A vector or number stays as it is.

    Args:
        input: at most 2 dimensions.

    Returns:
        A view.

    Raises:
        ShapeError: more than 2 dimensions.
    """
    check_tensor("T", input=input)
    if input.data.ndim > 2:
        raise ShapeError(
            "T", "expects at most 2 dimensions", {"input": input},
            "name the dimensions: input.transpose(-1, -2) or input.permute(...)",
        )  # fmt: skip
    return Permute(tuple(range(input.data.ndim))[::-1]).apply(input)


def contiguous(input: Tensor) -> Tensor:
    """The same elements in row-major memory.

    Args:
        input: any shape.

    Returns:
        input itself where it is row-major, else a copy.
    """
    check_tensor("contiguous", input=input)
    return input if input.data.flags.c_contiguous else Contiguous().apply(input)


def int_sequence(op: str, name: str, values: tuple) -> tuple[int, ...]:
    """The ints of f(x, 2, 3), f(x, (2, 3)) or f(x, [2, 3])."""
    if len(values) == 1 and isinstance(values[0], tuple | list):
        values = values[0]
    if any(isinstance(v, bool) or not isinstance(v, int | np.integer) for v in values):
        raise ArgumentError(op, f"{name} is a sequence of ints", {name: tuple(values)})
    return tuple(int(v) for v in values)


def fill_in_size(op: str, input: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    """shape with -1 replaced, once the number of elements fits."""
    received = {"input": input, "shape": shape}
    if shape.count(-1) > 1 or any(size < -1 for size in shape):
        raise ArgumentError(op, "sizes are >= 0, except for one -1", received)
    known = math.prod(size for size in shape if size != -1)
    size = input.data.size
    if -1 in shape:
        if known == 0 or size % known:
            raise ShapeError(op, f"{size} elements do not divide by {known}", received)
        return tuple(size // known if s == -1 else s for s in shape)
    if known != size:
        raise ShapeError(op, f"{size} elements do not fit a shape of {known}", received)
    return shape
