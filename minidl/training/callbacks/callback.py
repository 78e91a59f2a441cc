"""Callback: what can be hooked into a training run, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl.errors import ArgumentError

if TYPE_CHECKING:
    from minidl.training.run import Run


class Callback:
    """Base class: minidl.fit calls these methods, each with the Run. Override the ones you need.

        on_fit_start               after a resumed state was loaded, before the first step
          on_epoch_start           model is in training mode
            on_step_start          run.x and run.labels hold the batch
            on_loss                run.y and run.loss are computed, nothing was changed yet
            on_gradients           p.grad holds the gradients of the step: the place to clip
            on_step_end            parameters are updated, run.step counts this step
          on_validation_step_end   after each batch of the validation set
          on_epoch_end             run.metrics is complete and is the last entry of run.history
        on_fit_end                 always, also after an error, which is then in run.error

    With fit(accumulate=k), k batches come by (on_step_start, on_loss) before each on_gradients.
    Setting run.stop = True ends the run after this epoch.

    A callback whose behaviour depends on the past returns that past from `state_dict` (JSON values
    and Tensors), so that a checkpoint can hold it and a resumed run goes on as if never stopped.

    Attributes:
        order: callbacks are called by ascending order; within one order as they were given.

    >>> class Shout(minidl.callbacks.Callback):
    ...     def on_epoch_end(self, run):
    ...         print(run.epoch, run.metrics["loss"])
    """

    order = 0

    def on_fit_start(self, run: Run) -> None:
        pass

    def on_epoch_start(self, run: Run) -> None:
        pass

    def on_step_start(self, run: Run) -> None:
        pass

    def on_loss(self, run: Run) -> None:
        pass

    def on_gradients(self, run: Run) -> None:
        pass

    def on_step_end(self, run: Run) -> None:
        pass

    def on_validation_step_end(self, run: Run) -> None:
        pass

    def on_epoch_end(self, run: Run) -> None:
        pass

    def on_fit_end(self, run: Run) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class Best:
    """The best value so far of one metric. Lower is better for a loss, higher for all else.

    Args:
        op: who asks, for errors.
        monitor: name of the metric, a key of run.metrics.
        min_delta: an improvement smaller than this does not count.
    """

    def __init__(self, op: str, monitor: str, min_delta: float = 0.0):
        if not isinstance(monitor, str):
            raise ArgumentError(op, "monitor is the name of a metric", {"monitor": monitor})
        self.op, self.monitor, self.min_delta = op, monitor, min_delta
        self.sign = -1 if "loss" in monitor else 1
        self.value: float | None = None

    def improved(self, metrics: dict[str, Any]) -> bool:
        """Look at the metrics of a finished epoch; whether they are the best so far."""
        value = metric(self.op, self.monitor, metrics)
        if value != value:
            return False  # NaN is never an improvement
        if self.value is not None and self.sign * (value - self.value) <= self.min_delta:
            return False
        self.value = value
        return True


def metric(op: str, name: str, metrics: dict[str, Any]) -> float:
    """A metric by name.

    Raises:
        ArgumentError: there is none of that name; names those there are.
    """
    if name not in metrics:
        hint = "val_... needs fit(validation=...)" if name.startswith("val_") else ""
        raise ArgumentError(op, f"there is no metric {name!r}", {"metrics": sorted(metrics)}, hint)
    return metrics[name]
