"""Sums, means and other numbers that summarise one or more dimensions.

    sum        y = sum x_i                           gx_i = gy
    mean       y = sum x_i / n                       gx_i = gy / n
    prod       y = prod x_i                          gx_i = gy prod_{j != i} x_j
    logsumexp  y = log sum e^x_i                     gx_i = gy e^(x_i - y)
    cumsum     y_i = sum_{j <= i} x_j                gx_i = sum_{j >= i} gy_j

Sums and means of millions of float32s are right to 1e-6; kernels/sums.py says how.

The gradient of logsumexp is 0 where all x are -inf, and where some are inf, they share it (in
PyTorch, NaN). Every function takes `dim`
(an int, a tuple, or None for all) and `keepdim` as there. The variance is in variance.py, norms
are in norm.py, the largest and smallest elements in selection.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError
from minidl.function import Function
from minidl.kernels import sums
from minidl.kernels.weighting import arrived
from minidl.ops.casting import cast
from minidl.ops.receptive_field import along
from minidl.shapes import check_keepdim, normalize_dim, reduced_dims
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

    @property
    def receptive_field(self):
        return along(*self.axes, keepdim=self.keepdim)


class Sum(Reduction):
    def forward(self, x):
        self.shape = x.shape
        return sums.total(x, self.axes, self.keepdim)

    def backward(self, gy):
        return array_module(gy).broadcast_to(self.stretchable(gy), self.shape)


class Mean(Reduction):
    def forward(self, x):
        self.shape = x.shape
        return sums.mean(x, self.axes, self.keepdim)

    def backward(self, gy):
        # n = 0: there is nothing to share gy among
        share = sums.divide(gy, count(self.shape, self.axes) or 1)
        return array_module(gy).broadcast_to(self.stretchable(share), self.shape)


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


class LogSumExp(Reduction):
    def forward(self, x):
        xp = array_module(x)
        peak = x.max(axis=self.axes, keepdims=True)
        peak = xp.where(peak == -np.inf, 0, peak)  # all x are -inf: e is 0
        with np.errstate(divide="ignore", invalid="ignore"):  # log(0) = -inf, inf - inf
            self.e = xp.exp(xp.where(x == peak, 0, x - peak))  # at most 1: no overflow
            self.total = sums.total_in_range(self.e, self.axes, keepdims=True)
            y = sums.rounded(xp.log(self.total) + peak, x.dtype)
        return y if self.keepdim else y.squeeze(self.axes)

    def backward(self, gy):
        gy = self.stretchable(gy)
        gx = sums.rounded(gy * divide_or_zero(self.e, self.total), gy.dtype)
        return arrived(gx, gy)


class CumSum(Function):
    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        return sums.running_total(x, self.axis)

    def backward(self, gy):
        xp = array_module(gy)
        return xp.flip(sums.running_total(xp.flip(gy, self.axis), self.axis), self.axis)

    @property
    def receptive_field(self):
        return along(self.axis)


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
    axes = check_reduction("sum", input, dim, keepdim)
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
    return Mean(check_reduction("mean", input, dim, keepdim, floating=True), keepdim).apply(input)


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
    check_keepdim("prod", keepdim)
    if input.data.dtype.kind != "f":
        input = cast(input, np.dtype(np.int64))
    if dim is None:
        return Prod((0,), False).apply(input.reshape(-1))
    if input.data.ndim == 0:
        input = input.reshape(1)
        keepdim = False
    return Prod((normalize_dim("prod", dim, input.data.ndim),), keepdim).apply(input)


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

    >>> minidl.logsumexp(minidl.tensor([100.0, 100.0]), dim=0)
    tensor(100.6931)
    """
    axes = check_reduction("logsumexp", input, dim, keepdim, floating=True)
    check_not_empty("logsumexp", input, axes)
    return LogSumExp(axes, keepdim).apply(input)


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


def check_reduction(
    op: str, input: Tensor, dim: Any, keepdim: Any, floating: bool = False
) -> tuple[int, ...]:
    """The axes to reduce, after checks of the tensor and its dtype."""
    check_tensor(op, input=input)
    check_keepdim(op, keepdim)
    if floating and input.data.dtype.kind != "f":
        raise DtypeError(op, "expects floating point", {"input": input}, "use input.float()")
    return reduced_dims(op, dim, input.data.ndim)


def check_not_empty(op: str, input: Tensor, axes: tuple[int, ...]) -> None:
    if count(input.data.shape, axes) == 0:
        raise ArgumentError(op, "there is nothing to reduce: a size is 0", {"input": input})


def count(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """How many elements one result summarises."""
    n = 1
    for axis in axes:
        n *= shape[axis]
    return n


def divide_or_zero(a: Any, b: Any) -> Any:
    """a / b, and 0 where b is 0."""
    return a / array_module(b).where(b == 0, np.inf, b).astype(b.dtype)
