"""The largest and smallest elements: max, min, amax, amin, argmax, argmin.

    y = x_k, k = argmax x        gx_k = gy, 0 elsewhere

Ties, as in PyTorch: max and min along a dimension select the first of equal elements, and the
gradient goes there; where no index is returned (max and min of everything, amax, amin), equal
elements share the gradient evenly. NaN is larger and smaller than every number, and so it gets the
gradient, of amax and amin as well (there PyTorch's is NaN for all).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError
from minidl.function import Function
from minidl.kernels.sums import rounded
from minidl.kernels.weighting import masked
from minidl.ops.extremes import maximum, minimum
from minidl.ops.receptive_field import WHOLE, along
from minidl.ops.reductions import Dims, Reduction, check_not_empty, check_reduction
from minidl.shapes import check_keepdim, normalize_dim
from minidl.tensor import Tensor


class Selected(NamedTuple):
    """What max and min along a dimension return."""

    values: Tensor
    indices: Tensor


class Extreme(Reduction):
    """max or min over several axes."""

    def __init__(self, name, axes, keepdim):
        super().__init__(axes, keepdim)
        self.name = name

    def forward(self, x):
        self.x = x
        self.y = getattr(x, self.name)(axis=self.axes, keepdims=True)
        return self.y if self.keepdim else self.y.squeeze(self.axes)

    def backward(self, gy):
        xp = array_module(gy)
        winners = (self.x == self.y) | (xp.isnan(self.x) & xp.isnan(self.y))
        share = rounded(1 / winners.sum(axis=self.axes, keepdims=True), gy.dtype)
        return masked(xp.broadcast_to(self.stretchable(gy) * share, winners.shape), winners)


class Select(Function):
    """max or min along one axis, with the index of the element taken."""

    def __init__(self, name, axis, keepdim):
        self.name, self.axis, self.keepdim = name, axis, keepdim

    def forward(self, x):
        self.x_shape = x.shape
        self.indices = getattr(x, "arg" + self.name)(axis=self.axis, keepdims=True)
        values = array_module(x).take_along_axis(x, self.indices, self.axis)
        if self.keepdim:
            return values, self.indices
        return values.squeeze(self.axis), self.indices.squeeze(self.axis)

    def backward(self, gy, _):
        xp = array_module(gy)
        gx = xp.zeros(self.x_shape, gy.dtype)
        gy = gy if self.keepdim else xp.expand_dims(gy, self.axis)
        xp.put_along_axis(gx, self.indices, gy, self.axis)
        return gx

    @property
    def receptive_field(self):
        return along(self.axis, keepdim=self.keepdim)


class ArgSelect(Function):
    """argmax or argmin, along an axis or of the flattened array (None)."""

    def __init__(self, name, axis, keepdim):
        self.name, self.axis, self.keepdim = name, axis, keepdim

    def forward(self, x):
        return getattr(x, self.name)(axis=self.axis, keepdims=self.keepdim)

    @property
    def receptive_field(self):
        return WHOLE if self.axis is None else along(self.axis, keepdim=self.keepdim)


def max(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False) -> Any:
    """The largest element, of all or along one dimension; of two tensors, maximum().

    Args:
        input: any shape.
        dim: the dimension to reduce; all by default. A Tensor is compared with elementwise.
        keepdim: keep the reduced dimension with size 1.

    Returns:
        A 0-d tensor; with dim, (values, indices) with input's shape without the dimension.

    Raises:
        ArgumentError: there is no such dimension, or nothing to select from.

    >>> minidl.tensor([[1.0, 7.0], [5.0, 2.0]]).max(dim=1).indices
    tensor([1, 0])
    """
    if isinstance(dim, Tensor):
        return maximum(input, dim)
    return select("max", input, dim, keepdim)


def min(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False) -> Any:
    """The smallest element, of all or along one dimension; of two tensors, minimum().

    Args:
        input: any shape.
        dim: the dimension to reduce; all by default. A Tensor is compared with elementwise.
        keepdim: keep the reduced dimension with size 1.

    Returns:
        A 0-d tensor; with dim, (values, indices) with input's shape without the dimension.

    Raises:
        ArgumentError: there is no such dimension, or nothing to select from.

    >>> minidl.tensor([3.0, 1.0, 2.0]).min()
    tensor(1.)
    """
    if isinstance(dim, Tensor):
        return minimum(input, dim)
    return select("min", input, dim, keepdim)


def amax(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The largest elements over one or more dimensions, without indices.

    Args:
        input: any shape.
        dim: dimensions to reduce, all by default.
        keepdim: keep the reduced dimensions with size 1.

    Returns:
        input's shape without the reduced dimensions.

    Raises:
        ArgumentError: there is no such dimension, or nothing to select from.

    >>> minidl.tensor([[1.0, 7.0], [5.0, 2.0]]).amax(dim=(0, 1))
    tensor(7.)
    """
    axes = check_reduction("amax", input, dim, keepdim)
    check_not_empty("amax", input, axes)
    return Extreme("max", axes, keepdim).apply(input)


