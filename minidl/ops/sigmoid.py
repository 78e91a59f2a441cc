"""Logistic sigmoid.

    y  = 1 / (1 + e^-x)
    gx = gy y (1 - y)

e^-x overflows for very negative x. There, y is computed as e^x / (1 + e^x), the same number: the
exponential is always that of -|x|, at most 1.
"""

from __future__ import annotations

from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.function import Function
from minidl.kernels.weighting import arrived
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.tensor import Tensor


class Sigmoid(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        y = stable_sigmoid(x)
        self.y = y if self.needs_grad[0] else None
        return y

    def backward(self, gy):
        return arrived(gy * self.y * (1 - self.y), gy)


def stable_sigmoid(x):
    """1 / (1 + e^-x) of an array without overflow."""
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x < 0, e, xp.ones_like(e)) / (1 + e)


def sigmoid(input: Tensor) -> Tensor:
    """Squash values into (0, 1): y = 1 / (1 + e^-x), without overflow for any x.

    Rumelhart, Hinton and Williams 1986, "Learning representations by back-propagating errors",
    equation 2.

    Args:
        input: floating point, any shape.

    Returns:
        The same shape.

    Raises:
        DtypeError: not a floating-point Tensor.

    >>> minidl.nn.functional.sigmoid(minidl.tensor([-1000.0, 0.0]))
    tensor([0. , 0.5])
    """
    check_tensor("sigmoid", input=input)
    check_floating("sigmoid", input=input)
    return Sigmoid().apply(input)
