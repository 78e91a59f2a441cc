"""Change the learning rate as the run goes on."""

from __future__ import annotations

from typing import Any

from minidl.errors import ArgumentError
from minidl.optim.plateau import ReduceLROnPlateau
from minidl.optim.scheduler import LRScheduler
from minidl.training.best import metric
from minidl.training.callback import Callback


class Schedule(Callback):
    """Step a learning-rate schedule after each epoch, or after each training step.

    Args:
        scheduler: a schedule of minidl.optim, made for an optimizer that fit gets.
        every: "epoch" or "step": the unit its numbers count in.
        monitor: the metric that ReduceLROnPlateau watches.

    Raises:
        ArgumentError: the scheduler is not one, `every` is not one of the two words, or `monitor`
            is no name.

    >>> optimizer = minidl.optim.SGD(minidl.nn.Conv2d(1, 1, 1).parameters(), lr=0.1)
    >>> scheduler = minidl.optim.CosineAnnealingLR(optimizer, T_max=12)
    >>> callback = minidl.callbacks.Schedule(scheduler)
    """

    def __init__(self, scheduler: LRScheduler, every: str = "epoch", monitor: str = "val_loss"):
        if not isinstance(scheduler, LRScheduler):
            raise ArgumentError(
                "Schedule", "scheduler is a schedule of minidl.optim", {"scheduler": scheduler}
            )
        if every not in ("epoch", "step"):
            raise ArgumentError("Schedule", 'every is "epoch" or "step"', {"every": every})
        if every == "step" and isinstance(scheduler, ReduceLROnPlateau):
            raise ArgumentError(
                "Schedule", "ReduceLROnPlateau steps once per epoch", {"every": every}
            )
        if not isinstance(monitor, str):
            raise ArgumentError("Schedule", "monitor is the name of a metric", {"monitor": monitor})
        self.scheduler, self.every, self.monitor = scheduler, every, monitor

    def on_fit_start(self, run) -> None:
        if not any(optimizer is self.scheduler.optimizer for optimizer in run.optimizers.values()):
            raise ArgumentError(
                "Schedule", "the scheduler was made for another optimizer than fit's", None,
                "pass the same optimizer to both",
            )  # fmt: skip

    def on_step_end(self, run) -> None:
        if self.every == "step":
            self.scheduler.step()

    def on_epoch_end(self, run) -> None:
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(metric("Schedule", self.monitor, run.metrics))
        elif self.every == "epoch":
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return self.scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scheduler.load_state_dict(state)
