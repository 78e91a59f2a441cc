"""The larger and the smaller of two tensors, element by element.

    y = maximum(a, b)     ga = gy where a > b, gy / 2 where a = b, else 0; gb likewise

A tie splits the gradient evenly, as in PyTorch. NaN in either wins.
"""

from __future__ import annotations

from typing import Any

from minidl.device import array_module
from minidl.function import Function
from minidl.ops.broadcasting import operands, unbroadcast
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.tensor import Tensor


class Maximum(Function):
    receptive_field = SAME_PIXEL

    def forward(self, a, b):
        self.a, self.b = a, b
        return array_module(a).maximum(a, b)

    def backward(self, gy):
        gys = split_by_winner(gy, self.a > self.b, self.a == self.b)
        return unbroadcast(gys[0], self.a.shape), unbroadcast(gys[1], self.b.shape)


class Minimum(Function):
    receptive_field = SAME_PIXEL

    def forward(self, a, b):
        self.a, self.b = a, b
        return array_module(a).minimum(a, b)

    def backward(self, gy):
        gys = split_by_winner(gy, self.a < self.b, self.a == self.b)
        return unbroadcast(gys[0], self.a.shape), unbroadcast(gys[1], self.b.shape)


def split_by_winner(gy, first_wins, tie):
    """(gradient to the first, gradient to the second)."""
    to_first = gy * array_module(gy).where(tie, 0.5, first_wins).astype(gy.dtype)
    return to_first, gy - to_first


def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two values, elementwise with broadcasting.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        The broadcast shape.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> minidl.maximum(minidl.tensor([1.0, 5.0]), minidl.tensor([3.0, 4.0]))
    tensor([3., 5.])
    """
    a, b = operands("maximum", input, other)
    return Maximum().apply(a, b)


def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two values, elementwise with broadcasting.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        The broadcast shape.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> minidl.minimum(minidl.tensor([1.0, 5.0]), minidl.tensor([3.0, 4.0]))
    tensor([1., 4.])
    """
    a, b = operands("minimum", input, other)
    return Minimum().apply(a, b)
