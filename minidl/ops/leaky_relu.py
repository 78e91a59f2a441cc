"""Leaky rectified linear unit (Maas et al. 2013, section 2).

    y  = x  where x > 0,  else a x
    gx = gy where x > 0,  else a gy

The derivative at the kink x = 0 is taken as a, as in PyTorch. With a = 0 it is relu, also at
x = -inf, where a x would be NaN.
"""

from __future__ import annotations

from minidl import kernels
from minidl.checks import check_floating, check_tensor
from minidl.errors import DtypeError
from minidl.function import Function
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.ops.relu import relu
from minidl.shapes import is_number
from minidl.tensor import Tensor


class LeakyReLU(Function):
    receptive_field = SAME_PIXEL

    def __init__(self, negative_slope):
        self.negative_slope = negative_slope

    def forward(self, x):
        self.x = x if self.needs_grad[0] else None
        return kernels.pick("leaky_relu", x).forward(x, self.negative_slope)

    def backward(self, gy):
        return kernels.pick("leaky_relu", self.x).backward(gy, self.x, self.negative_slope)


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """Multiply negative values by a small slope: y = x where x > 0, else negative_slope x.

    Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models", section 2.

    Args:
        input: floating point, any shape.
        negative_slope: a, a number.

    Returns:
        The same shape.

    Raises:
        DtypeError: not a floating-point Tensor, or the slope is no number.

    >>> minidl.nn.functional.leaky_relu(minidl.tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5,  2. ])
    """
    check_tensor("leaky_relu", input=input)
    check_floating("leaky_relu", input=input)
    if not is_number(negative_slope):
        raise DtypeError(
            "leaky_relu", "negative_slope is a number", {"negative_slope": negative_slope}
        )
    if negative_slope == 0:
        return relu(input)
    return LeakyReLU(float(negative_slope)).apply(input)
