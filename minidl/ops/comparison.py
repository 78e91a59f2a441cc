"""Comparisons and logic: tensors of bools.

Their derivative is 0, so they have no backward, and only an export records them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import DtypeError
from minidl.function import Function
from minidl.ops.broadcasting import operands
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.ops.reductions import Reduction
from minidl.shapes import check_keepdim, is_number, normalize_dims
from minidl.tensor import Tensor


class Compare(Function):
    """function, one of Python's six, of two arrays, or of an array and an int."""

    receptive_field = SAME_PIXEL

    def __init__(self, function, number=None):
        self.function, self.number = function, number

    def forward(self, a, b=None):
        return self.function(a, self.number if b is None else b)


class Logic(Function):
    """The function of one or two arrays that NumPy has under this name."""

    receptive_field = SAME_PIXEL

    def __init__(self, name):
        self.name = name

    def forward(self, *arrays):
        return getattr(array_module(arrays[0]), self.name)(*arrays)


class Quantifier(Reduction):
    """any or all."""

    def __init__(self, name, axes, keepdim):
        super().__init__(axes, keepdim)
        self.name = name

    def forward(self, x):
        return getattr(array_module(x), self.name)(x, axis=self.axes, keepdims=self.keepdim)


def eq(input: Any, other: Any) -> Tensor:
    """input == other, elementwise with broadcasting.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        bools of the broadcast shape.

    >>> minidl.tensor([1, 2]) == 2
    tensor([False,  True])
    """
    return compare("eq", operator.eq, input, other)


def ne(input: Any, other: Any) -> Tensor:
    """input != other, elementwise with broadcasting.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        bools of the broadcast shape.
    """
    return compare("ne", operator.ne, input, other)


def lt(input: Any, other: Any) -> Tensor:
    """input < other, elementwise with broadcasting.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        bools of the broadcast shape.
    """
    return compare("lt", operator.lt, input, other)


def le(input: Any, other: Any) -> Tensor:
    """input <= other, elementwise with broadcasting.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        bools of the broadcast shape.
    """
    return compare("le", operator.le, input, other)


def gt(input: Any, other: Any) -> Tensor:
    """input > other, elementwise with broadcasting.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        bools of the broadcast shape.
    """
    return compare("gt", operator.gt, input, other)


def ge(input: Any, other: Any) -> Tensor:
    """input >= other, elementwise with broadcasting.

    Args:
        input, other: Tensors or numbers, of shapes that broadcast.

    Returns:
        bools of the broadcast shape.
    """
    return compare("ge", operator.ge, input, other)


def logical_not(input: Tensor) -> Tensor:
    """True where input is zero or False.

    Args:
        input: any shape.

    Returns:
        bools of the same shape.

    >>> minidl.logical_not(minidl.tensor([0.0, 2.0]))
    tensor([ True, False])
    """
    check_tensor("logical_not", input=input)
    return Logic("logical_not").apply(input)


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """True where both are non-zero.

    Args:
        input, other: Tensors of shapes that broadcast.

    Returns:
        bools of the broadcast shape.
    """
    a, b = operands("logical_and", input, other)
    return Logic("logical_and").apply(a, b)


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """True where one or both are non-zero.

    Args:
        input, other: Tensors of shapes that broadcast.

    Returns:
        bools of the broadcast shape.
    """
    a, b = operands("logical_or", input, other)
    return Logic("logical_or").apply(a, b)


def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """True where exactly one is non-zero.

    Args:
        input, other: Tensors of shapes that broadcast.

    Returns:
        bools of the broadcast shape.
    """
    a, b = operands("logical_xor", input, other)
    return Logic("logical_xor").apply(a, b)


def bitwise_not(input: Tensor) -> Tensor:
    """The operator ~: not, for bools and for each bit of integers.

    Args:
        input: bools or integers.

    Returns:
        The same shape and dtype.

    Raises:
        DtypeError: floating point.

    >>> ~minidl.tensor([True, False])
    tensor([False,  True])
    """
    check_tensor("bitwise_not", input=input)
    check_bits("bitwise_not", input)
    return Logic("invert").apply(input)


def bitwise_and(input: Any, other: Any) -> Tensor:
    """The operator &: and, for bools and for each bit of integers.

    Args:
        input, other: Tensors or numbers of bools or integers, of shapes that broadcast.

    Returns:
        The broadcast shape.

    Raises:
        DtypeError: floating point.

    >>> x = minidl.tensor([1, 2, 3])
    >>> (x > 1) & (x < 3)
    tensor([False,  True, False])
    """
    a, b = operands("bitwise_and", input, other)
    check_bits("bitwise_and", a)
    return Logic("bitwise_and").apply(a, b)


