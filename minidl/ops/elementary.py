"""Elementary functions, element by element.

    y = exp(x)       gx = gy y               y = log(x)       gx = gy / x
    y = expm1(x)     gx = gy (y + 1)         y = log1p(x)     gx = gy / (1 + x)
    y = sqrt(x)      gx = gy / (2 y)         y = rsqrt(x)     gx = -gy y^3 / 2      (1 / sqrt(x))
    y = sin(x)       gx = gy cos(x)          y = cos(x)       gx = -gy sin(x)
    y = x^2          gx = 2 gy x             y = |x|          gx = gy sign(x)       (0 at 0)

Where no gradient arrives, gy = 0, none leaves, also where the slope is infinite or NaN
(minidl/kernels/weighting.py).

sign, floor, ceil and round are constant between their jumps: gx = 0, as in PyTorch. Integers are
converted to float32 first, except where the result is an integer again (abs, sign, floor, ceil,
round, square).
"""

from __future__ import annotations

import numpy as np

from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import DtypeError
from minidl.function import Function
from minidl.kernels.weighting import arrived
from minidl.ops.casting import cast, clone
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.tensor import Tensor


class Exp(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        self.y = array_module(x).exp(x)
        return self.y

    def backward(self, gy):
        return arrived(gy * self.y, gy)


class Expm1(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        self.y = array_module(x).expm1(x)
        return self.y

    def backward(self, gy):
        return arrived(gy * (self.y + 1), gy)


class Log(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        self.x = x
        return array_module(x).log(x)

    def backward(self, gy):
        return arrived(gy / self.x, gy)


class Log1p(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        self.x = x
        return array_module(x).log1p(x)

    def backward(self, gy):
        return arrived(gy / (1 + self.x), gy)


class Sqrt(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        self.y = array_module(x).sqrt(x)
        return self.y

    def backward(self, gy):
        return arrived(gy / (2 * self.y), gy)


class Rsqrt(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        self.y = 1 / array_module(x).sqrt(x)
        return self.y

    def backward(self, gy):
        gx = gy * -0.5 * self.y * self.y * self.y  # in this order: y^3 alone may overflow
        return arrived(gx, gy)


class Sin(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        self.x = x
        return array_module(x).sin(x)

    def backward(self, gy):
        return arrived(gy * array_module(gy).cos(self.x), gy)


class Cos(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        self.x = x
        return array_module(x).cos(x)

    def backward(self, gy):
        return arrived(gy * -array_module(gy).sin(self.x), gy)


class Square(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, gy):
        return arrived(2 * gy * self.x, gy)


class Abs(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        self.x = x
        return array_module(x).abs(x)

    def backward(self, gy):
        return arrived(gy * array_module(gy).sign(self.x), gy)


class Staircase(Function):
    """sign, floor, ceil, round: constant between jumps, so no gradient passes."""

    receptive_field = SAME_PIXEL

    def __init__(self, name):
        self.name = name

    def forward(self, x):
        return getattr(array_module(x), self.name)(x)

    def backward(self, gy):
        return array_module(gy).zeros_like(gy)


def exp(input: Tensor) -> Tensor:
    """e^x.

    Args:
        input: any shape.

    Returns:
        The same shape.

    >>> minidl.exp(minidl.tensor([0.0, 1.0]))
    tensor([1.    , 2.7183])
    """
    return Exp().apply(floating("exp", input))


def expm1(input: Tensor) -> Tensor:
    """e^x - 1, exact for x near 0.

    Args:
        input: any shape.

    Returns:
        The same shape.

    >>> minidl.expm1(minidl.tensor(1e-10)).item() > 0
    True
    """
    return Expm1().apply(floating("expm1", input))


def log(input: Tensor) -> Tensor:
    """Natural logarithm; -inf at 0, NaN below.

    Args:
        input: any shape.

    Returns:
        The same shape.

    >>> minidl.log(minidl.tensor([1.0, 10.0]))
    tensor([0.    , 2.3026])
    """
    return Log().apply(floating("log", input))


def log1p(input: Tensor) -> Tensor:
    """log(1 + x), exact for x near 0.

    Args:
        input: any shape.

    Returns:
        The same shape.

    >>> minidl.log1p(minidl.tensor(1e-10)).item() > 0
    True
    """
    return Log1p().apply(floating("log1p", input))


def sqrt(input: Tensor) -> Tensor:
    """Square root; NaN below 0.

    Args:
        input: any shape.

    Returns:
        The same shape.

    >>> minidl.sqrt(minidl.tensor([4.0, 9.0]))
    tensor([2., 3.])
    """
    return Sqrt().apply(floating("sqrt", input))


def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(x).

    Args:
        input: any shape.

    Returns:
        The same shape.

    >>> minidl.rsqrt(minidl.tensor([4.0, 16.0]))
    tensor([0.5 , 0.25])
    """
    return Rsqrt().apply(floating("rsqrt", input))


def sin(input: Tensor) -> Tensor:
    """Sine.

    Args:
        input: angles in radians, any shape.

    Returns:
        The same shape.

    >>> minidl.sin(minidl.tensor([0.0, 1.0]))
    tensor([0.    , 0.8415])
    """
    return Sin().apply(floating("sin", input))


def cos(input: Tensor) -> Tensor:
    """Cosine.

    Args:
        input: angles in radians, any shape.

    Returns:
        The same shape.

    >>> minidl.cos(minidl.tensor([0.0, 1.0]))
    tensor([1.    , 0.5403])
    """
    return Cos().apply(floating("cos", input))


def square(input: Tensor) -> Tensor:
    """x^2.

    Args:
        input: any shape.

    Returns:
        The same shape.

    >>> minidl.square(minidl.tensor([-3.0, 2.0]))
    tensor([9., 4.])
    """
    check_tensor("square", input=input)
    return Square().apply(input)


def abs(input: Tensor) -> Tensor:
    """|x|. The gradient at the kink x = 0 is 0.

    Args:
        input: any shape.

    Returns:
        The same shape.

    >>> minidl.abs(minidl.tensor([-3.0, 2.0]))
    tensor([3., 2.])
    """
    check_tensor("abs", input=input)
    return Abs().apply(input)


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1. The gradient is 0.

    Args:
        input: any shape, not bools.

    Returns:
        The same shape.

    >>> minidl.sign(minidl.tensor([-3.0, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """
    check_tensor("sign", input=input)
    if input.data.dtype.kind == "b":
        raise DtypeError("sign", "bools have no sign", {"input": input})
    return Staircase("sign").apply(input)


def floor(input: Tensor) -> Tensor:
    """The largest whole number <= x. The gradient is 0.

    Args:
        input: any shape.

    Returns:
        The same shape.

    >>> minidl.floor(minidl.tensor([-0.5, 1.5]))
    tensor([-1.,  1.])
    """
    return to_whole("floor", input)


def ceil(input: Tensor) -> Tensor:
    """The smallest whole number >= x. The gradient is 0.

    Args:
        input: any shape.

    Returns:
        The same shape.

    >>> minidl.ceil(minidl.tensor([-1.5, 1.5]))
    tensor([-1.,  2.])
    """
    return to_whole("ceil", input)


def round(input: Tensor) -> Tensor:
    """The nearest whole number; halves go to the even one. The gradient is 0.

    Args:
        input: any shape.

    Returns:
        The same shape.

    >>> minidl.round(minidl.tensor([0.5, 1.5, 1.7]))
    tensor([0., 2., 2.])
    """
    return to_whole("round", input)


def to_whole(op: str, x: Tensor) -> Tensor:
    """floor, ceil or round; integers are whole already."""
    check_tensor(op, input=x)
    if x.data.dtype.kind == "b":
        raise DtypeError(op, "expects numbers, not bools", {"input": x})
    return Staircase(op).apply(x) if x.data.dtype.kind == "f" else clone(x)


def floating(op: str, x: Tensor) -> Tensor:
    """x, converted to float32 where it holds integers or bools."""
    check_tensor(op, input=x)
    return x if x.data.dtype.kind == "f" else cast(x, np.dtype(np.float32))
