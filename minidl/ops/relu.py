"""Rectified linear unit (Nair and Hinton 2010; Krizhevsky et al. 2012, section 3.1).

    y  = max(x, 0)
    gx = gy where x > 0 or x is NaN, else 0

The derivative at the kink x = 0 is taken as 0, as in PyTorch. NaN passes through in both
directions, also as in PyTorch.
"""

from __future__ import annotations

from minidl import kernels
from minidl.checks import check_floating, check_tensor
from minidl.function import Function
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.tensor import Tensor


class ReLU(Function):
    receptive_field = SAME_PIXEL
    makes_new = True

    def forward(self, x):
        y = kernels.pick("relu", x).forward(x)
        self.y = y if self.needs_grad[0] else None  # y is not 0 where gy passes: x may be dropped
        return y

    def backward(self, gy):
        return kernels.pick("relu", gy).backward(gy, self.y)


def relu(input: Tensor) -> Tensor:
    """Replace negative values by zero: y = max(x, 0).

    Nair and Hinton 2010, "Rectified linear units improve restricted Boltzmann machines".

    Args:
        input: floating point, any shape.

    Returns:
        The same shape.

    Raises:
        DtypeError: not a floating-point Tensor.

    >>> minidl.nn.functional.relu(minidl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    check_tensor("relu", input=input)
    check_floating("relu", input=input)
    return ReLU().apply(input)
