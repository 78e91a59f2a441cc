"""The training loop, and what a run consists of.

`fit` is the loop of every textbook, with the moments named at which callbacks look on. All that a
run remembers is in `Run`; its state_dict, together with model and optimizer, is what a
checkpoint holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from minidl import random
from minidl.callbacks.callback import Callback
from minidl.errors import ArgumentError, CheckpointError
from minidl.function import no_grad
from minidl.nn.module import Module
from minidl.optim.optimizer import Optimizer
from minidl.tensor import Tensor


def fit(
    model: Module,
    loader: Iterable,
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    epochs: int = 1,
    validation: Iterable | None = None,
    callbacks: Iterable[Callback] = (),
    resume: str | Path | None = None,
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

    Args:
        model: the Module to train; left in training mode.
        loader: gives batches (x, labels) each time it is iterated: a minidl.data.DataLoader, or
            a list of such pairs.
        loss: (model(x), labels) -> scalar Tensor, the mean over the batch.
        optimizer: a minidl.optim.Optimizer that holds the model's parameters.
        epochs: how many passes in all, >= 0; a resumed run does what is left of them.
        validation: loader of held-out batches, evaluated after each epoch.
        callbacks: minidl.callbacks, see Callback for when they are called.
        resume: a checkpoint that callbacks.Checkpoint saved. The run goes on after the step at
            which it was saved and ends with the same weights, bit for bit, as if never stopped.

    Returns:
        The history: for each epoch a dict with epoch, step, loss, accuracy (where labels are
        class numbers), val_loss, val_accuracy, lr, seconds, images_per_second.

    Raises:
        ArgumentError: an argument is not what it should be, or the loader is empty.
        CheckpointError: `resume` is damaged or belongs to another model, optimizer or callbacks.

    >>> model, batches = minidl.nn.Linear(2, 1), [(minidl.ones(4, 2), minidl.zeros(4, 1))]
    >>> optimizer = minidl.optim.SGD(model.parameters(), lr=0.1)
    >>> history = minidl.fit(model, batches, minidl.nn.MSELoss(), optimizer, epochs=3)
    >>> history[2]["loss"] < history[0]["loss"]
    True
    """
    run = Run(model, loader, loss, optimizer, epochs, validation, callbacks)
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
                optimizer.zero_grad()
                run.y = model(x)
                run.loss = loss(run.y, labels)
                run.notify("on_loss")
                run.loss.backward()
                run.notify("on_gradients")
                optimizer.step()
                run.finish_step()
                run.notify("on_step_end")
            if validation is not None:
                run.validate()
            run.finish_epoch()
            run.notify("on_epoch_end")
    except BaseException as error:
        run.error = error
        raise
    finally:
        run.notify("on_fit_end")
    return run.history


