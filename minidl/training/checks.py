"""Checks of the arguments of fit and evaluate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from minidl.checks import check_ordered
from minidl.errors import ArgumentError
from minidl.nn.module import Module
from minidl.optim.optimizer import Optimizer
from minidl.tensor import Tensor


def check_arguments(
    model: Any, loader: Any, optimizer: Any, epochs: Any, validation: Any, accumulate: Any,
    step: Any,
) -> None:  # fmt: skip
    """The arguments of fit but for its functions, metrics and callbacks."""
    check_model("fit", model)
    check_loader("loader", loader)
    if validation is not None:
        check_loader("validation", validation)
    check_optimizers(model, optimizer, step)
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 0:
        raise ArgumentError("fit", "epochs is an int >= 0", {"epochs": epochs})
    check_accumulate(accumulate, loader, step)


def check_model(op: str, model: Any) -> None:
    if not isinstance(model, Module):
        hint = "make an instance of it: Model()" if isinstance(model, type) else ""
        if isinstance(model, dict):
            hint = "put several networks into one: minidl.nn.ModuleDict(...)"
        raise ArgumentError(op, "model is a minidl.nn.Module", {"model": model}, hint)


def check_loader(name: str, loader: Any) -> None:
    if not isinstance(loader, Iterable) or isinstance(loader, Iterator):
        raise ArgumentError(
            "fit",
            f"{name} is something that can be iterated once per epoch",
            {name: type(loader).__name__},
            "a minidl.data.DataLoader, or a list of (inputs, targets) pairs",
        )
    check_ordered("fit", "batches", loader)
    if hasattr(loader, "__len__") and len(loader) == 0:
        raise ArgumentError("fit", f"{name} is empty", {name: loader})


def check_optimizers(model: Module, optimizer: Any, step: Any) -> None:
    several = isinstance(optimizer, dict) and step is not None
    if several and not optimizer:
        raise ArgumentError("fit", "there is an optimizer", {"optimizer": optimizer})
    for name, one in optimizer.items() if several else [(None, optimizer)]:
        if not isinstance(one, Optimizer):
            hint = "minidl.optim.SGD(model.parameters(), lr=0.1), say"
            if isinstance(one, dict):
                hint = "several optimizers need a step function: fit(..., step=function)"
            raise ArgumentError(
                "fit", "optimizer is a minidl.optim.Optimizer", {"optimizer": optimizer}, hint
            )
        if several and (not isinstance(name, str) or not name):
            raise ArgumentError("fit", "the name of an optimizer is text", {"name": name})
        trained = {p for group in one.param_groups for p in group["params"]}
        if trained.isdisjoint(model.parameters()):
            raise ArgumentError(
                "fit", "the optimizer holds no parameter of the model",
                {"optimizer": name or one.name}, "make it with this model's parameters()",
            )  # fmt: skip


def check_functions(loss: Any, validation_loss: Any, weight: Any, step: Any) -> None:
    optional = [
        ("validation_loss", validation_loss, "(outputs, targets)"),
        ("weight", weight, "(inputs, targets)"),
        ("step", step, "(run, inputs, targets)"),
    ]
    if loss is not None or step is None:
        check_function("fit", "loss", loss, "(outputs, targets)")
    for name, function, arguments in optional:
        if function is not None:
            check_function("fit", name, function, arguments)


def check_function(op: str, name: str, function: Any, arguments: str) -> None:
    if not callable(function) or isinstance(function, type):
        hint = "make an instance of it: Loss()" if isinstance(function, type) else ""
        raise ArgumentError(op, f"{name} is called with {arguments}", {name: function}, hint)


def check_accumulate(accumulate: Any, loader: Any, step: Any) -> None:
    if not isinstance(accumulate, int) or isinstance(accumulate, bool) or accumulate < 1:
        raise ArgumentError("fit", "accumulate is an int >= 1", {"accumulate": accumulate})
    if accumulate > 1 and step is not None:
        raise ArgumentError(
            "fit", "a step function decides itself when to step", {"accumulate": accumulate},
            "leave accumulate out",
        )  # fmt: skip
    if accumulate > 1 and not hasattr(loader, "__len__"):
        raise ArgumentError(
            "fit", "to accumulate, the loader must say how many batches it has",
            {"accumulate": accumulate, "loader": type(loader).__name__}, "define its __len__",
        )  # fmt: skip


def check_loss(op: str, value: Any) -> Tensor:
    """What a loss function returned, if it is a Tensor with one element."""
    if not isinstance(value, Tensor):
        raise ArgumentError(
            op, "loss returns a Tensor", {"returned": value},
            "compute it with Tensors from the model's output, so that backward can follow",
        )  # fmt: skip
    if value.data.size != 1:
        raise ArgumentError(
            op, "loss returns one number for a batch", {"returned": value},
            "take its .mean()",
        )  # fmt: skip
    return value
