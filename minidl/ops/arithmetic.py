"""Arithmetic with broadcasting: + - * / and powers.

    y = a + b     ga = gy                gb = gy
    y = a - b     ga = gy                gb = -gy
    y = a * b     ga = gy b              gb = gy a
    y = a / b     ga = gy / b            gb = -gy y / b
    y = -a        ga = -gy
    y = a ** b    ga = gy b a^(b-1)      gb = gy a^b log(a)

Where a or b was stretched, its gradient is summed back (minidl/ops/broadcasting.py). In gb of the
quotient, a / b^2 would overflow or vanish with b^2 where y / b does not.

The gradients of powers are products of which one factor may be 0 and the other infinite. There
they are what the product tends to: ga = 0 where b = 0, or where a^(b-1) = 0 with an infinite b;
gb = 0 where a^b stays 0, that is at a = inf with b < 0, and at a = 0 with b >= 0. (PyTorch has the
same at b = 0 and a = 0, NaN at the others.) Of products, quotients and powers, where no gradient
arrives, gy = 0, none leaves, also where the slope is infinite (minidl/kernels/weighting.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError
from minidl.function import Function
from minidl.kernels.weighting import arrived
from minidl.ops.broadcasting import operands, unbroadcast
from minidl.ops.casting import cast
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.tensor import Tensor


class Add(Function):
    receptive_field = SAME_PIXEL

    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        return a + b

    def backward(self, gy):
        ga = unbroadcast(gy, self.shapes[0]) if self.needs_grad[0] else None
        gb = unbroadcast(gy, self.shapes[1]) if self.needs_grad[1] else None
        return ga, gb


class Sub(Function):
    receptive_field = SAME_PIXEL

    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        return a - b

    def backward(self, gy):
        ga = unbroadcast(gy, self.shapes[0]) if self.needs_grad[0] else None
        gb = -unbroadcast(gy, self.shapes[1]) if self.needs_grad[1] else None
        return ga, gb


class Mul(Function):
    receptive_field = SAME_PIXEL

    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        self.a = a if self.needs_grad[1] else None
        self.b = b if self.needs_grad[0] else None
        return a * b

    def backward(self, gy):
        ga = gb = None
        if self.needs_grad[0]:
            ga = unbroadcast(arrived(gy * self.b, gy), self.shapes[0])
        if self.needs_grad[1]:
            gb = unbroadcast(arrived(gy * self.a, gy), self.shapes[1])
        return ga, gb


class Div(Function):
    receptive_field = SAME_PIXEL

    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        self.b = b
        y = a / b
        self.y = y if self.needs_grad[1] else None
        return y

    def backward(self, gy):
        ga = gb = None
        if self.needs_grad[0]:
            ga = unbroadcast(arrived(gy / self.b, gy), self.shapes[0])
        if self.needs_grad[1]:
            gb = unbroadcast(arrived(-gy * (self.y / self.b), gy), self.shapes[1])
        return ga, gb


class Neg(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        return -x

    def backward(self, gy):
        return -gy


class Pow(Function):
    receptive_field = SAME_PIXEL

    def forward(self, a, b):
        self.a, self.b = a, b
        self.y = a**b
        return self.y

    def backward(self, gy):
        xp, a, b = array_module(gy), self.a, self.b
        ga = gb = None
        if self.needs_grad[0]:
            power = a ** xp.where(b == 0, 0, b - 1)  # b = 0: finite, and the factor b makes it 0
            ga = unbroadcast(arrived(gy * (xp.where(power == 0, 0, b) * power), gy), a.shape)
        if self.needs_grad[1]:
            stays_0 = ((a == 0) & (b >= 0)) | ((a == np.inf) & (b < 0))
            slope = self.y * xp.log(xp.where(stays_0, 1, a))
            gb = unbroadcast(arrived(gy * slope, gy), b.shape)
        return ga, gb


class PowNumber(Function):
    """A Python number as the exponent: NumPy squares and takes roots faster than powers."""

    receptive_field = SAME_PIXEL

    def __init__(self, exponent):
        self.exponent = exponent

    def forward(self, x):
        self.x = x
        return x**self.exponent

    def backward(self, gy):
        p = self.exponent
        if p == 0:
            return array_module(gy).zeros_like(gy)
        return arrived(gy * (p * self.x if p == 2 else p * self.x ** (p - 1)), gy)


def add(input: Any, other: Any) -> Tensor:
    """input + other, elementwise with broadcasting.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        The broadcast shape.

    Raises:
        ShapeError: the shapes do not broadcast.
        DtypeError: not a Tensor or number.

    >>> minidl.tensor([[1.0], [2.0]]) + minidl.tensor([10.0, 20.0])
    tensor([[11., 21.],
            [12., 22.]])
    """
    a, b = operands("add", input, other)
    return Add().apply(a, b)


def sub(input: Any, other: Any) -> Tensor:
    """input - other, elementwise with broadcasting.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        The broadcast shape.

    Raises:
        ShapeError: the shapes do not broadcast.
        DtypeError: not a Tensor or number, or bools.

    >>> 1 - minidl.tensor([0.25, 1.0])
    tensor([0.75, 0.  ])
    """
    a, b = operands("sub", input, other)
    check_not_bool("sub", a)
    return Sub().apply(a, b)


def mul(input: Any, other: Any) -> Tensor:
    """input * other, elementwise with broadcasting.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        The broadcast shape.

    Raises:
        ShapeError: the shapes do not broadcast.
        DtypeError: not a Tensor or number.

    >>> minidl.tensor([1.0, 2.0]) * 3
    tensor([3., 6.])
    """
    a, b = operands("mul", input, other)
    return Mul().apply(a, b)


def div(input: Any, other: Any) -> Tensor:
    """input / other, elementwise with broadcasting; integers divide to float32.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        The broadcast shape, floating point.

    Raises:
        ShapeError: the shapes do not broadcast.
        DtypeError: not a Tensor or number.

    >>> minidl.tensor([1, 2]) / 2
    tensor([0.5, 1. ])
    """
    a, b = operands("div", input, other, floating=True)
    if a.data.dtype.kind != "f":
        a, b = cast(a, np.dtype(np.float32)), cast(b, np.dtype(np.float32))
    return Div().apply(a, b)


def neg(input: Tensor) -> Tensor:
    """-input, elementwise.

    Args:
        input: numbers of any shape.

    Returns:
        The same shape.

    Raises:
        DtypeError: not a Tensor, or bools.

    >>> -minidl.tensor([1.0, -2.0])
    tensor([-1.,  2.])
    """
    check_tensor("neg", input=input)
    check_not_bool("neg", input)
    return Neg().apply(input)


def pow(input: Any, exponent: Any) -> Tensor:
    """input ** exponent, elementwise with broadcasting.

    Where the exponent is 0, the gradient of input is 0, also at inf and NaN. Gradients that are
    0 times infinity, in PyTorch NaN, are the limit: see the top of minidl/ops/arithmetic.py.

    Args:
        input, exponent: Tensors or numbers, of shapes that broadcast.

    Returns:
        The broadcast shape.

    Raises:
        ShapeError: the shapes do not broadcast.
        ArgumentError: a negative power of integers.
        DtypeError: not a Tensor or number.

    >>> minidl.tensor([1.0, 2.0, 3.0]) ** 2
    tensor([1., 4., 9.])
    """
    a, b = operands("pow", input, exponent)
    if a.data.dtype.kind in "iu" and (b.data < 0).any():
        raise ArgumentError(
            "pow", "integers have no negative powers", {"input": a, "exponent": exponent},
            "convert first: input.float()",
        )  # fmt: skip
    if type(exponent) in (int, float) and abs(exponent) < np.inf:
        return PowNumber(exponent).apply(a)
    return Pow().apply(a, b)


def check_not_bool(op: str, x: Tensor) -> None:
    if x.data.dtype.kind == "b":
        raise DtypeError(op, "bools have no difference", {"input": x}, "use ~ for logical not")