class Run:
    """A training run in progress: what callbacks see.

    Attributes:
        model, loader, loss_function, optimizer, epochs, validation: the arguments of fit.
        epoch: number of the epoch in progress (or just finished), counted from 1.
        step: steps taken in all epochs together.
        batch: steps taken in this epoch.
        x, labels: the current batch.
        y: the model's output for it.
        loss: the loss Tensor of the batch; loss_value: the same as a float, after the step.
        totals: sums over this epoch so far, see Totals.
        metrics: of the last finished epoch; history: of all of them.
        stop: set it to end the run after this epoch.
        error: the exception that ended the run, for on_fit_end.
    """

    def __init__(self, model, loader, loss, optimizer, epochs, validation, callbacks):
        check_arguments(model, loader, loss, optimizer, epochs, validation)
        self.model, self.loader, self.optimizer = model, loader, optimizer
        self.loss_function, self.epochs, self.validation = loss, epochs, validation
        self.callbacks = sorted(check_callbacks(callbacks), key=lambda callback: callback.order)
        self.epoch = self.step = self.batch = 0
        self.x = self.labels = self.y = self.loss = self.loss_value = None
        self.totals, self.validation_totals = Totals(), Totals()
        self.metrics: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.stop = False
        self.error: BaseException | None = None
        self.random_state = random.get_state()
        self.loader_state = loader_state(loader)

    def notify(self, moment: str) -> None:
        """Call the method of that name of every callback."""
        for callback in self.callbacks:
            getattr(callback, moment)(self)

    # --- the parts of an epoch ------------------------------------------------------------------

    def start_epoch(self) -> None:
        self.epoch = len(self.history) + 1
        self.started = time.perf_counter() - self.totals.seconds

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of this epoch that are still to come."""
        batches = iter(self.loader)
        if self.batch and not hasattr(self.loader, "load_state_dict"):
            batches = islice(batches, self.batch, None)  # such a loader cannot seek: skip
        for batch in batches:
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                raise ArgumentError(
                    "fit", "the loader gives pairs (x, labels)", {"batch": type(batch).__name__}
                )
            yield batch

    def finish_step(self) -> None:
        """Count the step that was just taken. From here to the next step the run can be saved."""
        self.loss_value = self.loss.item()
        self.totals.add(self.loss_value, self.y, self.labels)
        self.totals.seconds = time.perf_counter() - self.started
        self.step += 1
        self.batch += 1
        self.remember_position()

    def validate(self) -> None:
        self.validation_totals = Totals()
        after = lambda totals: self.notify("on_validation_step_end")  # noqa: E731
        evaluate_into(
            self.validation_totals, self.model, self.validation, self.loss_function, after
        )

    def finish_epoch(self) -> None:
        """Put the epoch's metrics together and get ready for the next."""
        if self.batch == 0:
            raise ArgumentError("fit", "the loader gave no batch", {"loader": self.loader})
        totals = self.totals
        metrics = {"epoch": self.epoch, "step": self.step, **totals.metrics()}
        if self.validation is not None:
            validation = self.validation_totals.metrics()
            metrics |= {f"val_{name}": value for name, value in validation.items()}
        metrics["lr"] = self.optimizer.param_groups[0]["lr"]
        metrics["seconds"] = round(totals.seconds, 3)
        metrics["images_per_second"] = round(totals.count / max(totals.seconds, 1e-9), 1)
        self.metrics = metrics
        self.history.append(metrics)
        self.totals, self.batch = Totals(), 0
        self.remember_position()

    # --- saving and going on --------------------------------------------------------------------

    def remember_position(self) -> None:
        """Where to go on from. Taken between steps, so a save during validation is right, too."""
        self.random_state = random.get_state()
        self.loader_state = loader_state(self.loader)

    def state_dict(self) -> dict[str, Any]:
        """Everything but model and optimizer, as JSON values and Tensors."""
        return {
            "epochs_finished": len(self.history),
            "step": self.step,
            "batch": self.batch,
            "totals": vars(self.totals).copy(),
            "history": self.history,
            "stop": self.stop,
            "random": self.random_state,
            "loader": self.loader_state,
            "callbacks": {
                name: state
                for name, callback in named_callbacks(self.callbacks)
                if (state := callback.state_dict())
            },
        }

    def resume(self, path: str | Path) -> None:
        """Go on where a checkpoint was saved.

        Raises:
            CheckpointError: it is damaged, or of another model, optimizer or set of callbacks.
        """
        from minidl.io.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(path)
        if checkpoint.optimizer is None or "epochs_finished" not in checkpoint.run:
            raise CheckpointError(
                "fit", "the file holds no state of a run to go on from", {"resume": str(path)},
                "callbacks.Checkpoint writes checkpoint.safetensors for this",
            )  # fmt: skip
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        try:
            self.load_state_dict(checkpoint.run)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                "fit", f"the state of the run cannot be used: {error!r}", {"resume": str(path)}
            ) from error

    def load_state_dict(self, state: dict[str, Any]) -> None:
        callbacks = dict(named_callbacks(self.callbacks))
        for name in state["callbacks"]:
            if name not in callbacks:
                raise CheckpointError(
                    "fit",
                    f"the checkpoint holds the state of a callback {name}, which this run has not",
                    {"callbacks": list(callbacks)},
                    "resume with the callbacks of the run that saved it",
                )
        for name, saved in state["callbacks"].items():
            callbacks[name].load_state_dict(saved)
        self.step, self.batch = int(state["step"]), int(state["batch"])
        self.history, self.stop = list(state["history"]), bool(state["stop"])
        self.metrics = self.history[-1] if self.history else {}
        self.epoch = len(self.history)
        self.totals = Totals(**state["totals"])
        if hasattr(self.loader, "load_state_dict"):
            self.loader.load_state_dict(state["loader"])
        random.set_state(state["random"])
        self.remember_position()


