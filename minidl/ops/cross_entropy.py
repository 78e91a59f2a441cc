"""Cross-entropy of scores against labels or class probabilities, softmax included.

    p       = softmax(x)                                   over the C classes of a sample
    q[c]    = w[c] ((1 - s) [c = label] + s / C)           smoothed, weighted target
    loss    = -sum_c q[c] log p[c]
    gx[c]   = g (p[c] sum_k q[k] - q[c])                   g the gradient of this sample's loss

With s = 0 and w = 1 that is loss = -log p[label] and gx = g (p - onehot(label)). Class
probabilities t take the place of [c = label]; their gradient is gt[c] = -g w[c] (1 - s) log p[c].

Label smoothing s: Szegedy et al. 2016, section 7. As in PyTorch, the weight also multiplies the
smoothed part, and the mean over samples of labels divides by the sum of the weights w[label] of
those not ignored (so it is a weighted mean, NaN when all are ignored), but for probabilities by
the number of samples.

A score of -inf makes p = 0 and log p infinite. Where q = 0, that does not count: q log p = 0, its
limit (PyTorch's loss is NaN). So classes can be ruled out by a score of -inf. A row of nothing
but -inf, or with a score of inf, has no probabilities: NaN.

Fused, because softmax, logarithm and their gradients one by one would write an array of the
scores' size each, and because p - onehot needs no division by a p that may be 0.
"""

from __future__ import annotations

from minidl import kernels
from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.function import Function
from minidl.kernels.sums import total, total_in_range
from minidl.kernels.weighting import weighted
from minidl.ops.class_targets import (
    check_ignore_index,
    check_labels,
    check_scores,
    class_axis,
    from_rows,
    to_rows,
    total_weight,
)
from minidl.ops.loss_reduction import check_reduction, reduce, spread
from minidl.ops.receptive_field import UNKNOWN
from minidl.shapes import is_number
from minidl.tensor import Tensor


class CrossEntropy(Function):
    """Against labels. labels and weight are arrays, constants to the graph."""

    receptive_field = UNKNOWN

    def __init__(self, labels, weight, ignore_index, reduction, smoothing):
        self.labels, self.weight = labels, weight
        self.ignore_index, self.reduction, self.smoothing = ignore_index, reduction, smoothing

    def forward(self, x):
        xp = array_module(x)
        # The sum of the exponentials may be too large for a float16.
        rows = to_rows(x.astype(xp.float32) if x.dtype == xp.float16 else x)
        # A copy: the caller may write new labels before backward.
        labels = xp.array(self.labels.reshape(-1), dtype=xp.int64)
        weight = xp.ones(rows.shape[1], rows.dtype) if self.weight is None else self.weight
        weight = xp.ascontiguousarray(weight, rows.dtype)
        settings = (labels, weight, self.ignore_index, self.smoothing)
        losses, largest, log_sum = kernels.pick("cross_entropy", x).forward(rows, *settings)
        self.denominator = None
        if self.reduction == "mean":
            self.denominator = total_weight(labels, self.weight, self.ignore_index)
        if self.needs_grad[0]:
            self.saved, self.x_shape = (rows, *settings, largest, log_sum), x.shape
        losses = losses.astype(x.dtype, copy=False)
        return reduce(losses.reshape(self.labels.shape), self.reduction, self.denominator)

    def backward(self, gy):
        rows = self.saved[0]
        g = spread(gy, rows.shape[:1], self.reduction, self.denominator)
        g = array_module(gy).broadcast_to(g.reshape(-1), rows.shape[:1])
        gx = kernels.pick("cross_entropy", rows).backward(g, *self.saved)
        return from_rows(gx.astype(gy.dtype, copy=False), self.x_shape)


