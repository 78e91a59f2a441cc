"""Reversing and rolling along dimensions.

flip    y[i] = x[n - 1 - i]          gx = flip(gy)
roll    y[i] = x[(i - shift) mod n]  gx = roll(gy, -shift)
"""

from __future__ import annotations

from typing import Any

from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError
from minidl.function import Function
from minidl.ops.receptive_field import UNKNOWN
from minidl.ops.shape import int_sequence
from minidl.shapes import normalize_dims
from minidl.tensor import Tensor


class Flip(Function):
    receptive_field = UNKNOWN

    def __init__(self, dims):
        self.dims = dims

    def forward(self, x):
        return array_module(x).flip(x, self.dims)

    def backward(self, gy):
        return array_module(gy).flip(gy, self.dims)


class Roll(Function):
    receptive_field = UNKNOWN

    def __init__(self, shifts, dims):
        self.shifts, self.dims = shifts, dims

    def forward(self, x):
        return array_module(x).roll(x, self.shifts, self.dims)

    def backward(self, gy):
        back = tuple(-shift for shift in self.shifts)
        return array_module(gy).roll(gy, back, self.dims)


def flip(input: Tensor, *dims: int | tuple[int, ...]) -> Tensor:
    """Reverse the order along dimensions.

    Args:
        input: any shape.
        dims: the dimensions.

    Returns:
        input's shape.

    Raises:
        ArgumentError: there is no such dimension.

    >>> minidl.tensor([1, 2, 3]).flip(0)
    tensor([3, 2, 1])
    """
    check_tensor("flip", input=input)
    axes = normalize_dims("flip", int_sequence("flip", "dims", dims), input.data.ndim)
    return Flip(axes).apply(input)


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Move elements along dimensions; those that leave at the end enter at the start.

    Args:
        input: any shape.
        shifts: by how many places, an int or one for each of dims.
        dims: the dimensions; by default the flattened tensor is rolled.

    Returns:
        input's shape.

    Raises:
        ArgumentError: there is no such dimension, or another number of shifts than dims.

    >>> minidl.tensor([1, 2, 3]).roll(1)
    tensor([3, 1, 2])
    """
    check_tensor("roll", input=input)
    shifts = int_sequence("roll", "shifts", (shifts,))
    if dims is None and len(shifts) == 1:
        return Roll(shifts, (0,)).apply(input.reshape(-1)).reshape(input.shape)
    axes = () if dims is None else normalize_dims("roll", dims, input.data.ndim)
    if len(axes) != len(shifts):
        raise ArgumentError("roll", "one shift for each of dims", {"shifts": shifts, "dims": dims})
    return Roll(shifts, axes).apply(input)
