"""Softmax and its logarithm along one dimension (Bridle 1990).

    y[i]  = e^(x[i]) / s           s = sum_j e^(x[j])
    gx[i] = y[i] (gy[i] - sum_j gy[j] y[j])

    l[i]  = x[i] - log s
    gx[i] = gy[i] - e^(l[i]) sum_j gy[j]

Subtracting a constant from all x[j] changes neither y nor l. With the maximum subtracted, no
exponential exceeds 1 and s is at least 1, so nothing overflows and log s is finite. log_softmax
is not log(softmax): that would be -inf wherever y underflows.

A score of -inf has probability 0. Where all scores are -inf, or one is inf, there are no
probabilities: NaN, as in PyTorch; but where nothing depends on them, gy = 0, gx is 0 (in PyTorch,
NaN): of where(rows, softmax(x, 1), 0).
"""

from __future__ import annotations

from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ShapeError
from minidl.function import Function
from minidl.kernels.sums import total, total_in_range
from minidl.kernels.weighting import arrived
from minidl.ops.receptive_field import along
from minidl.shapes import normalize_dim
from minidl.tensor import Tensor


class Softmax(Function):
    def __init__(self, dim):
        self.dim = dim

    def forward(self, x):
        y = array_module(x).exp(x - x.max(axis=self.dim, keepdims=True))
        y /= total_in_range(y, (self.dim,), keepdims=True)
        self.y = y if self.needs_grad[0] else None
        return y

    def backward(self, gy):
        gx = self.y * (gy - total(gy * self.y, (self.dim,), keepdims=True))
        return arrived(gx, gy.any(axis=self.dim, keepdims=True))

    @property
    def receptive_field(self):
        return along(self.dim)


class LogSoftmax(Function):
    def __init__(self, dim):
        self.dim = dim

    def forward(self, x):
        xp = array_module(x)
        y = x - x.max(axis=self.dim, keepdims=True)
        y -= xp.log(total_in_range(xp.exp(y), (self.dim,), keepdims=True))
        self.y = y if self.needs_grad[0] else None
        return y

    def backward(self, gy):
        gx = gy - array_module(gy).exp(self.y) * total(gy, (self.dim,), keepdims=True)
        return arrived(gx, gy.any(axis=self.dim, keepdims=True))

    @property
    def receptive_field(self):
        return along(self.dim)


def softmax(input: Tensor, dim: int) -> Tensor:
    """Turn scores into positive numbers that sum to 1 along a dimension.

    y[i] = e^(x[i]) / sum_j e^(x[j])

    Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".

    Args:
        input: floating point, any shape.
        dim: the dimension that i and j run over; -1 is the last.

    Returns:
        The same shape.

    Raises:
        ArgumentError: there is no such dimension.
        ShapeError: the dimension is empty, or input is 0-d.
        DtypeError: not a floating-point Tensor.

    >>> minidl.nn.functional.softmax(minidl.tensor([[0.0, 0.0, -1000.0]]), dim=1)
    tensor([[0.5, 0.5, 0. ]])
    """
    return Softmax(check_arguments("softmax", input, dim)).apply(input)


def log_softmax(input: Tensor, dim: int) -> Tensor:
    """The logarithm of softmax, finite even where softmax underflows to 0.

    y[i] = x[i] - log sum_j e^(x[j])

    Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".

    Args:
        input: floating point, any shape.
        dim: the dimension that i and j run over; -1 is the last.

    Returns:
        The same shape.

    Raises:
        ArgumentError: there is no such dimension.
        ShapeError: the dimension is empty, or input is 0-d.
        DtypeError: not a floating-point Tensor.

    >>> minidl.nn.functional.log_softmax(minidl.tensor([[0.0, -1000.0]]), dim=1)
    tensor([[    0., -1000.]])
    """
    return LogSoftmax(check_arguments("log_softmax", input, dim)).apply(input)


def check_arguments(op: str, input: Tensor, dim: int) -> int:
    """The dimension, counted from the front; it exists and has at least one element."""
    check_tensor(op, input=input)
    check_floating(op, input=input)
    if input.data.ndim == 0:
        raise ShapeError(op, "input has at least one dimension", {"input": input})
    dim = normalize_dim(op, dim, input.data.ndim)
    if input.data.shape[dim] == 0:
        raise ShapeError(op, f"dimension {dim} is empty", {"input": input})
    return dim
