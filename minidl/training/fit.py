"""The training loop, and evaluation.

`fit` is the loop of every textbook, with the moments named at which callbacks look on. All that a
run remembers is in minidl/training/run.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidl.errors import ArgumentError
from minidl.function import no_grad
from minidl.nn.module import Module
from minidl.optim.optimizer import Optimizer
from minidl.tensor import Tensor
from minidl.training.run import Run, Totals, check_batch

if TYPE_CHECKING:
    from minidl.training.callbacks import Callback


def fit(
    model: Module,
    loader: Iterable,
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    epochs: int = 1,
    validation: Iterable | None = None,
    callbacks: Iterable[Callback] = (),
    resume: str | Path | None = None,
    accumulate: int = 1,
    validation_loss: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train a model: epochs passes over the loader's batches.

    It is this loop, and you lose nothing by writing it yourself where it does not fit:

        for epoch in range(epochs):
            model.train()
            for x, labels in loader:
                optimizer.zero_grad()
                value = loss(model(x), labels)
                value.backward()
                optimizer.step()

    accumulate=k takes a step after every k batches, with the gradient of all their examples
    together: that of one batch k times as large, which may not fit into memory. Only batch norm
    sees the difference, and a loss that weighs classes: each batch has its own mean.

    Training goes on after a loss of NaN, which soon makes all weights NaN, unless
    callbacks.StopOnNaN() is among the callbacks.

    Args:
        model: the Module to train; left in training mode.
        loader: gives batches (x, labels) each time it is iterated: a minidl.data.DataLoader, or
            a list of such pairs.
        loss: (model(x), labels) -> scalar Tensor, the mean over the batch. Where the model returns
            a tuple, as networks with auxiliary heads do, accuracy is that of its first element.
        optimizer: a minidl.optim.Optimizer that holds the model's parameters.
        epochs: how many passes in all, >= 0; a resumed run does what is left of them.
        validation: loader of held-out batches, evaluated after each epoch.
        callbacks: minidl.callbacks, see Callback for when they are called.
        resume: a checkpoint that callbacks.Checkpoint saved. The run goes on after the step at
            which it was saved and ends with the same weights, bit for bit, as if never stopped.
        accumulate: batches per step, an int >= 1; the last step of an epoch may have fewer.
        validation_loss: what val_loss is of, where `loss` contains more than one wants to compare
            (label smoothing, class weights, auxiliary heads); None for `loss`.

    Returns:
        The history: for each epoch a dict with epoch, step, loss, accuracy (where labels are
        class numbers), val_loss, val_accuracy, lr (of its last step), seconds,
            images_per_second.

    Raises:
        ArgumentError: an argument is not what it should be, a loader is empty or gives something
            else than pairs, or the loss is not one number.
        CheckpointError: `resume` is damaged or belongs to another model, optimizer or callbacks.

    >>> model, batches = minidl.nn.Linear(2, 1), [(minidl.ones(4, 2), minidl.zeros(4, 1))]
    >>> optimizer = minidl.optim.SGD(model.parameters(), lr=0.1)
    >>> history = minidl.fit(model, batches, minidl.nn.MSELoss(), optimizer, epochs=3)
    >>> history[2]["loss"] < history[0]["loss"]
    True
    """
    check_arguments(model, loader, loss, optimizer, epochs, validation)
    check_accumulate(accumulate, loader)
    if validation_loss is None:
        validation_loss = loss
    check_loss_function("fit", validation_loss, "validation_loss")
    run = Run(model, loader, loss, optimizer, epochs, validation, callbacks, accumulate)
    if resume is not None:
        run.resume(resume)
    try:
        run.notify("on_fit_start")
        while len(run.history) < epochs and not run.stop:
            model.train()
            run.start_epoch()
            run.notify("on_epoch_start")
            for x, labels in run.batches():
                run.x, run.labels = x, labels
                run.notify("on_step_start")
                if run.starts_step():
                    optimizer.zero_grad()
                run.y = model(x)
                run.loss = check_loss("fit", loss(run.y, labels))
                run.notify("on_loss")
                run.backward()
                if not run.step_is_due():
                    continue  # gradients of the next batch add to these
                run.notify("on_gradients")
                optimizer.step()
                run.finish_step()
                run.notify("on_step_end")
            if validation is not None:
                totals = run.start_validation()
                evaluate_into(
                    "fit", totals, model, validation, validation_loss, run.finish_validation_step
                )
            run.finish_epoch()
            run.notify("on_epoch_end")
    except BaseException as error:
        run.error = error
        raise
    finally:
        run.end()
    return run.history


