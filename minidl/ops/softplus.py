"""Softplus, a smooth ReLU (Dugas et al. 2001).

    y  = log(1 + e^(beta x)) / beta         and y = x where beta x > threshold
    gx = gy / (1 + e^(-beta x))             and gx = gy there

For large beta x the two agree to the last digit of float32; the threshold (20, as in PyTorch)
says from where on x is returned. The logarithm is taken of

    log(1 + e^z) = max(z, 0) + log(1 + e^-|z|)

which overflows for no z and keeps its digits where e^z is small.
"""

from __future__ import annotations

from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError
from minidl.function import Function
from minidl.kernels.weighting import arrived
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.ops.sigmoid import stable_sigmoid
from minidl.shapes import is_number
from minidl.tensor import Tensor


class Softplus(Function):
    receptive_field = SAME_PIXEL

    def __init__(self, beta, threshold):
        self.beta, self.threshold = beta, threshold

    def forward(self, x):
        self.x = x if self.needs_grad[0] else None
        z = self.beta * x
        return array_module(x).where(z > self.threshold, x, log_one_plus_exp(z) / self.beta)

    def backward(self, gy):
        z = self.beta * self.x
        slope = array_module(gy).where(z > self.threshold, gy.dtype.type(1), stable_sigmoid(z))
        return arrived(gy * slope, gy)


def log_one_plus_exp(z):
    """log(1 + e^z) of an array without overflow."""
    xp = array_module(z)
    return xp.maximum(z, 0) + xp.log1p(xp.exp(-xp.abs(z)))


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """A smooth ReLU: y = log(1 + e^(beta x)) / beta, and y = x where beta x > threshold.

    Dugas et al. 2001, "Incorporating second-order functional knowledge for better option pricing".

    Args:
        input: floating point, any shape.
        beta: sharpness of the bend, not 0.
        threshold: from which beta x on the input itself is returned.

    Returns:
        The same shape.

    Raises:
        ArgumentError: beta is 0 or no number, threshold is no number.
        DtypeError: not a floating-point Tensor.

    >>> minidl.nn.functional.softplus(minidl.tensor([-1000.0, 1000.0]))
    tensor([   0., 1000.])
    """
    check_tensor("softplus", input=input)
    check_floating("softplus", input=input)
    numbers = is_number(beta) and is_number(threshold)
    if not numbers or beta == 0:
        raise ArgumentError(
            "softplus",
            "beta is a number other than 0, threshold a number",
            {"beta": beta, "threshold": threshold},
        )
    return Softplus(float(beta), float(threshold)).apply(input)
