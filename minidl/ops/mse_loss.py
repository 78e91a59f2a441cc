"""Squared error.

    loss = (x - t)^2        gx = 2 g (x - t)        gt = -gx

g is the gradient of each element's loss: gy / (number of elements) for the mean.
"""

from __future__ import annotations

from minidl.function import Function
from minidl.ops.loss_reduction import check_reduction, check_same_shape, reduce, spread
from minidl.ops.receptive_field import UNKNOWN
from minidl.tensor import Tensor


class MSELoss(Function):
    receptive_field = UNKNOWN

    def __init__(self, reduction):
        self.reduction = reduction

    def forward(self, x, t):
        difference = x - t
        self.difference = difference if any(self.needs_grad) else None
        return reduce(difference * difference, self.reduction)

    def backward(self, gy):
        gx = 2 * spread(gy, self.difference.shape, self.reduction) * self.difference
        return gx, -gx if self.needs_grad[1] else None


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Mean squared error: loss = (x - t)^2.

    Goodfellow et al. 2016, "Deep Learning", section 5.1.4.

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
    >>> minidl.nn.functional.mse_loss(x, t)
    tensor(2.)
    """
    check_reduction("mse_loss", reduction)
    check_same_shape("mse_loss", input, target)
    return MSELoss(reduction).apply(input, target)
