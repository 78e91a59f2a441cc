"""Sums, means and other numbers that summarise one or more dimensions.

    sum        y = sum x_i                           gx_i = gy
    mean       y = sum x_i / n                       gx_i = gy / n
    prod       y = prod x_i                          gx_i = gy prod_{j != i} x_j
    var        y = sum (x_i - mean)^2 / (n - c)      gx_i = gy 2 (x_i - mean) / (n - c)
    std        y = sqrt(var)                         gx_i = gy (x_i - mean) / ((n - c) y)
    logsumexp  y = log sum e^x_i                     gx_i = gy e^(x_i - y)
    norm       y = (sum |x_i|^p)^(1/p)               gx_i = gy sign(x_i) (|x_i| / y)^(p-1)
    cumsum     y_i = sum_{j <= i} x_j                gx_i = sum_{j >= i} gy_j

c is 1, Bessel's correction, as in PyTorch. std and norm are not differentiable at 0; their
gradient there is 0, as in PyTorch, and so is that of logsumexp where all x are -inf. Every
function takes `dim` (an int, a tuple, or None for all) and `keepdim` as there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError
from minidl.function import Function
from minidl.ops.casting import cast
from minidl.shapes import check_tensor, normalize_dim, normalize_dims
from minidl.tensor import Tensor

Dims = int | tuple[int, ...] | None


class Reduction(Function):
    """What reductions share: the axes, and how a reduced gradient stretches back over x.

    Args:
        axes: the dimensions to reduce, >= 0.
        keepdim: keep them with size 1.
    """

    def __init__(self, axes, keepdim):
        self.axes, self.keepdim = axes, keepdim

    def stretchable(self, reduced):
        """A reduced array with the reduced dimensions put back as size 1."""
        if self.keepdim:
            return reduced
        return array_module(reduced).expand_dims(reduced, self.axes)


class Sum(Reduction):
    def forward(self, x):
        self.shape = x.shape
        return x.sum(axis=self.axes, keepdims=self.keepdim)

    def backward(self, gy):
        return array_module(gy).broadcast_to(self.stretchable(gy), self.shape)


class Mean(Reduction):
    def forward(self, x):
        self.shape = x.shape
        self.n = count(x.shape, self.axes)
        return x.sum(axis=self.axes, keepdims=self.keepdim) / x.dtype.type(self.n)

    def backward(self, gy):
        return array_module(gy).broadcast_to(self.stretchable(gy), self.shape) / gy.dtype.type(
            self.n
        )


class Prod(Reduction):
    """Along one axis. No division by x_i, which may be 0: cumulative products from both ends."""

    def forward(self, x):
        self.x = x
        return x.prod(axis=self.axes, keepdims=self.keepdim)

    def backward(self, gy):
        x = self.x.swapaxes(self.axes[0], -1)
        before, after = array_module(gy).ones_like(x), array_module(gy).ones_like(x)
        before[..., 1:] = x[..., :-1].cumprod(axis=-1)
        after[..., :-1] = x[..., :0:-1].cumprod(axis=-1)[..., ::-1]
        return self.stretchable(gy) * (before * after).swapaxes(self.axes[0], -1)


class Var(Reduction):
    def __init__(self, axes, keepdim, correction):
        super().__init__(axes, keepdim)
        self.correction = correction

    def forward(self, x):
        n = count(x.shape, self.axes)
        self.centered = x - x.sum(axis=self.axes, keepdims=True) / max(n, 1)
        freedom = max(n - self.correction, 0)
        # One value has no variance: 0 / 0 is NaN, as in PyTorch.
        self.scale = x.dtype.type(1 / freedom if freedom else np.nan)
        y = (self.centered * self.centered).sum(axis=self.axes, keepdims=self.keepdim)
        return y * self.scale

    def backward(self, gy):
        return self.stretchable(gy) * (2 * self.scale) * self.centered


class Std(Var):
    def forward(self, x):
        self.y = array_module(x).sqrt(super().forward(x))
        return self.y

    def backward(self, gy):
        return super().backward(divide_or_zero(gy, 2 * self.y))


class LogSumExp(Reduction):
    def forward(self, x):
        xp = array_module(x)
        peak = x.max(axis=self.axes, keepdims=True)
        self.peak = xp.where(xp.isfinite(peak), peak, 0)  # inf - inf would be NaN
        self.e = xp.exp(x - self.peak)  # at most 1: no overflow
        self.total = self.e.sum(axis=self.axes, keepdims=True)
        with np.errstate(divide="ignore"):  # log(0) = -inf: all x are -inf
            y = xp.log(self.total) + self.peak
        return y if self.keepdim else y.squeeze(self.axes)

    def backward(self, gy):
        return self.stretchable(gy) * divide_or_zero(self.e, self.total)


class Norm(Reduction):
    def __init__(self, axes, keepdim, p):
        super().__init__(axes, keepdim)
        self.p = p

    def forward(self, x):
        xp, p = array_module(x), self.p
        self.x = x
        if p == np.inf:
            self.y = xp.abs(x).max(axis=self.axes, keepdims=True)
        elif p == 2:
            self.y = xp.sqrt((x * x).sum(axis=self.axes, keepdims=True))
        elif p == 1:
            self.y = xp.abs(x).sum(axis=self.axes, keepdims=True)
        else:
            self.y = (xp.abs(x) ** p).sum(axis=self.axes, keepdims=True) ** (1 / p)
        return self.y if self.keepdim else self.y.squeeze(self.axes)

    def backward(self, gy):
        xp, x, p = array_module(gy), self.x, self.p
        gy = self.stretchable(gy)
        if p == np.inf:  # the largest magnitudes share the gradient evenly
            largest = xp.abs(x) == self.y
            return gy * xp.sign(x) * largest / largest.sum(axis=self.axes, keepdims=True)
        if p == 2:
            return gy * divide_or_zero(x, self.y)
        if p == 1:
            return gy * xp.sign(x)
        ratio = divide_or_zero(xp.abs(x), self.y)
        return gy * xp.sign(x) * xp.where(ratio == 0, 1, ratio) ** (p - 1) * (ratio != 0)


class CumSum(Function):
    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        return x.cumsum(axis=self.axis)

    def backward(self, gy):
        xp = array_module(gy)
        return xp.flip(xp.flip(gy, self.axis).cumsum(axis=self.axis), self.axis)


def sum(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The sum; integers and bools add up as int64.

    Args:
        input: any shape.
        dim: dimensions to reduce, all by default.
        keepdim: keep the reduced dimensions with size 1.

    Returns:
        input's shape without the reduced dimensions.

    Raises:
        ArgumentError: there is no such dimension.

    >>> minidl.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(dim=0)
    tensor([4., 6.])
    """
    axes = check_reduction("sum", input, dim)
    if input.data.dtype.kind != "f":
        input = cast(input, np.dtype(np.int64))
    return Sum(axes, keepdim).apply(input)


