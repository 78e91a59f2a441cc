"""A training run: what it remembers, and the parts that its epochs are made of.

minidl.fit moves a Run through these parts and shows it to the callbacks in between:

    start_epoch            epoch + 1
      start_step           gradients are forgotten
        start_batch        inputs and targets hold the next batch
        backward           its gradients are added to those of the step
        count_batch        batch + 1; loss and metrics of the batch are added to the totals
      finish_step          step + 1; from here to the next start_step the run can be saved
    start_validation       the same model on held-out batches
    finish_epoch           metrics are complete and become the last entry of the history

A step function does everything from zero_grad to the optimizers' steps itself; take_values then
counts its batch. What a checkpoint holds of a run is in minidl/training/resume.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from minidl import random
from minidl.errors import ArgumentError, nearest
from minidl.nn.module import Module, Parameter
from minidl.optim.optimizer import Optimizer
from minidl.tensor import Tensor
from minidl.training.batch import count_examples, split_batch, weigh
from minidl.training.checks import check_loss
from minidl.training.metrics import as_number, check_name
from minidl.training.totals import Totals


class Run:
    """A training run in progress: what callbacks and step functions see.

    Attributes:
        model, loader, optimizer, epochs, validation, accumulate: the arguments of fit.
        loss_function, weight_function, step_function: its arguments loss, weight and step.
        validation_loss: its argument, or loss.
        optimizers: name -> Optimizer; a single one has the name "".
        callbacks: by ascending order.
        seed: of the random numbers of all batches.
        is_chief: whether this process validates, prints and writes files. Where several train
            together, it is true of one.
        has_servers: whether servers take the steps, and remember what optimizers do.

        epoch: number of the epoch in progress (or just finished), counted from 1.
        batch: batches of this epoch that were used.
        step: steps taken in all epochs together; each is made of `accumulate` batches.
        stop: set it to end the run after this epoch.
        stopped_by: class name of the callback that did.
        error: the exception that ended the run, for on_fit_end.

        inputs, targets: the current batch.
        count, weight: its number of examples, and what it counts in means over batches.
        outputs: what the model made of it. Metrics look at it; a step function may set it.
        loss: the loss Tensor of the batch, or what a step function minimizes at the moment.
        stepping: the optimizer whose step comes next.

        values: of the last step, name -> number: the loss, as mean over the examples of the step,
            or what the step function returned.
        rates: learning rates of the last step, which a schedule may have changed since: "lr", or
            "lr_<name>" for each of several optimizers.
        totals, validation_totals: sums over this epoch so far, see Totals.
        step_totals, step_weight: the same over the step in progress, and the sum of the weights of
            its batches.
        metrics: of the last finished epoch.
        history: metrics of all finished epochs.
        position: of the random numbers and the loaders after the last step.
    """

    def __init__(
        self,
        model: Module,
        loader: Iterable,
        loss: Callable | None,
        optimizer: Optimizer | dict[str, Optimizer],
        epochs: int,
        validation: Iterable | None,
        callbacks: list,
        accumulate: int = 1,
        metrics: dict[str, Any] | None = None,
        weight: Callable | None = None,
        step: Callable | None = None,
        validation_loss: Callable | None = None,
    ):
        self.model, self.loader, self.validation = model, loader, validation
        self.loss_function, self.step_function, self.weight_function = loss, step, weight
        self.validation_loss = validation_loss
        self.epochs, self.accumulate = epochs, accumulate
        self.optimizer = optimizer
        self.optimizers = optimizer if isinstance(optimizer, dict) else {"": optimizer}
        self.callbacks = sorted(callbacks, key=lambda callback: callback.order)
        self.seed, self.is_chief, self.has_servers = random.new_seed(), True, False
        self.epoch = self.step = self.batch = 0
        self.stop, self.stopped_by = False, ""
        self.error: BaseException | None = None
        self.inputs: Any = None
        self.targets: Any = None
        self.outputs: Any = None
        self.count, self.weight = 0, 0
        self.loss: Tensor | None = None
        self.values: dict[str, float] = {}
        self.rates = self.current_rates()
        self.totals, self.validation_totals = Totals(metrics or {}), Totals(metrics or {})
        self.step_totals, self.step_weight = Totals({}), 0
        self.stepping: Optimizer = next(iter(self.optimizers.values()))
        self.metrics: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.remember_position()

    def notify(self, moment: str) -> None:
        """Call the method of that name of every callback; of those that watch, if we are chief."""
        for callback in self.callbacks:
            if self.is_chief or not callback.watches:
                goes_on = not self.stop
                getattr(callback, moment)(self)
                if goes_on and self.stop:
                    self.stopped_by = type(callback).__name__

    def end(self) -> None:
        """Call on_fit_end of every callback, even if one fails. The run's first error counts."""
        failed = None
        for callback in self.callbacks:
            if callback.watches and not self.is_chief:
                continue
            try:
                callback.on_fit_end(self)
            except BaseException as error:
                failed = failed or error
        if failed is not None and self.error is None:
            raise failed

    # --- the parts of an epoch ------------------------------------------------------------------

    def is_over(self) -> bool:
        return len(self.history) >= self.epochs or self.stop

    def start_epoch(self) -> None:
        self.epoch = len(self.history) + 1
        self.started = time.perf_counter() - self.totals.seconds

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """The batches of this epoch that are still to come."""
        batches = iter(self.loader)
        if self.batch and not hasattr(self.loader, "load_state_dict"):
            batches = islice(batches, self.batch, None)  # such a loader cannot seek: skip
        for batch in batches:
            yield split_batch("fit", batch)

    def slots_at(self, batch: int) -> int:
        """How many batches the step has that begins with this one; an epoch's last may have fewer.

        Args:
            batch: its number in the epoch, from 0.
        """
        if self.accumulate == 1:
            return 1
        return max(1, min(self.accumulate, len(self.loader) - batch))

    def start_step(self) -> None:
        if self.step_function is None:
            self.optimizer.zero_grad()

    def start_batch(self, inputs: Any, targets: Any) -> None:
        self.count = count_examples("fit", inputs, targets)
        self.weight = weigh("fit", self.weight_function, self.count, inputs, targets)
        self.inputs, self.targets, self.outputs = inputs, targets, None

    def backward(self) -> None:
        """Compute the batch's gradients.

        Where a step has several batches, p.grad becomes the weighted sum over them.
        """
        loss = self.loss if self.accumulate == 1 else self.loss * self.weight
        loss.backward()

    def count_batch(self, values: dict[str, float]) -> None:
        """Add the current batch to the sums of the epoch and the step."""
        for totals in (self.totals, self.step_totals):
            totals.count += self.count
            totals.add_values(values, self.weight)
        if self.outputs is not None:
            self.totals.measure(self.outputs, self.targets, self.weight)
        self.batch += 1
        self.step_weight += self.weight

    def finish_step(self) -> None:
        """Count the step that was just taken. From here to the next step the run can be saved."""
        self.values = self.step_totals.compute()
        self.rates = self.current_rates()
        self.totals.seconds = time.perf_counter() - self.started
        self.step_totals.reset()
        self.step_weight = 0
        self.step += 1
        self.remember_position()

    def start_validation(self) -> Totals:
        self.validation_totals.reset()
        return self.validation_totals

    def finish_validation_step(self) -> None:
        self.notify("on_validation_step_end")

    def finish_epoch(self) -> None:
        """Put the epoch's metrics together and get ready for the next."""
        if self.batch == 0:
            raise ArgumentError("fit", "loader gave no batch", {"loader": self.loader})
        totals = self.totals
        metrics = {"epoch": self.epoch, "step": self.step, **totals.compute()}
        if self.validation is not None:
            validation = self.validation_totals.compute()
            metrics |= {f"val_{name}": value for name, value in validation.items()}
        metrics |= self.rates
        metrics["seconds"] = round(totals.seconds, 3)
        metrics["images_per_second"] = round(totals.count / max(totals.seconds, 1e-9), 1)
        self.metrics = metrics
        self.history.append(metrics)
        self.totals.reset()
        self.batch = 0
        self.remember_position()

    def current_rates(self) -> dict[str, float]:
        """The learning rate of each optimizer's first group, by its name in the history."""
        return {
            f"lr_{name}" if name else "lr": optimizer.param_groups[0]["lr"]
            for name, optimizer in self.optimizers.items()
        }

    # --- for step functions ---------------------------------------------------------------------

    def minimize(self, loss: Tensor, optimizer: str | None = None) -> None:
        """One step of one optimizer down the gradient of a loss.

        It is zero_grad, backward and step, with the moments at which callbacks clip gradients and
        look for NaN.

        Args:
            loss: a Tensor with one element.
            optimizer: its name in the dict that fit was given; None for the only one.

        Raises:
            ArgumentError: there is no optimizer of that name, or the loss is not one number.
        """
        self.stepping = chosen = self.find_optimizer(optimizer)
        self.loss = check_loss("minimize", loss)
        self.notify("on_loss")
        chosen.zero_grad()
        loss.backward()
        self.notify("on_gradients")
        chosen.step()

    def find_optimizer(self, name: str | None) -> Optimizer:
        if name is None and len(self.optimizers) == 1:
            return self.stepping
        if not isinstance(name, str) or not name or name not in self.optimizers:
            names = [name for name in self.optimizers if name]
            hint = nearest(name, names) if isinstance(name, str) and names else ""
            raise ArgumentError(
                "minimize", "optimizer is the name of one of the run's optimizers",
                {"optimizer": name, "names": names}, hint,
            )  # fmt: skip
        return self.optimizers[name]

    def parameters_to_update(self) -> dict[str, Parameter]:
        """Name -> parameter of the optimizer whose step comes next, as the model orders them."""
        held = {p for group in self.stepping.param_groups for p in group["params"]}
        return {name: p for name, p in self.model.named_parameters() if p in held}

    def take_values(self, values: Any) -> None:
        """Count a batch for which a step function did everything, and returned these values."""
        if not isinstance(values, dict):
            raise ArgumentError(
                "fit", "step returns a dict: name -> number of this batch", {"returned": values},
                'return {"loss": loss}, say',
            )  # fmt: skip
        for name in values:
            check_name("fit", name)
            if name in self.totals.metrics and self.outputs is not None:
                raise ArgumentError(
                    "fit", "the step function returns what the metrics measure", {"name": name},
                    "give it another name, or measure nothing: fit(..., metrics={})",
                )  # fmt: skip
        self.count_batch({name: as_number("fit", name, value) for name, value in values.items()})

    # --- saving ---------------------------------------------------------------------------------

    def remember_position(self) -> None:
        """Where to go on from. Taken between steps, so a save during validation is right, too."""
        self.position = {
            "random": random.get_state(),
            "loader": loader_state(self.loader),
            "validation": loader_state(self.validation),
        }


def loader_state(loader: Any) -> dict[str, Any]:
    return loader.state_dict() if hasattr(loader, "state_dict") else {}
