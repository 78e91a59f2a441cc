"""Cross-entropy of two classes from one score x each, sigmoid included.

    s    = 1 / (1 + e^-x)
    loss = -w (p t log s + (1 - t) log(1 - s))          p the weight of positives
    gx   = g w (s (1 + (p - 1) t) - p t)                = g (s - t) for w = p = 1
    gt   = g w (log(1 - s) - p log s)

The logarithms are computed from x, never from an s that has rounded to 0 or 1:

    -log s       = log(1 + e^-x) = max(-x, 0) + log(1 + e^-|x|)
    -log(1 - s)  = log(1 + e^x)  = max(x, 0)  + log(1 + e^-|x|)

At x = -inf and inf one of them is infinite. Where its factor is 0, it does not count: a score that
is infinitely sure and right costs nothing. (PyTorch's loss there is NaN.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, ShapeError
from minidl.function import Function
from minidl.kernels.weighting import weighted
from minidl.ops.loss_reduction import check_reduction, check_same_shape, reduce, spread
from minidl.ops.receptive_field import UNKNOWN
from minidl.ops.sigmoid import stable_sigmoid
from minidl.tensor import Tensor


class BinaryCrossEntropyWithLogits(Function):
    """weight and pos_weight are arrays or the number 1, constants to the graph."""

    receptive_field = UNKNOWN

    def __init__(self, weight, pos_weight, reduction):
        self.weight, self.pos_weight, self.reduction = weight, pos_weight, reduction

    def forward(self, x, t):
        self.x, self.t = x, t
        of_yes, of_no = surprises(x)
        losses = weighted(self.pos_weight * t, of_yes) + weighted(1 - t, of_no)
        return reduce(weighted(self.weight, losses), self.reduction)

    def backward(self, gy):
        x, t, p = self.x, self.t, self.pos_weight
        g = spread(gy, x.shape, self.reduction) * self.weight
        gx = gt = None
        if self.needs_grad[0]:
            gx = g * (stable_sigmoid(x) * (1 + (p - 1) * t) - p * t)
        if self.needs_grad[1]:
            of_yes, of_no = surprises(x)
            gt = weighted(g, weighted(p, of_yes) - of_no)
        return gx, gt


def surprises(x):
    """-log s and -log(1 - s)."""
    xp = array_module(x)
    both = xp.log1p(xp.exp(-xp.abs(x)))
    return xp.maximum(-x, 0) + both, xp.maximum(x, 0) + both


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Loss of one score per yes-or-no question against the probability of yes.

    loss = -w (p t log s + (1 - t) log(1 - s)),  s = 1 / (1 + e^-x)

    An infinite score that is right, and whatever weighs nothing, costs 0 (in PyTorch, NaN).

    Goodfellow et al. 2016, "Deep Learning", section 6.2.2.2, on why sigmoid and logarithm belong
    together.

    Args:
        input: floating point, any shape: scores before sigmoid.
        target: the same shape and dtype, from 0 to 1; gets a gradient, too, if it requires one.
        weight: w, broadcast to the shape of input, or None; constant to the graph.
        reduction: "mean" (over all elements), "sum" or "none".
        pos_weight: p, broadcast to the shape of input, or None: above 1 it makes missed positives
            dearer; constant to the graph.

    Returns:
        A 0-d tensor, or with "none" the shape of input.

    Raises:
        ShapeError: the shapes of input and target differ, or a weight does not broadcast.
        ArgumentError: a target is outside of 0 to 1, or there is no such reduction.
        DtypeError: not floating point, or of different dtypes.

    >>> x, t = minidl.tensor([0.0, 1000.0]), minidl.tensor([1.0, 0.0])
    >>> minidl.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="none")
    tensor([6.9315e-01, 1.0000e+03])
    """
    op = "binary_cross_entropy_with_logits"
    check_reduction(op, reduction)
    check_same_shape(op, input, target)
    check_tensor(op, weight=weight, pos_weight=pos_weight)
    check_floating(op, input=input, weight=weight, pos_weight=pos_weight)
    if target.data.size and (target.data.min() < 0 or target.data.max() > 1):
        raise ArgumentError(
            op,
            "targets are probabilities, from 0 to 1",
            {"smallest": float(target.data.min()), "largest": float(target.data.max())},
        )
    w = factor(op, "weight", weight, input)
    p = factor(op, "pos_weight", pos_weight, input)
    return BinaryCrossEntropyWithLogits(w, p, reduction).apply(input, target)


def factor(op: str, name: str, weight: Tensor | None, input: Tensor) -> Any:
    """A weight as an array that broadcasts to the input, or 1."""
    if weight is None:
        return 1
    try:
        fits = np.broadcast_shapes(weight.data.shape, input.data.shape) == input.data.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            op, f"{name} broadcasts to the shape of input", {"input": input, name: weight}
        )
    return weight.data