class Totals:
    """Sums over batches, from which the means of an epoch come.

    Attributes:
        loss: sum of the loss over examples.
        correct: examples whose largest output is at their label, None if labels are no classes.
        count: examples.
        seconds: time since the epoch began, without interruptions.
    """

    def __init__(self, loss=0.0, correct=0, count=0, seconds=0.0):
        self.loss, self.correct, self.count, self.seconds = loss, correct, count, seconds

    def add(self, loss: float | None, y: Tensor, labels: Tensor) -> None:
        """Add one batch, whose mean loss is `loss` (None where there is no loss)."""
        n = len(labels)
        self.count += n
        self.loss = None if loss is None else self.loss + loss * n
        if self.correct is not None and is_classification(y, labels):
            self.correct += int((y.data.argmax(1) == labels.data).sum())
        else:
            self.correct = None

    def metrics(self) -> dict[str, float]:
        """Mean loss and accuracy, as far as they are known."""
        n = max(self.count, 1)
        found = {} if self.loss is None else {"loss": self.loss / n}
        return found if self.correct is None else found | {"accuracy": self.correct / n}


def is_classification(y: Any, labels: Any) -> bool:
    """Whether y is (N, classes) and labels are N class numbers."""
    return (
        isinstance(y, Tensor)
        and y.data.ndim == 2
        and y.data.shape[1] > 0
        and labels.data.dtype.kind in "iu"
        and labels.data.shape == y.data.shape[:1]
    )


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
        ArgumentError: the loader gave no batch.

    >>> identity = minidl.nn.Module(); identity.forward = lambda x: x
    >>> x = minidl.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> minidl.evaluate(identity, [(x, minidl.tensor([1, 1]))])
    {'accuracy': 0.5}
    """
    check_model("evaluate", model)
    totals = Totals()
    evaluate_into(totals, model, loader, loss)
    if totals.count == 0:
        raise ArgumentError("evaluate", "the loader gave no example", {"loader": loader})
    return totals.metrics()


def evaluate_into(totals, model, loader, loss, after_batch: Callable | None = None) -> None:
    """Add every batch of the loader to totals, calling after_batch(totals) in between."""
    training = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            for x, labels in loader:
                y = model(x)
                totals.add(None if loss is None else loss(y, labels).item(), y, labels)
                if after_batch is not None:
                    after_batch(totals)
    finally:
        for module, mode in training:
            module.__dict__["training"] = mode


def loader_state(loader: Any) -> dict[str, Any]:
    return loader.state_dict() if hasattr(loader, "state_dict") else {}


def named_callbacks(callbacks: list[Callback]) -> Iterator[tuple[str, Callback]]:
    """Class name and callback; a second one of the same class is Name2, and so on."""
    seen: dict[str, int] = {}
    for callback in callbacks:
        name = type(callback).__name__
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}{seen[name]}"), callback


# --- checks -------------------------------------------------------------------------------------


def check_model(op: str, model: Any) -> None:
    if not isinstance(model, Module):
        hint = "make an instance of it: Model()" if isinstance(model, type) else ""
        raise ArgumentError(op, "model is a minidl.nn.Module", {"model": model}, hint)


def check_arguments(model, loader, loss, optimizer, epochs, validation) -> None:
    check_model("fit", model)
    for name, value in (("loader", loader), ("validation", validation)):
        if value is not None and (not hasattr(value, "__iter__") or hasattr(value, "__next__")):
            raise ArgumentError(
                "fit",
                f"{name} is something that can be iterated once per epoch",
                {name: type(value).__name__},
                "a minidl.data.DataLoader, or a list of (x, labels) pairs",
            )
    if not callable(loss) or isinstance(loss, type):
        hint = "make an instance of it: Loss()" if isinstance(loss, type) else ""
        raise ArgumentError("fit", "loss is called with (y, labels)", {"loss": loss}, hint)
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            "fit", "optimizer is a minidl.optim.Optimizer", {"optimizer": optimizer},
            "minidl.optim.SGD(model.parameters(), lr=0.1), say",
        )  # fmt: skip
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 0:
        raise ArgumentError("fit", "epochs is an int >= 0", {"epochs": epochs})


def check_callbacks(callbacks: Any) -> list[Callback]:
    callbacks = [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            hint = "make an instance of it: add ()" if isinstance(callback, type) else ""
            raise ArgumentError(
                "fit", "callbacks are minidl.callbacks.Callback instances",
                {"callback": callback}, hint,
            )  # fmt: skip
    return callbacks
