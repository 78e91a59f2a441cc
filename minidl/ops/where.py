"""Choosing element by element: where, clamp, masked_fill.

    where        y = a where c, else b            ga = gy where c,  gb = gy where not c
    clamp        y = min(max(x, low), high)       gx = gy where low <= x <= high, else 0
    masked_fill  y = value where mask, else x     gx = gy where not mask

At a bound itself the gradient of clamp passes to x, as in PyTorch, whether the bound is a number
or a tensor. A bound that is a tensor gets the gradient where x is beyond it, and where the two are
equal, that of the side where x is. NaN in x or a bound gets and leaves no gradient.

The gradient of what where did not take is 0, and stays 0 on its way back through roots, logarithms,
exponentials, products, quotients and powers, also where their slope is infinite or NaN: of
where(x > 0, sqrt(x), 0) at x <= 0. (In PyTorch, NaN.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.arrays import as_array
from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.dtypes import number_dtype
from minidl.errors import ArgumentError, DtypeError
from minidl.function import Function
from minidl.kernels.weighting import masked
from minidl.ops.broadcasting import NUMBER, check_broadcast, operands, unbroadcast
from minidl.ops.casting import cast
from minidl.ops.extremes import Maximum, Minimum
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.shapes import is_int, is_number
from minidl.tensor import Tensor


class Where(Function):
    receptive_field = SAME_PIXEL

    def forward(self, condition, a, b):
        self.condition, self.shapes = condition, (a.shape, b.shape)
        return array_module(a).where(condition, a, b)

    def backward(self, gy):
        ga = gb = None
        if self.needs_grad[1]:
            ga = unbroadcast(masked(gy, self.condition), self.shapes[0])
        if self.needs_grad[2]:
            gb = unbroadcast(masked(gy, ~self.condition), self.shapes[1])
        return None, ga, gb


class Clamp(Function):
    receptive_field = SAME_PIXEL

    def __init__(self, low, high):
        self.low, self.high = low, high

    def forward(self, x):
        if self.needs_grad[0]:
            self.inside = (x == x) if self.low is None else (x >= self.low)  # never for NaN
            if self.high is not None:
                self.inside &= x <= self.high
        return array_module(x).clip(x, self.low, self.high)

    def backward(self, gy):
        return masked(gy, self.inside)


class AtLeast(Maximum):
    """clamp by a tensor from below. A tie is x's, not shared as that of maximum is."""

    def backward(self, gy):
        return parted(gy, self.a >= self.b, self.a < self.b, self.a.shape, self.b.shape)


class AtMost(Minimum):
    """clamp by a tensor from above."""

    def backward(self, gy):
        return parted(gy, self.a <= self.b, self.a > self.b, self.a.shape, self.b.shape)


def parted(gy, inside, outside, x_shape, bound_shape):
    """The gradients of x and of its bound."""
    gx, g_bound = masked(gy, inside), masked(gy, outside)
    return unbroadcast(gx, x_shape), unbroadcast(g_bound, bound_shape)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """input where the condition holds, other elsewhere.

    What is not taken has the gradient 0, also where its slope is infinite or NaN (in PyTorch, NaN).

    Args:
        condition: bools.
        input, other: Tensors or numbers; all three broadcast.

    Returns:
        The broadcast shape.

    Raises:
        ShapeError: the shapes do not broadcast.
        DtypeError: the condition is not a Tensor of bools.

    >>> x = minidl.tensor([-1.0, 2.0])
    >>> minidl.where(x > 0, x, 0.1 * x)
    tensor([-0.1,  2. ])
    """
    check_mask("where", "condition", condition)
    if isinstance(input, NUMBER) and isinstance(other, NUMBER):
        input = Tensor(array_module(condition.data).asarray(as_array(input)))
    a, b = operands("where", input, other)
    check_broadcast("where", condition, a)
    check_broadcast("where", condition, b)
    return Where().apply(condition, a, b)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Move values below min up to it and values above max down to it; also Tensor.clip.

    At a bound, the gradient is input's.

    Args:
        input: any shape.
        min, max: numbers, or Tensors that broadcast with input; one may be None.

    Returns:
        input's shape. Where min > max, max.

    Raises:
        ArgumentError: both min and max are None, or integers would have to become a bound that
            their dtype has not.

    >>> minidl.tensor([-2.0, 0.5, 2.0]).clamp(-1, 1)
    tensor([-1. ,  0.5,  1. ])
    """
    check_tensor("clamp", input=input)
    if min is None and max is None:
        raise ArgumentError("clamp", "expects min, max or both", {"min": min, "max": max})
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        input = input if min is None else AtLeast().apply(*operands("clamp", input, min))
        return input if max is None else AtMost().apply(*operands("clamp", input, max))
    bounds = [python_number(name, bound) for name, bound in (("min", min), ("max", max))]
    dtype = input.data.dtype
    for bound in bounds:
        dtype = dtype if bound is None else number_dtype(bound, dtype)
    check_bounds(dtype, *bounds)
    return Clamp(*bounds).apply(cast(input, dtype))


def check_bounds(dtype: Any, low: Any, high: Any) -> None:
    """Integers of `dtype` can be moved to the bounds: 300 is no value of uint8."""
    if dtype.kind not in "iu":
        return
    limits = np.iinfo(dtype)
    if (low is not None and low > limits.max) or (high is not None and high < limits.min):
        raise ArgumentError(
            "clamp", f"a bound does not fit into {dtype}, {limits.min} to {limits.max}",
            {"min": low, "max": high},
        )  # fmt: skip


def python_number(name: str, bound: Any) -> Any:
    """A bound of clamp as a number of Python's, which does not widen the result; None is none."""
    if bound is None or isinstance(bound, bool):
        return bound
    if not is_number(bound):
        raise DtypeError("clamp", f"{name} is a number or a Tensor", {name: bound})
    return int(bound) if is_int(bound) else float(bound)


def masked_fill(input: Tensor, mask: Tensor, value: float) -> Tensor:
    """input with `value` where the mask holds.

    Args:
        input: any shape.
        mask: bools whose shape broadcasts with input's.
        value: a number.

    Returns:
        The broadcast shape, of the dtype of input + value (PyTorch rounds value to input's).

    Raises:
        ShapeError: the shapes do not broadcast.
        DtypeError: the mask is not a Tensor of bools.

    >>> minidl.ones(3).masked_fill(minidl.tensor([True, False, True]), -1.0)
    tensor([-1.,  1., -1.])
    """
    check_tensor("masked_fill", input=input)
    check_mask("masked_fill", "mask", mask)
    x, value = operands("masked_fill", input, value)
    check_broadcast("masked_fill", mask, x)
    return Where().apply(mask, value, x)


def check_mask(op: str, name: str, mask: Any) -> None:
    check_tensor(op, **{name: mask})
    if mask.data.dtype.kind != "b":
        raise DtypeError(op, f"{name} is a Tensor of bools", {name: mask}, "compare: x > 0")
