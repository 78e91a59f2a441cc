"""The larger and the smaller of two tensors, element by element.

    y = maximum(a, b)     ga = gy where a > b, gy / 2 where a = b, 0 where a < b; gb likewise

A tie splits the gradient evenly. NaN in either wins, and where either is NaN, neither is larger or
equal: the gradient goes to both in full. All as in PyTorch.

Neighbours that decide ties otherwise, also as in PyTorch: clamp passes all of the gradient to its
input (where.py), relu nothing, max along a dimension all to the first (selection.py).
"""

from __future__ import annotations

from typing import Any

from minidl.device import array_module
from minidl.function import Function
from minidl.kernels.weighting import masked
from minidl.ops.broadcasting import operands, unbroadcast
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.tensor import Tensor


class Maximum(Function):
    receptive_field = SAME_PIXEL

    def forward(self, a, b):
        self.a, self.b = a, b
        return array_module(a).maximum(a, b)

    def backward(self, gy):
        a, b = self.a, self.b
        return share(gy, a < b, a == b, a.shape), share(gy, b < a, a == b, b.shape)


class Minimum(Function):
    receptive_field = SAME_PIXEL

    def forward(self, a, b):
        self.a, self.b = a, b
        return array_module(a).minimum(a, b)

    def backward(self, gy):
        a, b = self.a, self.b
        return share(gy, a > b, a == b, a.shape), share(gy, b > a, a == b, b.shape)


def share(gy, loses, tie, shape):
    """The gradient of one of the two, of its shape."""
    return unbroadcast(masked(gy, ~loses) / (tie + gy.dtype.type(1)), shape)


def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two values, elementwise with broadcasting; NaN is larger than all.

    A tie shares the gradient evenly, and beside NaN it goes to both in full, as in PyTorch.

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
    """The smaller of two values, elementwise with broadcasting; NaN is smaller than all.

    A tie shares the gradient evenly, and beside NaN it goes to both in full, as in PyTorch.

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
