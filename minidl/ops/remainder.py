"""Whole quotients and remainders.

    q = floor(a / b)        ga = gb = 0
    r = a - b q             ga = gy            gb = -gy q

The remainder has the sign of b, as in Python and PyTorch.
"""

from __future__ import annotations

from typing import Any

from minidl.device import array_module
from minidl.errors import ArgumentError
from minidl.function import Function
from minidl.kernels.weighting import arrived
from minidl.ops.broadcasting import operands, unbroadcast
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.tensor import Tensor


class FloorDivide(Function):
    """Constant between its jumps, so no gradient passes."""

    receptive_field = SAME_PIXEL

    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        return a // b

    def backward(self, gy):
        zeros = array_module(gy).zeros
        ga = zeros(self.shapes[0], gy.dtype) if self.needs_grad[0] else None
        gb = zeros(self.shapes[1], gy.dtype) if self.needs_grad[1] else None
        return ga, gb


class Remainder(Function):
    receptive_field = SAME_PIXEL

    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        self.quotient = a // b if self.needs_grad[1] else None
        return array_module(a).remainder(a, b)

    def backward(self, gy):
        ga = unbroadcast(gy, self.shapes[0]) if self.needs_grad[0] else None
        gb = None
        if self.needs_grad[1]:
            gb = unbroadcast(arrived(-gy * self.quotient, gy), self.shapes[1])
        return ga, gb


def floor_divide(input: Any, other: Any) -> Tensor:
    """floor(input / other), the operator //. The gradient is 0.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        The broadcast shape.

    Raises:
        ArgumentError: division of integers by 0.
        ShapeError: the shapes do not broadcast.

    >>> minidl.tensor([7, -7]) // 2
    tensor([ 3, -4])
    """
    a, b = operands("floor_divide", input, other)
    check_divisor("floor_divide", b)
    return FloorDivide().apply(a, b)


def remainder(input: Any, other: Any) -> Tensor:
    """input - other floor(input / other), the operator %.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        The broadcast shape.

    Raises:
        ArgumentError: division of integers by 0.
        ShapeError: the shapes do not broadcast.

    >>> minidl.tensor([7, -7]) % 4
    tensor([3, 1])
    """
    a, b = operands("remainder", input, other)
    check_divisor("remainder", b)
    return Remainder().apply(a, b)


def check_divisor(op: str, b: Tensor) -> None:
    """Floats give inf or NaN on division by 0, integers have no such value."""
    if b.data.dtype.kind != "f" and not b.data.all():
        raise ArgumentError(op, "integers cannot be divided by 0", {"other": b})