def mean(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The arithmetic mean.

    Args:
        input: floating point, any shape.
        dim: dimensions to reduce, all by default.
        keepdim: keep the reduced dimensions with size 1.

    Returns:
        input's shape without the reduced dimensions.

    Raises:
        ArgumentError: there is no such dimension.
        DtypeError: not floating point.

    >>> minidl.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(dim=1)
    tensor([1.5, 3.5])
    """
    return Mean(check_reduction("mean", input, dim, floating=True), keepdim).apply(input)


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The product; integers and bools multiply as int64.

    Args:
        input: any shape.
        dim: the dimension to reduce, all by default.
        keepdim: keep the reduced dimension with size 1.

    Returns:
        input's shape without the reduced dimension.

    Raises:
        ArgumentError: there is no such dimension.

    >>> minidl.tensor([2.0, 3.0, 4.0]).prod()
    tensor(24.)
    """
    check_tensor("prod", input=input)
    if input.data.dtype.kind != "f":
        input = cast(input, np.dtype(np.int64))
    if dim is None:
        return Prod((0,), False).apply(input.reshape(-1))
    if input.data.ndim == 0:
        input = input.reshape(1)
        keepdim = False
    return Prod((normalize_dim("prod", dim, input.data.ndim),), keepdim).apply(input)


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
        input's shape without the reduced dimensions; NaN where n <= correction.

    Raises:
        ArgumentError: there is no such dimension.
        DtypeError: not floating point.

    >>> minidl.tensor([1.0, 2.0, 3.0]).var()
    tensor(1.)
    """
    axes = check_reduction("var", input, dim, floating=True)
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
        input's shape without the reduced dimensions; NaN where n <= correction.

    Raises:
        ArgumentError: there is no such dimension.
        DtypeError: not floating point.

    >>> minidl.tensor([1.0, 5.0]).std(unbiased=False)
    tensor(2.)
    """
    axes = check_reduction("std", input, dim, floating=True)
    return Std(axes, keepdim, freedom_lost("std", unbiased, correction)).apply(input)


def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """log(sum(exp(x))), computed so that no exponential overflows.

    log sum e^x_i = m + log sum e^(x_i - m) with m = max x

    Args:
        input: floating point, any shape.
        dim: dimensions to reduce.
        keepdim: keep the reduced dimensions with size 1.

    Returns:
        input's shape without the reduced dimensions.

    Raises:
        ArgumentError: there is no such dimension, or it is empty.
        DtypeError: not floating point.

    >>> minidl.logsumexp(minidl.tensor([1000.0, 1000.0]), dim=0)
    tensor(1000.6931)
    """
    axes = check_reduction("logsumexp", input, dim, floating=True)
    check_not_empty("logsumexp", input, axes)
    return LogSumExp(axes, keepdim).apply(input)


def norm(input: Tensor, p: float | str = 2, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The p-norm, (sum |x|^p)^(1/p); p = inf is the largest magnitude.

    Args:
        input: floating point, any shape.
        p: a number > 0, float("inf"), or "fro" for 2.
        dim: dimensions to reduce, all by default.
        keepdim: keep the reduced dimensions with size 1.

    Returns:
        input's shape without the reduced dimensions.

    Raises:
        ArgumentError: p is not positive, or there is no such dimension.
        DtypeError: not floating point.

    >>> minidl.tensor([3.0, 4.0]).norm()
    tensor(5.)
    """
    axes = check_reduction("norm", input, dim, floating=True)
    p = 2 if p == "fro" else p
    if isinstance(p, str | bool) or not isinstance(p, int | float) or not p > 0:
        raise ArgumentError("norm", 'p is a number > 0 or "fro"', {"p": p})
    if p == np.inf:
        check_not_empty("norm", input, axes)
    return Norm(axes, keepdim, p).apply(input)


def cumsum(input: Tensor, dim: int) -> Tensor:
    """Running sums along one dimension.

    Args:
        input: any shape.
        dim: the dimension.

    Returns:
        input's shape.

    Raises:
        ArgumentError: there is no such dimension.

    >>> minidl.tensor([1.0, 2.0, 3.0]).cumsum(dim=0)
    tensor([1., 3., 6.])
    """
    check_tensor("cumsum", input=input)
    axis = normalize_dim("cumsum", dim, input.data.ndim)
    if input.data.dtype.kind != "f":
        input = cast(input, np.dtype(np.int64))
    if input.data.ndim == 0:
        return input.clone()
    return CumSum(axis).apply(input)


def check_reduction(op: str, input: Tensor, dim: Any, floating: bool = False) -> tuple[int, ...]:
    """The axes to reduce, after checks of the tensor and its dtype."""
    check_tensor(op, input=input)
    if floating and input.data.dtype.kind != "f":
        raise DtypeError(op, "expects floating point", {"input": input}, "use input.float()")
    return normalize_dims(op, dim, input.data.ndim)


def check_not_empty(op: str, input: Tensor, axes: tuple[int, ...]) -> None:
    if count(input.data.shape, axes) == 0:
        raise ArgumentError(op, "there is nothing to reduce: a size is 0", {"input": input})


def freedom_lost(op: str, unbiased: bool, correction: int | None) -> int:
    """The c of n - c."""
    if correction is None:
        return 1 if unbiased else 0
    if not isinstance(correction, int | np.integer) or correction < 0:
        raise ArgumentError(op, "correction is an int >= 0", {"correction": correction})
    return int(correction)


def count(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """How many elements one result summarises."""
    n = 1
    for axis in axes:
        n *= shape[axis]
    return n


def divide_or_zero(a: Any, b: Any) -> Any:
    """a / b, and 0 where b is 0."""
    return a / array_module(b).where(b == 0, np.inf, b).astype(b.dtype)
