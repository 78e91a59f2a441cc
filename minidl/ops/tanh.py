"""Hyperbolic tangent.

y  = tanh(x) = (e^x - e^-x) / (e^x + e^-x)
gx = gy (1 - y^2)
"""

from __future__ import annotations

from minidl import kernels
from minidl.checks import check_floating, check_tensor
from minidl.function import Function
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.tensor import Tensor


class Tanh(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        y = kernels.pick("tanh", x).forward(x)
        self.y = y if self.needs_grad[0] else None
        return y

    def backward(self, gy):
        return kernels.pick("tanh", gy).backward(gy, self.y)


def tanh(input: Tensor) -> Tensor:
    """Squash values into (-1, 1): y = (e^x - e^-x) / (e^x + e^-x).

    LeCun et al. 1998, "Efficient BackProp", section 4.4, on why squashing units should be odd.

    Args:
        input: floating point, any shape.

    Returns:
        The same shape.

    Raises:
        DtypeError: not a floating-point Tensor.

    >>> minidl.nn.functional.tanh(minidl.tensor([0.0, 100.0]))
    tensor([0., 1.])
    """
    check_tensor("tanh", input=input)
    check_floating("tanh", input=input)
    return Tanh().apply(input)