class SoftCrossEntropy(Function):
    """Against class probabilities, which get a gradient, too."""

    receptive_field = UNKNOWN

    def __init__(self, weight, reduction, smoothing):
        self.weight, self.reduction, self.smoothing = weight, reduction, smoothing

    def forward(self, x, t):
        xp = array_module(x)
        axis = self.axis = class_axis(x)
        n_classes = x.shape[axis]
        if self.weight is None:
            self.w = xp.ones((), x.dtype)
        else:
            self.w = self.weight.reshape((-1,) + (1,) * (x.ndim - axis - 1))
        self.q = self.w * ((1 - self.smoothing) * t + self.smoothing / n_classes)
        self.log_p = x - x.max(axis=axis, keepdims=True)
        self.log_p -= xp.log(total_in_range(xp.exp(self.log_p), (axis,), keepdims=True))
        return reduce(-total(weighted(self.q, self.log_p), (axis,)), self.reduction)

    def backward(self, gy):
        xp, axis = array_module(gy), self.axis
        samples = self.q.shape[:axis] + self.q.shape[axis + 1 :]
        g = spread(gy, samples, self.reduction)
        g = xp.expand_dims(xp.broadcast_to(g, samples), axis)
        gx = gt = None
        if self.needs_grad[0]:
            gx = g * (xp.exp(self.log_p) * total(self.q, (axis,), keepdims=True) - self.q)
        if self.needs_grad[1]:
            gt = weighted(-g * self.w * (1 - self.smoothing), self.log_p)
        return gx, gt


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Loss of class scores against labels or class probabilities: softmax, logarithm, target.

    loss = -sum_c q[c] log softmax(x)[c],  q[c] = w[c] ((1 - s) [c = label] + s / C)

    A class whose score is -inf costs nothing where its q is 0 (in PyTorch, NaN).

    Bridle 1990; label smoothing s: Szegedy et al. 2016, "Rethinking the Inception architecture for
    computer vision", section 7.

    Args:
        input: (N, C), (N, C, d1, ...) or (C,), scores before softmax.
        target: labels, integers from 0 to C - 1, with the shape of input without C; or class
            probabilities, floating point, with the shape of input.
        weight: (C,) or None, a factor for each class, constant to the graph.
        ignore_index: a label whose samples count nothing (labels only).
        reduction: "mean" (for labels weighted by w[label]), "sum" or "none".
        label_smoothing: s from 0 to 1, the share of the target spread over all classes.

    Returns:
        A 0-d tensor, or with "none" the shape of input without C. The mean is NaN when every
        label is ignored.

    Raises:
        ArgumentError: a label is out of range; reduction or label_smoothing is not as above.
        ShapeError: the shapes do not fit.
        DtypeError: the scores are not floating point, or weight or probabilities of another dtype.

    >>> x, labels = minidl.tensor([[0.0, 0.0], [9.0, 9.0]]), minidl.tensor([0, 1])
    >>> minidl.nn.functional.cross_entropy(x, labels)
    tensor(0.6931)
    """
    op = "cross_entropy"
    check_reduction(op, reduction)
    if not is_number(label_smoothing) or not 0 <= label_smoothing <= 1:
        raise ArgumentError(
            op, "label_smoothing is a number from 0 to 1", {"label_smoothing": label_smoothing}
        )
    smoothing = float(label_smoothing)
    check_tensor(op, input=input, target=target, weight=weight)
    weights = None if weight is None else weight.data
    if target.data.dtype.kind == "f":
        check_probabilities(op, input, target, weight)
        return SoftCrossEntropy(weights, reduction, smoothing).apply(input, target)
    ignore_index = check_ignore_index(op, ignore_index)
    check_labels(op, input, target, weight, ignore_index)
    return CrossEntropy(target.data, weights, ignore_index, reduction, smoothing).apply(input)


def check_probabilities(op: str, input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """A floating-point target is class probabilities of input's shape."""
    check_scores(op, input, target, weight)
    if target.data.shape != input.data.shape:
        if target.data.ndim == input.data.ndim - 1:
            raise DtypeError(
                op,
                "class labels are integers",
                {"input": input, "target": f"{target.shape} {target.dtype}"},
                'convert with target.to("int64")',
            )
        raise ShapeError(
            op,
            "a floating-point target holds class probabilities and has the shape of input",
            {"input": input, "target": target},
        )
    check_floating(op, input=input, target=target)
