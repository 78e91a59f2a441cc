"""Absolute error.

    loss = |x - t|        gx = g sign(x - t)        gt = -gx

g is the gradient of each element's loss: gy / (number of elements) for the mean. The derivative
at x = t is taken as 0, as in PyTorch.
"""

from __future__ import annotations

from minidl.device import array_module
from minidl.function import Function
from minidl.ops.loss_reduction import check_reduction, check_same_shape, reduce, spread
from minidl.ops.receptive_field import UNKNOWN
from minidl.tensor import Tensor


class L1Loss(Function):
    receptive_field = UNKNOWN

    def __init__(self, reduction):
        self.reduction = reduction

    def forward(self, x, t):
        xp = array_module(x)
        difference = x - t
        self.sign = xp.sign(difference) if any(self.needs_grad) else None
        return reduce(xp.abs(difference), self.reduction)

    def backward(self, gy):
        gx = spread(gy, self.sign.shape, self.reduction) * self.sign
        return gx, -gx if self.needs_grad[1] else None


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Mean absolute error: loss = |x - t|.

    Hastie et al. 2009, "The Elements of Statistical Learning", section 10.6.

    Args:
        input: floating point, any shape.
        target: the same shape and dtype; gets a gradient, too, if it requires one.
        reduction: "mean" (over all elements), "sum" or "none".

    Returns:
        A 0-d tensor, or with "none" the shape of input.

    Raises:
        ShapeError: the shapes differ (losses do not broadcast).
        ArgumentError: there is no such reduction.
        DtypeError: not floating point, or of different dtypes.

    >>> x, t = minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 4.0])
    >>> minidl.nn.functional.l1_loss(x, t)
    tensor(1.)
    """
    check_reduction("l1_loss", reduction)
    check_same_shape("l1_loss", input, target)
    return L1Loss(reduction).apply(input, target)
