"""Stop when a metric no longer improves."""

from __future__ import annotations

from typing import Any

from minidl.errors import ArgumentError
from minidl.shapes import is_number
from minidl.tensor import Tensor
from minidl.training.best import Best
from minidl.training.callback import Callback


class EarlyStopping(Callback):
    """End the run when a metric has not improved for some epochs.

    Prechelt 1998, "Early stopping - but when?".

    A run that it stopped goes on where it is resumed with more patience.

    Args:
        monitor: name of the metric.
        patience: stop after so many epochs without improvement, as Keras and Lightning count them;
            >= 0, and 0 stops as 1 does, after the first.
        min_delta: an improvement smaller than this does not count, >= 0.
        restore_best: at the end, give the model the weights of its best epoch.
        mode: "min" where a lower metric is better, "max" where a higher one is; "auto" takes min
            if "loss" is in its name.

    Raises:
        ArgumentError: an argument is of another type or out of range; later, there is no such
            metric.

    >>> callback = minidl.callbacks.EarlyStopping("val_loss", patience=3)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = False,
        mode: str = "auto",
    ):
        if not isinstance(patience, int) or isinstance(patience, bool) or patience < 0:
            raise ArgumentError("EarlyStopping", "patience is an int >= 0", {"patience": patience})
        if not is_number(min_delta) or not min_delta >= 0:
            rule = "min_delta is a number >= 0"
            raise ArgumentError("EarlyStopping", rule, {"min_delta": min_delta})
        self.best = Best("EarlyStopping", monitor, mode, min_delta)
        self.patience, self.restore_best = patience, restore_best
        self.waited, self.stopped = 0, False
        self.best_weights: dict[str, Tensor] | None = None

    def on_fit_start(self, run) -> None:
        if self.stopped and self.waited < self.patience:
            self.stopped = run.stop = False

    def on_epoch_end(self, run) -> None:
        if self.best.improved(run.metrics):
            self.waited = 0
            if self.restore_best:
                weights = run.model.state_dict().items()
                self.best_weights = {name: Tensor(tensor.data.copy()) for name, tensor in weights}
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.stopped = run.stop = True

    def on_fit_end(self, run) -> None:
        if run.error is None and self.best_weights is not None:
            run.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best.value,
            "waited": self.waited,
            "stopped": self.stopped,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best.value, self.waited = state["best"], state["waited"]
        self.stopped = state["stopped"]
        self.best_weights = state["best_weights"]
