"""Negative log-likelihood: picks the log-probability of the label.

    loss[n] = -w[label n] x[n, label n]           0 where the label is ignored
    gx[n,c] = -g[n] w[c] [c = label n]            g the gradient of the sample's loss

The mean divides by the sum of the weights w[label] of the samples not ignored. Where that is 0
(all are ignored, or their classes weigh nothing) it is NaN, and so is gx at their labels; ignored
samples have gx = 0 in any case. All as in PyTorch. An infinite x of a class that weighs nothing
costs nothing (in PyTorch NaN). nll_loss(log_softmax(x)) is cross_entropy(x).
"""

from __future__ import annotations

from minidl.device import array_module
from minidl.function import Function
from minidl.kernels.weighting import weighted
from minidl.ops.class_targets import check_ignore_index, check_labels, class_axis, total_weight
from minidl.ops.loss_reduction import check_reduction, reduce, spread
from minidl.ops.receptive_field import UNKNOWN
from minidl.tensor import Tensor


class NLLLoss(Function):
    """labels and weight are arrays, constants to the graph."""

    receptive_field = UNKNOWN

    def __init__(self, labels, weight, ignore_index, reduction):
        self.labels, self.weight = labels, weight
        self.ignore_index, self.reduction = ignore_index, reduction

    def forward(self, x):
        xp, axis = array_module(x), class_axis(x)
        kept = self.labels != self.ignore_index
        label = xp.where(kept, self.labels, 0)
        picked = xp.take_along_axis(x, xp.expand_dims(label, axis), axis).squeeze(axis)
        factor = xp.ones(label.shape, x.dtype) if self.weight is None else self.weight[label]
        losses = xp.where(kept, weighted(-factor, picked), 0)
        self.denominator = None
        if self.reduction == "mean":
            self.denominator = total_weight(self.labels, self.weight, self.ignore_index)
        if self.needs_grad[0]:
            self.x_shape, self.label, self.factor, self.kept = x.shape, label, factor, kept
        return reduce(losses, self.reduction, self.denominator)

    def backward(self, gy):
        xp, axis = array_module(gy), min(1, len(self.x_shape) - 1)
        g = spread(gy, self.label.shape, self.reduction, self.denominator)
        g = xp.where(self.kept, -g * self.factor, 0)  # an ignored sample gets 0, not 0 * NaN
        gx = xp.zeros(self.x_shape, gy.dtype)
        xp.put_along_axis(
            gx, xp.expand_dims(self.label, axis), xp.expand_dims(g, axis).astype(gy.dtype), axis
        )
        return gx


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Loss of log-probabilities against labels: loss = -w[label] x[label].

    Goodfellow et al. 2016, "Deep Learning", section 5.5.1.

    Args:
        input: (N, C), (N, C, d1, ...) or (C,), log-probabilities (from log_softmax).
        target: labels, integers from 0 to C - 1, with the shape of input without C.
        weight: (C,) or None, a factor for each class, constant to the graph.
        ignore_index: a label whose samples count nothing.
        reduction: "mean" (weighted by w[label]), "sum" or "none".

    Returns:
        A 0-d tensor, or with "none" the shape of target. The mean is NaN when the weights
        of the labels not ignored add up to 0: all are ignored, or their classes weigh nothing.

    Raises:
        ArgumentError: a label is out of range, or there is no such reduction.
        ShapeError: the shapes do not fit.
        DtypeError: input is not floating point, or weight of another dtype, or labels no integers.

    >>> log_p = minidl.tensor([[-0.5, -1.0]])
    >>> minidl.nn.functional.nll_loss(log_p, minidl.tensor([1]))
    tensor(1.)
    """
    check_reduction("nll_loss", reduction)
    ignore_index = check_ignore_index("nll_loss", ignore_index)
    check_labels("nll_loss", input, target, weight, ignore_index)
    weights = None if weight is None else weight.data
    return NLLLoss(target.data, weights, ignore_index, reduction).apply(input)