def bitwise_or(input: Any, other: Any) -> Tensor:
    """The operator |: or, for bools and for each bit of integers.

    Args:
        input, other: Tensors or numbers of bools or integers, of shapes that broadcast.

    Returns:
        The broadcast shape.

    Raises:
        DtypeError: floating point.
    """
    a, b = operands("bitwise_or", input, other)
    check_bits("bitwise_or", a)
    return Logic("bitwise_or").apply(a, b)


def bitwise_xor(input: Any, other: Any) -> Tensor:
    """The operator ^: exclusive or, for bools and for each bit of integers.

    Args:
        input, other: Tensors or numbers of bools or integers, of shapes that broadcast.

    Returns:
        The broadcast shape.

    Raises:
        DtypeError: floating point.
    """
    a, b = operands("bitwise_xor", input, other)
    check_bits("bitwise_xor", a)
    return Logic("bitwise_xor").apply(a, b)


def isnan(input: Tensor) -> Tensor:
    """True where input is not a number.

    Args:
        input: any shape.

    Returns:
        bools of the same shape.
    """
    check_tensor("isnan", input=input)
    return Logic("isnan").apply(input)


def isinf(input: Tensor) -> Tensor:
    """True where input is +inf or -inf.

    Args:
        input: any shape.

    Returns:
        bools of the same shape.
    """
    check_tensor("isinf", input=input)
    return Logic("isinf").apply(input)


def isfinite(input: Tensor) -> Tensor:
    """True where input is neither NaN nor infinite.

    Args:
        input: any shape.

    Returns:
        bools of the same shape.

    >>> minidl.isfinite(minidl.tensor([1.0, float("inf")]))
    tensor([ True, False])
    """
    check_tensor("isfinite", input=input)
    return Logic("isfinite").apply(input)


def any(input: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Tensor:
    """Whether an element is True (non-zero).

    Args:
        input: any shape.
        dim: dimensions to reduce, all by default.
        keepdim: keep the reduced dimensions with size 1.

    Returns:
        bools, without the reduced dimensions.
    """
    check_tensor("any", input=input)
    check_keepdim("any", keepdim)
    axes = normalize_dims("any", dim, input.data.ndim)
    return Quantifier("any", axes, keepdim).apply(input)


def all(input: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Tensor:
    """Whether every element is True (non-zero).

    Args:
        input: any shape.
        dim: dimensions to reduce, all by default.
        keepdim: keep the reduced dimensions with size 1.

    Returns:
        bools, without the reduced dimensions.

    >>> minidl.all(minidl.tensor([[1, 1], [1, 0]]), dim=1)
    tensor([ True, False])
    """
    check_tensor("all", input=input)
    check_keepdim("all", keepdim)
    axes = normalize_dims("all", dim, input.data.ndim)
    return Quantifier("all", axes, keepdim).apply(input)


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same elements.

    Args:
        input, other: any Tensors.

    Returns:
        A Python bool.
    """
    check_tensor("equal", input=input, other=other)
    return input.shape == other.shape and bool((input.data == other.data).all())


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether |input - other| <= atol + rtol |other| everywhere.

    Args:
        input, other: Tensors of shapes that broadcast.
        rtol, atol: the relative and absolute tolerance.
        equal_nan: count NaN as equal to NaN.

    Returns:
        A Python bool.
    """
    if not is_number(rtol) or not is_number(atol):
        raise DtypeError("allclose", "tolerances are numbers", {"rtol": rtol, "atol": atol})
    a, b = operands("allclose", input, other)
    return bool(
        array_module(a.data).allclose(a.data, b.data, float(rtol), float(atol), bool(equal_nan))
    )


def compare(op: str, function: Callable, input: Any, other: Any) -> Tensor:
    """function of both; ints and an int of any size compare exactly, as in NumPy."""
    if type(other) is int and isinstance(input, Tensor) and input.data.dtype.kind in "iu":
        return Compare(function, other).apply(input)
    a, b = operands(op, input, other)
    return Compare(function).apply(a, b)


def check_bits(op: str, x: Tensor) -> None:
    if x.data.dtype.kind == "f":
        raise DtypeError(
            op, "expects bools or integers", {"input": x}, "compare first: (x > 0) & (y > 0)"
        )