def evaluate(
    model: Module, loader: Iterable, loss: Callable[[Tensor, Tensor], Tensor] | None = None
) -> dict[str, float]:
    """Mean loss and accuracy of a model, in evaluation mode and without recording a graph.

    Each module's training flag is as before afterwards.

    Args:
        model: the Module.
        loader: gives batches (x, labels).
        loss: (model(x), labels) -> scalar Tensor, the mean over the batch; None for accuracy only.

    Returns:
        {"loss": ..., "accuracy": ...}; no accuracy where labels are not class numbers.

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
    if loss is not None:
        check_loss_function("evaluate", loss)
    totals = Totals()
    evaluate_into("evaluate", totals, model, loader, loss)
    return totals.metrics()


def evaluate_into(
    op: str, totals: Totals, model, loader, loss, after_batch: Callable | None = None
) -> None:
    """Add every batch of the loader to totals, calling after_batch after each."""
    training = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            for batch in loader:
                x, labels = check_batch(op, batch)
                y = model(x)
                value = None if loss is None else check_loss(op, loss(y, labels)).item()
                totals.add(value, y, labels)
                if after_batch is not None:
                    after_batch()
    finally:
        for module, mode in training:
            module.training = mode
    if totals.count == 0:
        name = "validation" if op == "fit" else "loader"
        raise ArgumentError(op, f"{name} gave no batch", {name: loader})


# --- checks -------------------------------------------------------------------------------------


def check_model(op: str, model: Any) -> None:
    if not isinstance(model, Module):
        hint = "make an instance of it: Model()" if isinstance(model, type) else ""
        raise ArgumentError(op, "model is a minidl.nn.Module", {"model": model}, hint)


def check_loss_function(op: str, loss: Any, name: str = "loss") -> None:
    if not callable(loss) or isinstance(loss, type):
        hint = "make an instance of it: Loss()" if isinstance(loss, type) else ""
        raise ArgumentError(op, f"{name} is called with (y, labels)", {name: loss}, hint)


def check_loss(op: str, value: Any) -> Tensor:
    """What the loss function returned, if it is a Tensor with one element."""
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


def check_arguments(model, loader, loss, optimizer, epochs, validation) -> None:
    check_model("fit", model)
    for name, value in (("loader", loader), ("validation", validation)):
        if value is None and name == "validation":
            continue
        if not isinstance(value, Iterable) or isinstance(value, Iterator):
            raise ArgumentError(
                "fit",
                f"{name} is something that can be iterated once per epoch",
                {name: type(value).__name__},
                "a minidl.data.DataLoader, or a list of (x, labels) pairs",
            )
        if hasattr(value, "__len__") and len(value) == 0:
            raise ArgumentError("fit", f"{name} is empty", {name: value})
    check_loss_function("fit", loss)
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            "fit", "optimizer is a minidl.optim.Optimizer", {"optimizer": optimizer},
            "minidl.optim.SGD(model.parameters(), lr=0.1), say",
        )  # fmt: skip
    trained = {p for group in optimizer.param_groups for p in group["params"]}
    if trained.isdisjoint(model.parameters()):
        raise ArgumentError(
            "fit", "the optimizer holds no parameter of the model", {"optimizer": optimizer.name},
            "make it with this model's parameters()",
        )  # fmt: skip
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 0:
        raise ArgumentError("fit", "epochs is an int >= 0", {"epochs": epochs})


def check_accumulate(accumulate: Any, loader: Any) -> None:
    if not isinstance(accumulate, int) or isinstance(accumulate, bool) or accumulate < 1:
        raise ArgumentError("fit", "accumulate is an int >= 1", {"accumulate": accumulate})
    if accumulate > 1 and not hasattr(loader, "__len__"):
        raise ArgumentError(
            "fit", "to accumulate, the loader must say how many batches it has",
            {"accumulate": accumulate, "loader": type(loader).__name__}, "define its __len__",
        )  # fmt: skip
