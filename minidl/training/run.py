"""What a training run remembers, and what of it a checkpoint holds.

minidl.fit keeps one Run and shows it to the callbacks. Its state_dict is everything, besides model
and optimizer, that decides how the run goes on: where it is in the data, the random numbers, the
sums of the epoch in progress, the history, and what the callbacks remember.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidl import random
from minidl.errors import ArgumentError, CheckpointError
from minidl.tensor import Tensor

if TYPE_CHECKING:
    from minidl.training.callbacks import Callback


class Run:
    """A training run in progress: what callbacks see.

    Attributes:
        model, loader, loss_function, optimizer, epochs, validation: the arguments of fit.
        epoch: number of the epoch in progress (or just finished), counted from 1.
        step: steps taken in all epochs together.
        batch: batches used in this epoch; of accumulate batches each step is made.
        x, labels: the current batch.
        y: the model's output for it.
        loss: the loss Tensor of the batch; loss_value: after the step, the mean over its examples.
        lr: learning rate of the last step, which a schedule may have changed since.
        totals: sums over this epoch so far, see Totals.
        metrics: of the last finished epoch; history: of all of them.
        stop: set it to end the run after this epoch.
        error: the exception that ended the run, for on_fit_end.
    """

    def __init__(self, model, loader, loss, optimizer, epochs, validation, callbacks, accumulate=1):
        self.model, self.loader, self.optimizer = model, loader, optimizer
        self.loss_function, self.epochs, self.validation = loss, epochs, validation
        self.accumulate = accumulate
        self.callbacks = sorted(check_callbacks(callbacks), key=lambda callback: callback.order)
        self.epoch = self.step = self.batch = 0
        self.x = self.labels = self.y = self.loss = self.loss_value = None
        self.lr = optimizer.param_groups[0]["lr"]
        self.totals, self.validation_totals = Totals(), Totals()
        self.step_totals, self.step_batches = Totals(), 0  # of the step in progress
        self.metrics: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.stop = False
        self.error: BaseException | None = None
        self.remember_position()

    def notify(self, moment: str) -> None:
        """Call the method of that name of every callback."""
        for callback in self.callbacks:
            getattr(callback, moment)(self)

    def end(self) -> None:
        """Call on_fit_end of every callback, even if one fails. The run's first error counts."""
        failed = None
        for callback in self.callbacks:
            try:
                callback.on_fit_end(self)
            except BaseException as error:
                failed = failed or error
        if failed is not None and self.error is None:
            raise failed

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
            yield check_batch("fit", batch)

    def starts_step(self) -> bool:
        """Whether the current batch is the first one of its step."""
        return self.step_batches == 0

    def backward(self) -> None:
        """Compute the batch's gradients, and count it.

        Where a step has several batches, p.grad becomes the sum over their examples.
        """
        loss = self.loss if self.accumulate == 1 else self.loss * len(self.labels)
        loss.backward()
        for totals in (self.totals, self.step_totals):
            totals.add(self.loss.item(), self.y, self.labels)
        self.batch += 1
        self.step_batches += 1

    def step_is_due(self) -> bool:
        """Whether the batches so far make a step. If so, p.grad becomes the mean over examples."""
        if self.accumulate == 1:
            return True
        if self.step_batches < self.accumulate and self.batch < len(self.loader):
            return False
        for group in self.optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.data /= self.step_totals.count
        return True

    def finish_step(self) -> None:
        """Count the step that was just taken. From here to the next step the run can be saved."""
        self.loss_value = self.step_totals.metrics()["loss"]
        self.lr = self.optimizer.param_groups[0]["lr"]
        self.totals.seconds = time.perf_counter() - self.started
        self.step_totals, self.step_batches = Totals(), 0
        self.step += 1
        self.remember_position()

    def start_validation(self) -> Totals:
        self.validation_totals = Totals()
        return self.validation_totals

    def finish_validation_step(self) -> None:
        self.notify("on_validation_step_end")

    def finish_epoch(self) -> None:
        """Put the epoch's metrics together and get ready for the next."""
        if self.batch == 0:
            raise ArgumentError("fit", "loader gave no batch", {"loader": self.loader})
        if self.step_batches:
            raise ArgumentError(
                "fit", "loader gave fewer batches than its length",
                {"loader": self.loader, "len(loader)": len(self.loader), "batches": self.batch},
            )  # fmt: skip
        totals = self.totals
        metrics = {"epoch": self.epoch, "step": self.step, **totals.metrics()}
        if self.validation is not None:
            validation = self.validation_totals.metrics()
            metrics |= {f"val_{name}": value for name, value in validation.items()}
        metrics["lr"] = self.lr
        metrics["seconds"] = round(totals.seconds, 3)
        metrics["images_per_second"] = round(totals.count / max(totals.seconds, 1e-9), 1)
        self.metrics = metrics
        self.history.append(metrics)
        self.totals, self.batch = Totals(), 0
        self.remember_position()

    # --- saving and going on --------------------------------------------------------------------

    def remember_position(self) -> None:
        """Where to go on from. Taken between steps, so a save during validation is right, too."""
        self.position = {
            "random": random.get_state(),
            "loader": loader_state(self.loader),
            "validation": loader_state(self.validation),
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything but model and optimizer, as JSON values and Tensors."""
        return {
            "epochs_finished": len(self.history),
            "step": self.step,
            "batch": self.batch,
            "lr": self.lr,
            "totals": vars(self.totals).copy(),
            "history": self.history,
            "stop": self.stop,
            "position": self.position,
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
        except CheckpointError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            why, hint = getattr(error, "rule", repr(error)), getattr(error, "hint", "")
            raise CheckpointError(
                "fit", f"the state of the run cannot be used: {why}", {"resume": str(path)}, hint
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
        self.lr = float(state.get("lr", self.optimizer.param_groups[0]["lr"]))
        self.history = [dict(metrics) for metrics in state["history"]]
        self.stop = bool(state["stop"])
        self.metrics = self.history[-1] if self.history else {}
        self.epoch = len(self.history)
        self.totals = Totals(**state["totals"])
        position = state["position"]
        for name, loader in (("loader", self.loader), ("validation", self.validation)):
            if hasattr(loader, "load_state_dict") and position[name]:
                loader.load_state_dict(position[name])
        random.set_state(position["random"])
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
        """Add one batch, whose mean loss is `loss` (None where there is no loss).

        Of a tuple y, which networks with auxiliary heads give in training, the first counts.
        """
        if isinstance(y, tuple) and y:
            y = y[0]
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


def check_batch(op: str, batch: Any) -> tuple[Any, Tensor]:
    """The pair that a loader gave, if it is one."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        length = f" of {len(batch)}" if isinstance(batch, tuple | list) else ""
        raise ArgumentError(
            op, "the loader gives pairs (x, labels)", {"batch": type(batch).__name__ + length}
        )
    labels = batch[1]
    if not isinstance(labels, Tensor) or labels.data.ndim == 0 or len(labels) == 0:
        hint = "" if isinstance(labels, Tensor) else "wrap it: minidl.tensor(labels)"
        raise ArgumentError(
            op, "labels are a Tensor with a row for each of one or more examples",
            {"labels": labels}, hint,
        )  # fmt: skip
    return batch[0], labels


def loader_state(loader: Any) -> dict[str, Any]:
    return loader.state_dict() if hasattr(loader, "state_dict") else {}


def named_callbacks(callbacks: list[Callback]) -> Iterator[tuple[str, Callback]]:
    """Class name and callback; a second one of the same class is Name2, and so on."""
    seen: dict[str, int] = {}
    for callback in callbacks:
        name = type(callback).__name__
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}{seen[name]}"), callback


def check_callbacks(callbacks: Any) -> list[Callback]:
    from minidl.training.callbacks.callback import Callback

    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        callbacks = [callbacks]
    callbacks = list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            hint = "make an instance of it: add ()" if isinstance(callback, type) else ""
            raise ArgumentError(
                "fit", "callbacks are minidl.callbacks.Callback instances",
                {"callback": callback}, hint,
            )  # fmt: skip
    return callbacks
