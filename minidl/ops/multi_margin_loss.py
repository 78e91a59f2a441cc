"""Multi-class hinge loss: the label's score should beat every other by a margin.

    z[n,c]  = margin - x[n, label n] + x[n, c]                  for c != label n
    loss[n] = w[label n] / C * sum_{c != label n} max(0, z[n,c])^p
    gx[n,c] = g[n] w[label n] / C * p max(0, z[n,c])^(p-1) where z > 0, else 0
    gx[n, label n] = minus the sum of those over c

Divided by the number of classes C, as in PyTorch (Weston and Watkins 1999 do not divide); the mean
over samples divides by their number, not by the weights. The derivative at z = 0 is taken as 0,
as in PyTorch.
"""

from __future__ import annotations

from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.function import Function
from minidl.kernels.sums import total
from minidl.kernels.weighting import weighted
from minidl.ops.class_targets import check_labels
from minidl.ops.loss_reduction import check_reduction, reduce, spread
from minidl.ops.receptive_field import UNKNOWN
from minidl.shapes import is_int, is_number
from minidl.tensor import Tensor


class MultiMarginLoss(Function):
    """labels and weight are arrays, constants to the graph."""

    receptive_field = UNKNOWN

    def __init__(self, labels, p, margin, weight, reduction):
        self.labels, self.p, self.margin = labels, p, margin
        self.weight, self.reduction = weight, reduction

    def forward(self, x):
        xp = array_module(x)
        label = xp.expand_dims(self.labels.copy(), -1)
        excess = xp.maximum(self.margin - xp.take_along_axis(x, label, -1) + x, 0)
        xp.put_along_axis(excess, label, 0, -1)  # the label does not compete with itself
        factor = xp.full(label.shape, 1 / x.shape[-1], x.dtype)
        if self.weight is not None:
            factor *= self.weight[label]
        if self.needs_grad[0]:
            self.excess, self.factor, self.label = excess, factor, label
        return reduce(total(weighted(factor, excess**self.p), (-1,)), self.reduction)

    def backward(self, gy):
        xp = array_module(gy)
        g = spread(gy, self.labels.shape, self.reduction)
        g = xp.expand_dims(xp.broadcast_to(g, self.labels.shape), -1) * self.factor
        gx = g * (self.excess > 0) if self.p == 1 else weighted(2 * g, self.excess)
        xp.put_along_axis(gx, self.label, -total(gx, (-1,), keepdims=True), -1)
        return gx


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Multi-class hinge loss: each other class costs by how much it comes within a margin.

    loss = w[label] / C * sum_{c != label} max(0, margin - x[label] + x[c])^p

    Weston and Watkins 1999, "Support vector machines for multi-class pattern recognition".

    C times the loss of a (B, B) matrix of scores between B pictures and their B captions, with
    labels 0 to B - 1, is the structured hinge of joint embeddings (Reed et al. 2016).

    Args:
        input: (N, C) or (C,), scores.
        target: (N,) or (), labels, integers from 0 to C - 1.
        p: 1 or 2.
        margin: by how much the label's score should win.
        weight: (C,) or None, a factor for each class, constant to the graph.
        reduction: "mean" (over samples), "sum" or "none".

    Returns:
        A 0-d tensor, or with "none" the shape of target.

    Raises:
        ArgumentError: a label is out of range, p is not 1 or 2, or there is no such reduction.
        ShapeError: the shapes do not fit.
        DtypeError: input is not floating point, or weight of another dtype, or labels no integers.

    >>> x = minidl.tensor([[2.0, 1.5, -3.0]])
    >>> minidl.nn.functional.multi_margin_loss(x, minidl.tensor([0]), reduction="sum") * 3
    tensor(0.5)
    """
    op = "multi_margin_loss"
    check_reduction(op, reduction)
    check_tensor(op, input=input)
    if input.data.ndim > 2:
        raise ShapeError(op, "input is (N, C) or (C,)", {"input": input})
    check_labels(op, input, target, weight, ignore_index=None)
    if not is_int(p) or p not in (1, 2):
        raise ArgumentError(op, "p is 1 or 2", {"p": p})
    if not is_number(margin):
        raise DtypeError(op, "margin is a number", {"margin": margin})
    weights = None if weight is None else weight.data
    return MultiMarginLoss(target.data, int(p), float(margin), weights, reduction).apply(input)
