"""Variance and standard deviation.

    var    y = sum (x_i - mean)^2 / (n - c)      gx_i = gy 2 (x_i - mean) / (n - c)
    std    y = sqrt(var)                         gx_i = gy (x_i - mean) / ((n - c) y)

c is 1, Bessel's correction, as in PyTorch. std is not differentiable at 0; its gradient there is
0, as in PyTorch. Two passes, the mean first: a sum of squares minus a squared sum would cancel.
Where the values are far from 0 beside their spread, the mean of what is left is subtracted, too.
"""

from __future__ import annotations

import numpy as np

from minidl.device import array_module
from minidl.errors import ArgumentError
from minidl.kernels.sums import mean, rounded, total
from minidl.ops.lp_norm import in_range, is_lost
from minidl.ops.reductions import Dims, Reduction, check_reduction, count, divide_or_zero
from minidl.tensor import Tensor

NEAR = 64  # spreads from 0: where it is further off, the rounding of the mean counts


class Var(Reduction):
    def __init__(self, axes, keepdim, correction):
        super().__init__(axes, keepdim)
        self.correction = correction

    def forward(self, x):
        return rounded(self.variance(x), x.dtype)

    def variance(self, x):
        """Not yet rounded to x's dtype."""
        n = count(x.shape, self.axes)
        if x.dtype == np.float16:
            x = x.astype(np.float32)  # the square of 256 is too large for a float16
        center = mean(x, self.axes, keepdims=True)
        self.centered = x - center
        freedom = max(n - self.correction, 0)
        # One value has no variance: 0 / 0 is NaN, as in PyTorch.
        self.scale = x.dtype.type(1 / freedom if freedom else np.inf)
        y = self.sum_of_squares()
        with np.errstate(over="ignore", invalid="ignore"):
            if n > 1 and (center * center * (n / NEAR**2) > y).any():
                self.centered -= mean(self.centered, self.axes, keepdims=True)
                y = self.sum_of_squares()
            return (y if self.keepdim else y.squeeze(self.axes)) * self.scale

    def sum_of_squares(self):
        return total(self.centered * self.centered, self.axes, keepdims=True)

    def backward(self, gy):
        return rounded(self.stretchable(gy) * (2 * self.scale) * self.centered, gy.dtype)


class Std(Var):
    """The root of the variance; also where it is in range and the variance, a square, is not."""

    def forward(self, x):
        with np.errstate(over="ignore", invalid="ignore"):
            y = self.stretchable(array_module(x).sqrt(self.variance(x)))
            if is_lost(y, 2).any():
                root = self.scale**0.5
                y = in_range(y / root, self.centered, 2, self.axes) * root
        self.y = y if self.keepdim else y.squeeze(self.axes)
        return rounded(self.y, x.dtype)

    def backward(self, gy):
        return rounded(super().backward(divide_or_zero(gy, 2 * self.y)), gy.dtype)


def var(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> Tensor:
    """The variance, sum (x - mean)^2 / (n - correction).

    Args:
        input: floating point, any shape.
        dim: dimensions to reduce, all by default.
        unbiased: True for correction = 1, False for 0.
        keepdim: keep the reduced dimensions with size 1.
        correction: overrides unbiased.

    Returns:
        input's shape without the reduced dimensions; NaN where n <= correction
        (infinite where the values differ).

    Raises:
        ArgumentError: there is no such dimension.
        DtypeError: not floating point.

    >>> minidl.tensor([1.0, 2.0, 3.0]).var()
    tensor(1.)
    """
    axes = check_reduction("var", input, dim, keepdim, floating=True)
    return Var(axes, keepdim, freedom_lost("var", unbiased, correction)).apply(input)


def std(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> Tensor:
    """The standard deviation, the square root of the variance. Its gradient is 0 where it is 0.

    Args:
        input: floating point, any shape.
        dim: dimensions to reduce, all by default.
        unbiased: True for correction = 1, False for 0.
        keepdim: keep the reduced dimensions with size 1.
        correction: overrides unbiased.

    Returns:
        input's shape without the reduced dimensions; NaN where n <= correction
        (infinite where the values differ).

    Raises:
        ArgumentError: there is no such dimension.
        DtypeError: not floating point.

    >>> minidl.tensor([1.0, 5.0]).std(unbiased=False)
    tensor(2.)
    """
    axes = check_reduction("std", input, dim, keepdim, floating=True)
    return Std(axes, keepdim, freedom_lost("std", unbiased, correction)).apply(input)


def freedom_lost(op: str, unbiased: bool, correction: int | None) -> int:
    """The c of n - c."""
    if not isinstance(unbiased, bool):
        raise ArgumentError(op, "unbiased is a bool", {"unbiased": unbiased})
    if correction is None:
        return int(unbiased)
    if not isinstance(correction, int | np.integer) or correction < 0:
        raise ArgumentError(op, "correction is an int >= 0", {"correction": correction})
    return int(correction)
