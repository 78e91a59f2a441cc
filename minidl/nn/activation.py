"""Activations as layers. Formulas and sources are in minidl/ops under the same names."""

from __future__ import annotations

from minidl.nn.module import Module
from minidl.ops.leaky_relu import leaky_relu
from minidl.ops.relu import relu
from minidl.ops.relu6 import relu6
from minidl.ops.sigmoid import sigmoid
from minidl.ops.softmax import log_softmax, softmax
from minidl.ops.softplus import softplus
from minidl.ops.tanh import tanh
from minidl.tensor import Tensor


class ReLU(Module):
    """max(x, 0); see minidl.nn.functional.relu.

    Shapes: any, kept.

    >>> minidl.nn.ReLU()(minidl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        return relu(x)


class ReLU6(Module):
    """min(max(x, 0), 6); see minidl.nn.functional.relu6.

    Shapes: any, kept.

    >>> minidl.nn.ReLU6()(minidl.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """

    def forward(self, x: Tensor) -> Tensor:
        return relu6(x)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope x; see minidl.nn.functional.leaky_relu.

    Args:
        negative_slope: the slope of the negative part.

    Shapes: any, kept.

    >>> minidl.nn.LeakyReLU(0.5)(minidl.tensor([-1.0, 2.0]))
    tensor([-0.5,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01):
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Tanh(Module):
    """tanh(x); see minidl.nn.functional.tanh.

    Shapes: any, kept.

    >>> minidl.nn.Tanh()(minidl.tensor([0.0, 100.0]))
    tensor([0., 1.])
    """

    def forward(self, x: Tensor) -> Tensor:
        return tanh(x)


class Sigmoid(Module):
    """1 / (1 + e^-x); see minidl.nn.functional.sigmoid.

    Shapes: any, kept.

    >>> minidl.nn.Sigmoid()(minidl.tensor([0.0, 100.0]))
    tensor([0.5, 1. ])
    """

    def forward(self, x: Tensor) -> Tensor:
        return sigmoid(x)


class Softplus(Module):
    """log(1 + e^(beta x)) / beta; see minidl.nn.functional.softplus.

    Args:
        beta: sharpness of the bend, not 0.
        threshold: from which beta x on the input itself is returned.

    Shapes: any, kept.

    >>> minidl.nn.Softplus()(minidl.tensor([-1000.0, 1000.0]))
    tensor([   0., 1000.])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Tensor) -> Tensor:
        return softplus(x, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Module):
    """Positive numbers that sum to 1 along a dimension; see minidl.nn.functional.softmax.

    Args:
        dim: the dimension that is summed over; -1 is the last.

    Shapes: any, kept.

    >>> minidl.nn.Softmax(dim=-1)(minidl.tensor([0.0, 0.0]))
    tensor([0.5, 0.5])
    """

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """The logarithm of softmax, stable; see minidl.nn.functional.log_softmax.

    Args:
        dim: the dimension that is summed over; -1 is the last.

    Shapes: any, kept.

    >>> minidl.nn.LogSoftmax(dim=-1)(minidl.tensor([0.0, -1000.0]))
    tensor([    0., -1000.])
    """

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return log_softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
