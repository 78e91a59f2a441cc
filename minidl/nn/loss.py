"""Losses as modules. Formulas and sources are in minidl/ops under the functions' names."""

from __future__ import annotations

from minidl.nn.module import Module
from minidl.ops.cross_entropy import cross_entropy
from minidl.tensor import Tensor


class CrossEntropyLoss(Module):
    """Scores against labels, softmax included; see minidl.nn.functional.cross_entropy.

    Args:
        weight: (C,) or None, a factor for each class; a buffer of the module.
        ignore_index: a label whose samples count nothing.
        reduction: "mean", "sum" or "none".
        label_smoothing: from 0 to 1, the share of the target spread over all classes.

    Shapes: (N, C, ...), labels (N, ...) -> scalar.

    >>> loss = minidl.nn.CrossEntropyLoss()
    >>> loss(minidl.zeros(1, 2), minidl.tensor([1]))
    tensor(0.6931472)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )
