"""Losses as modules. Formulas and sources are in minidl/ops under the functions' names.

`reduction` is "mean", "sum" or "none" everywhere; class weights are buffers, so they move with
the module and are saved with it.
"""

from __future__ import annotations

from minidl.nn.module import Module
from minidl.ops.binary_cross_entropy_with_logits import binary_cross_entropy_with_logits
from minidl.ops.cross_entropy import cross_entropy
from minidl.ops.hinge_embedding_loss import hinge_embedding_loss
from minidl.ops.l1_loss import l1_loss
from minidl.ops.loss_reduction import check_reduction
from minidl.ops.mse_loss import mse_loss
from minidl.ops.multi_margin_loss import multi_margin_loss
from minidl.ops.nll_loss import nll_loss
from minidl.tensor import Tensor


class CrossEntropyLoss(Module):
    """Scores against labels, softmax included; see minidl.nn.functional.cross_entropy.

    Args:
        weight: (C,) or None, a factor for each class.
        ignore_index: a label whose samples count nothing.
        reduction: "mean", "sum" or "none".
        label_smoothing: from 0 to 1, the share of the target spread over all classes.

    Shapes: (N, C, ...) and labels (N, ...) or probabilities (N, C, ...) -> ().

    >>> minidl.nn.CrossEntropyLoss()(minidl.zeros(1, 2), minidl.tensor([1]))
    tensor(0.6931)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__()
        check_reduction("CrossEntropyLoss", reduction)
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(Module):
    """Log-probabilities against labels; see minidl.nn.functional.nll_loss.

    Args:
        weight: (C,) or None, a factor for each class.
        ignore_index: a label whose samples count nothing.
        reduction: "mean", "sum" or "none".

    Shapes: (N, C, ...) and labels (N, ...) -> ().

    >>> minidl.nn.NLLLoss()(minidl.tensor([[-0.5, -1.0]]), minidl.tensor([1]))
    tensor(1.)
    """

    def __init__(
        self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
    ):
        super().__init__()
        check_reduction("NLLLoss", reduction)
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class MSELoss(Module):
    """Mean squared error; see minidl.nn.functional.mse_loss.

    Args:
        reduction: "mean", "sum" or "none".

    Shapes: two of one shape -> ().

    >>> minidl.nn.MSELoss()(minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        check_reduction("MSELoss", reduction)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return mse_loss(input, target, self.reduction)


class L1Loss(Module):
    """Mean absolute error; see minidl.nn.functional.l1_loss.

    Args:
        reduction: "mean", "sum" or "none".

    Shapes: two of one shape -> ().

    >>> minidl.nn.L1Loss()(minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 4.0]))
    tensor(1.)
    """

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        check_reduction("L1Loss", reduction)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return l1_loss(input, target, self.reduction)


class BCEWithLogitsLoss(Module):
    """Scores of yes-or-no questions against probabilities of yes, sigmoid included; see
    minidl.nn.functional.binary_cross_entropy_with_logits.

    Args:
        weight: broadcast to the input, or None.
        reduction: "mean", "sum" or "none".
        pos_weight: weight of positives, broadcast to the input, or None.

    Shapes: two of one shape -> ().

    >>> minidl.nn.BCEWithLogitsLoss()(minidl.tensor([0.0]), minidl.tensor([1.0]))
    tensor(0.6931)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ):
        super().__init__()
        check_reduction("BCEWithLogitsLoss", reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )


class HingeEmbeddingLoss(Module):
    """Distances against 1 (together) and -1 (apart); see minidl.nn.functional.hinge_embedding_loss.

    Args:
        margin: how far apart -1 should be.
        reduction: "mean", "sum" or "none".

    Shapes: two of one shape -> ().

    >>> minidl.nn.HingeEmbeddingLoss()(minidl.tensor([0.25]), minidl.tensor([-1]))
    tensor(0.75)
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean"):
        super().__init__()
        check_reduction("HingeEmbeddingLoss", reduction)
        self.margin, self.reduction = margin, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return hinge_embedding_loss(input, target, self.margin, self.reduction)


class MultiMarginLoss(Module):
    """Multi-class hinge loss of scores; see minidl.nn.functional.multi_margin_loss.

    Args:
        p: 1 or 2.
        margin: by how much the label's score should win.
        weight: (C,) or None, a factor for each class.
        reduction: "mean", "sum" or "none".

    Shapes: (N, C) and labels (N,) -> ().

    >>> minidl.nn.MultiMarginLoss()(minidl.tensor([[2.0, 1.5]]), minidl.tensor([0]))
    tensor(0.25)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        reduction: str = "mean",
    ):
        super().__init__()
        check_reduction("MultiMarginLoss", reduction)
        self.register_buffer("weight", weight)
        self.p, self.margin, self.reduction = p, margin, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return multi_margin_loss(input, target, self.p, self.margin, self.weight, self.reduction)
