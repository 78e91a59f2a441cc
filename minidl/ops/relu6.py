"""Rectified linear unit that stops at 6 (Krizhevsky 2010, "Convolutional deep belief networks on
CIFAR-10"; Howard et al. 2017, "MobileNets").

    y  = min(max(x, 0), 6)
    gx = gy where 0 < x < 6 or x is NaN, else 0

The derivative at both kinks is taken as 0, as PyTorch's relu6 and hardtanh have it; clamp(x, 0, 6)
takes it as 1 there. NaN passes through in both directions, as through relu; clamp stops the
gradient (and PyTorch's relu6 does the one in its vector loop, the other in that for the rest).
"""

from __future__ import annotations

from minidl import kernels
from minidl.checks import check_floating, check_tensor
from minidl.function import Function
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.tensor import Tensor


class ReLU6(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        y = kernels.pick("relu6", x).forward(x)
        self.y = y if self.needs_grad[0] else None  # y says where gy passes: x may be dropped
        return y

    def backward(self, gy):
        return kernels.pick("relu6", gy).backward(gy, self.y)


def relu6(input: Tensor) -> Tensor:
    """Replace values below zero by zero and those above six by six: y = min(max(x, 0), 6).

    Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".

    Args:
        input: floating point, any shape.

    Returns:
        The same shape.

    Raises:
        DtypeError: not a floating-point Tensor.

    >>> minidl.nn.functional.relu6(minidl.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """
    check_tensor("relu6", input=input)
    check_floating("relu6", input=input)
    return ReLU6().apply(input)
