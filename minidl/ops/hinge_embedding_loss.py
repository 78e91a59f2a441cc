"""Hinge loss of a distance x between two things that belong together (t = 1) or not (t = -1).

    loss = x                        where t = 1         gx = g
         = max(0, margin - x)       where t = -1        gx = -g where x <= margin, else 0

The derivative at the kink x = margin is taken as -g, as in PyTorch.

The other hinge losses of the literature: multi_margin_loss is the multi-class one; those of
GANs, mean(max(0, 1 - D(real))) + mean(max(0, 1 + D(fake))), are compositions of relu.
"""

from __future__ import annotations

from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.function import Function
from minidl.ops.loss_reduction import check_reduction, reduce, spread
from minidl.ops.receptive_field import UNKNOWN
from minidl.shapes import is_number
from minidl.tensor import Tensor


class HingeEmbeddingLoss(Function):
    """together is an array of bools, a constant to the graph."""

    receptive_field = UNKNOWN

    def __init__(self, together, margin, reduction):
        self.together, self.margin, self.reduction = together, margin, reduction

    def forward(self, x):
        xp = array_module(x)
        self.x = x if self.needs_grad[0] else None
        losses = xp.where(self.together, x, xp.maximum(self.margin - x, 0))
        return reduce(losses, self.reduction)

    def backward(self, gy):
        g = spread(gy, self.x.shape, self.reduction)
        apart = array_module(gy).where(self.x <= self.margin, -g, 0)
        return array_module(gy).where(self.together, g, apart)


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """Loss of distances that should be small (t = 1) or beyond a margin (t = -1).

    loss = x where t = 1, max(0, margin - x) where t = -1

    Hadsell, Chopra and LeCun 2006, "Dimensionality reduction by learning an invariant mapping",
    section 2.1 (there squared).

    Args:
        input: floating point, any shape: distances.
        target: the same shape, each 1 or -1, of any dtype.
        margin: how far apart t = -1 should be.
        reduction: "mean" (over all elements), "sum" or "none".

    Returns:
        A 0-d tensor, or with "none" the shape of input.

    Raises:
        ShapeError: the shapes differ (losses do not broadcast).
        ArgumentError: a target is neither 1 nor -1, or there is no such reduction.
        DtypeError: input is not floating point, or margin is no number.

    >>> x, t = minidl.tensor([0.25, 0.25]), minidl.tensor([1, -1])
    >>> minidl.nn.functional.hinge_embedding_loss(x, t, reduction="none")
    tensor([0.25, 0.75])
    """
    op = "hinge_embedding_loss"
    check_reduction(op, reduction)
    check_tensor(op, input=input, target=target)
    check_floating(op, input=input)
    if input.data.shape != target.data.shape:
        raise ShapeError(
            op, "input and target must have the same shape", {"input": input, "target": target}
        )
    if not is_number(margin):
        raise DtypeError(op, "margin is a number", {"margin": margin})
    together = target.data == 1
    wrong = ~together & (target.data != -1)
    if wrong.any():
        raise ArgumentError(
            op, "targets are 1 or -1", {"first other": target.data[wrong].reshape(-1)[0].item()}
        )
    return HingeEmbeddingLoss(together, float(margin), reduction).apply(input)
