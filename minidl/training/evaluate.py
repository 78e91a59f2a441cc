"""Evaluation: the loss and the metrics of a model on batches, without learning from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from minidl.checks import check_ordered
from minidl.errors import ArgumentError
from minidl.function import no_grad
from minidl.nn.evaluating import evaluating
from minidl.nn.module import Module
from minidl.tensor import Tensor
from minidl.training.batch import call_model, count_examples, split_batch, weigh
from minidl.training.checks import check_function, check_loss, check_model
from minidl.training.metrics import Metric, check_metrics
from minidl.training.totals import Totals


def evaluate(
    model: Module,
    loader: Iterable,
    loss: Callable[[Any, Any], Tensor] | None = None,
    metrics: dict[str, Callable[[Any, Any], Any] | Metric] | None = None,
    weight: Callable[[Any, Any], float] | None = None,
) -> dict[str, float]:
    """Mean loss and metrics of a model, in evaluation mode and without recording a graph.

    Each module's training flag is as before afterwards.

    Args:
        model: the Module.
        loader: gives batches (inputs, targets), as for minidl.fit.
        loss: (outputs, targets) -> scalar Tensor, the mean over the batch; None for metrics only.
        metrics: as for minidl.fit: by default accuracy, where targets are class numbers.
        weight: as for minidl.fit: by default a batch counts its examples.

    Returns:
        {"loss": ..., "accuracy": ...}: the loss, if one is given, and the metrics.

    Raises:
        ArgumentError: an argument is not what it should be, the loader is empty or gives
            something else than pairs, or the loss is not one number.

    >>> identity = minidl.nn.Module(); identity.forward = lambda x: x
    >>> x = minidl.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> minidl.evaluate(identity, [(x, minidl.tensor([1, 1]))])
    {'accuracy': 0.5}
    """
    check_model("evaluate", model)
    if not isinstance(loader, Iterable):
        raise ArgumentError("evaluate", "loader can be iterated", {"loader": loader})
    check_ordered("evaluate", "batches", loader)
    if loss is not None:
        check_function("evaluate", "loss", loss, "(outputs, targets)")
    if weight is not None:
        check_function("evaluate", "weight", weight, "(inputs, targets)")
    totals = Totals(check_metrics("evaluate", metrics), "evaluate")
    evaluate_into("evaluate", totals, model, loader, loss, weight)
    return totals.compute()


def evaluate_into(
    op: str,
    totals: Totals,
    model: Module,
    loader: Iterable,
    loss: Callable | None,
    weight: Callable | None = None,
    after_batch: Callable | None = None,
) -> None:
    """Add every batch of the loader to totals, calling after_batch after each."""
    with evaluating(model), no_grad():
        for batch in loader:
            inputs, targets = split_batch(op, batch)
            count = count_examples(op, inputs, targets)
            counts = weigh(op, weight, count, inputs, targets)
            outputs = call_model(model, inputs)
            totals.count += count
            if loss is not None:
                value = check_loss(op, loss(outputs, targets)).item()
                totals.add_values({"loss": value}, counts)
            totals.measure(outputs, targets, counts)
            if after_batch is not None:
                after_batch()
    if totals.count == 0:
        name = "validation" if op == "fit" else "loader"
        raise ArgumentError(op, f"{name} gave no batch", {name: loader})
