"""Class labels as targets of a loss: what cross_entropy, nll_loss and multi_margin_loss check.

Scores have the classes in dimension 1, (N, C) or (N, C, d1, ...), or are one sample (C,). The
labels have the same shape without that dimension. Losses work on rows: `to_rows` makes a
(P, C) matrix of the scores, P = N d1 ... samples, each row one sample's scores. For activations
that lie channels-last in memory this is a view.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.kernels.sums import wide_total
from minidl.tensor import Tensor


def check_labels(op: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: Any):
    """Scores, labels and class weights fit each other, and every label is a class.

    Args:
        ignore_index: a label that is allowed although it is no class; None for none.

    Raises:
        ArgumentError: a label is out of range; names it, its position and the number of classes.
        DtypeError, ShapeError
    """
    check_scores(op, input, target, weight)
    if target.data.dtype.kind not in "iu":
        raise DtypeError(
            op,
            "class labels are integers",
            {"input": input, "target": target},
            'convert with target.to("int64")',
        )
    axis = class_axis(input.data)
    expected = input.data.shape[:axis] + input.data.shape[axis + 1 :]
    if target.data.shape != expected:
        raise ShapeError(
            op,
            f"target has the shape of input without its class dimension, {expected}",
            {"input": input, "target": target},
        )
    labels, n_classes = target.data, input.data.shape[axis]
    if labels.size and (labels.min() < 0 or labels.max() >= n_classes):
        check_range(op, labels, n_classes, ignore_index)


def check_scores(op: str, input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """input is floating point with a class dimension; weight has one value per class."""
    check_tensor(op, input=input, target=target, weight=weight)
    check_floating(op, input=input, weight=weight)
    if input.data.ndim == 0 or input.data.shape[class_axis(input.data)] == 0:
        raise ShapeError(
            op, "input is (N, C), (N, C, d1, ...) or (C,) with at least one class", {"input": input}
        )
    n_classes = input.data.shape[class_axis(input.data)]
    if weight is not None and weight.data.shape != (n_classes,):
        raise ShapeError(
            op, f"weight has one value per class, {n_classes}", {"input": input, "weight": weight}
        )


def check_ignore_index(op: str, ignore_index: int) -> int:
    if not isinstance(ignore_index, int | np.integer):
        raise DtypeError(op, "ignore_index is an int", {"ignore_index": ignore_index})
    return int(ignore_index)


def check_range(op: str, labels: Any, n_classes: int, ignore_index: int | None) -> None:
    """Find the first label that is neither a class nor ignore_index."""
    wrong = (labels < 0) | (labels >= n_classes)
    if ignore_index is not None:
        wrong &= labels != ignore_index
    if not wrong.any():
        return
    first = np.unravel_index(int(wrong.argmax()), labels.shape)
    position = tuple(int(i) for i in first)
    label = int(labels[first])
    received = {"label": label, "at": position, "classes": n_classes}
    if ignore_index is not None:
        received["ignore_index"] = ignore_index
    raise ArgumentError(
        op,
        f"the label {label} at target{list(position)} is not one of the {n_classes} classes,"
        f" 0 to {n_classes - 1}",
        received,
        "labels count from 0" if label == n_classes and not (labels == 0).any() else "",
    )


def total_weight(labels: Any, weight: Any, ignore_index: int) -> Any:
    """What the mean divides by: the weights (1 where there are none) of the labels that count."""
    kept = labels[labels != ignore_index]
    return kept.size if weight is None else wide_total(weight[kept], (0,))


def class_axis(array: Any) -> int:
    """The dimension of the classes: 1, or 0 for a single sample (C,)."""
    return min(1, array.ndim - 1)


def to_rows(x: Any) -> Any:
    """Scores (N, C, d1, ...) as contiguous rows (P, C)."""
    xp = array_module(x)
    if x.ndim > 2:
        x = xp.moveaxis(x, 1, -1)
    return xp.ascontiguousarray(x).reshape(-1, x.shape[-1])


def from_rows(rows: Any, shape: tuple) -> Any:
    """Rows (P, C) as scores of `shape` again: a view, channels last in memory."""
    if len(shape) <= 2:
        return rows.reshape(shape)
    rows = rows.reshape(shape[0], *shape[2:], shape[1])
    return array_module(rows).moveaxis(rows, -1, 1)