def amin(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The smallest elements over one or more dimensions, without indices.

    Args:
        input: any shape.
        dim: dimensions to reduce, all by default.
        keepdim: keep the reduced dimensions with size 1.

    Returns:
        input's shape without the reduced dimensions.

    Raises:
        ArgumentError: there is no such dimension, or nothing to select from.

    >>> minidl.tensor([[1.0, 7.0], [5.0, 2.0]]).amin(dim=0)
    tensor([1., 2.])
    """
    axes = check_reduction("amin", input, dim, keepdim)
    check_not_empty("amin", input, axes)
    return Extreme("min", axes, keepdim).apply(input)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the largest element is; the first of several. No gradient.

    Args:
        input: any shape.
        dim: the dimension to reduce; by default the index into the flattened tensor.
        keepdim: keep the reduced dimension with size 1.

    Returns:
        int64 indices.

    Raises:
        ArgumentError: there is no such dimension, or nothing to select from.

    >>> minidl.tensor([[1.0, 7.0], [5.0, 2.0]]).argmax(dim=1)
    tensor([1, 0])
    """
    return arg_select("argmax", input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the smallest element is; the first of several. No gradient.

    Args:
        input: any shape.
        dim: the dimension to reduce; by default the index into the flattened tensor.
        keepdim: keep the reduced dimension with size 1.

    Returns:
        int64 indices.

    Raises:
        ArgumentError: there is no such dimension, or nothing to select from.

    >>> minidl.tensor([3.0, 1.0, 2.0]).argmin()
    tensor(1)
    """
    return arg_select("argmin", input, dim, keepdim)


def select(op: str, input: Tensor, dim: int | None, keepdim: bool) -> Any:
    """max or min, of all elements or along a dimension."""
    check_tensor(op, input=input)
    check_keepdim(op, keepdim)
    if dim is None:
        axes = tuple(range(input.data.ndim))
        check_not_empty(op, input, axes)
        return Extreme(op, axes, keepdim).apply(input)
    axis = normalize_dim(op, dim, input.data.ndim)
    if input.data.ndim == 0:
        return Selected(input.clone(), Tensor(array_module(input.data).zeros((), np.int64)))
    check_not_empty(op, input, (axis,))
    return Selected(*Select(op, axis, keepdim).apply(input))


def arg_select(op: str, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    check_tensor(op, input=input)
    check_keepdim(op, keepdim)
    array = input.data
    axis = None if dim is None else normalize_dim(op, dim, array.ndim)
    if array.size == 0 and (axis is None or array.shape[axis] == 0):
        raise ArgumentError(op, "there is nothing to select from: a size is 0", {"input": input})
    if array.ndim == 0:
        axis = None
    return ArgSelect(op, axis, keepdim).apply(input)
