"""Losses of class scores."""

from __future__ import annotations

from typing import Any

from minidl import ops
from minidl.io.onnx.node import Node
from minidl.nn import functional as F
from minidl.tensor import Tensor


def options(node: Node) -> dict[str, Any]:
    """The reduction and which label is ignored; minidl's default is a label that none has."""
    reduction = node.choice("reduction", "mean", ("mean", "sum", "none"))
    return {"reduction": reduction, "ignore_index": node.get("ignore_index", -100)}


def nll_loss(node: Node, x: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    return F.nll_loss(x, target, weight, **options(node))


def softmax_cross_entropy(
    node: Node, x: Tensor, target: Tensor, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The loss, and the logarithms of the probabilities."""
    return F.cross_entropy(x, target, weight, **options(node)), ops.log_softmax(x, 1)


IMPORTERS = {
    "NegativeLogLikelihoodLoss": nll_loss, "SoftmaxCrossEntropyLoss": softmax_cross_entropy,
}  # fmt: skip
