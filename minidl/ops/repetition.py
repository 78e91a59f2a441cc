"""Repeated elements: expand (without a copy), repeat and tile.

y[i, j] = x[i mod I, j mod J]        gx[i, j] = sum of gy over the places that show x[i, j]
"""

from __future__ import annotations

import math
import sys

from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, ShapeError
from minidl.function import Function
from minidl.kernels.sums import total
from minidl.ops.broadcasting import unbroadcast
from minidl.ops.receptive_field import UNKNOWN
from minidl.ops.shape import int_sequence
from minidl.shapes import check_size
from minidl.tensor import Tensor


class Expand(Function):
    receptive_field = UNKNOWN

    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        self.x_shape = x.shape
        return array_module(x).broadcast_to(x, self.shape)

    def backward(self, gy):
        return unbroadcast(gy, self.x_shape)


class Repeat(Function):
    """Whole copies side by side. In gy, dimension i is (copy, place) with repeats[i] copies."""

    receptive_field = UNKNOWN

    def __init__(self, repeats):
        self.repeats = repeats

    def forward(self, x):
        self.x_shape = x.shape
        return array_module(x).tile(x, self.repeats)

    def backward(self, gy):
        sizes = (1,) * (len(self.repeats) - len(self.x_shape)) + self.x_shape
        copies = [size for pair in zip(self.repeats, sizes) for size in pair]
        gx = total(gy.reshape(copies), tuple(range(0, len(copies), 2)))
        return gx.reshape(self.x_shape)


def expand(input: Tensor, *sizes: int | tuple[int, ...]) -> Tensor:
    """Stretch dimensions of size 1 without copying; new dimensions may come in front.

    Args:
        input: any shape.
        sizes: the new shape; -1 keeps a size.

    Returns:
        A read-only view.

    Raises:
        ShapeError: a size other than 1 would change.

    >>> minidl.tensor([[1.0], [2.0]]).expand(-1, 3)
    tensor([[1., 1., 1.],
            [2., 2., 2.]])
    """
    check_tensor("expand", input=input)
    wanted = int_sequence("expand", "sizes", sizes)
    extra = len(wanted) - input.data.ndim
    old = (None,) * extra + input.data.shape
    shape = tuple(o if w == -1 and o is not None else w for w, o in zip(wanted, old))
    fits = extra >= 0 and all(w >= 0 and o in (None, 1, w) for w, o in zip(shape, old))
    if not fits:
        raise ShapeError(
            "expand", "only dimensions of size 1 stretch, and new ones come in front",
            {"input": input, "sizes": wanted},
        )  # fmt: skip
    if math.prod(shape) > sys.maxsize // input.data.itemsize:
        raise ShapeError("expand", "no array is that large", {"input": input, "sizes": wanted})
    return Expand(shape).apply(input)


def broadcast_to(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """expand() with the new shape as one tuple.

    Args:
        input: any shape.
        shape: the new shape; -1 keeps a size.

    Returns:
        A read-only view.

    Raises:
        ShapeError: a size other than 1 would change.
    """
    return expand(input, shape)


def repeat(input: Tensor, *repeats: int | tuple[int, ...]) -> Tensor:
    """Copies side by side along each dimension; new dimensions may come in front.

    Args:
        input: any shape.
        repeats: how many copies along each dimension of the result.

    Returns:
        Sizes multiplied by repeats.

    Raises:
        ArgumentError: fewer repeats than dimensions, or a negative one.

    >>> minidl.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    check_tensor("repeat", input=input)
    counts = int_sequence("repeat", "repeats", repeats)
    if len(counts) < input.data.ndim or any(n < 0 for n in counts):
        raise ArgumentError(
            "repeat", "repeats is one number >= 0 for each dimension",
            {"input": input, "repeats": counts},
        )  # fmt: skip
    sizes = (1,) * (len(counts) - input.data.ndim) + input.data.shape
    check_size(
        "repeat", tuple(n * size for n, size in zip(counts, sizes)), input.data.dtype,
        {"input": input, "repeats": counts},
    )  # fmt: skip
    return Repeat(counts).apply(input)


def tile(input: Tensor, *dims: int | tuple[int, ...]) -> Tensor:
    """repeat(), with missing numbers in front taken as 1.

    Args:
        input: any shape.
        dims: how many copies along the last len(dims) dimensions.

    Returns:
        Sizes multiplied by dims.

    Raises:
        ArgumentError: a negative number.
    """
    check_tensor("tile", input=input)
    counts = int_sequence("tile", "dims", dims)
    return repeat(input, (1,) * (input.data.ndim - len(counts)) + counts)
