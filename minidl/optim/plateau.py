"""Lower the learning rate when a metric stops improving.

    bad epochs in a row > patience:   lr = max(lr * factor, min_lr),  then `cooldown` epochs of rest

An epoch is good when its metric is better than the best so far by the threshold: with "rel" below
best (1 - threshold), with "abs" below best - threshold (mode "min"; for "max" above, and plus).
Before the first good epoch the best is the worst there is, infinity: so NaN is never good, and
-inf is (mode "min"; for "max" inf). As in PyTorch.
"""

from __future__ import annotations

import math
from typing import Any

from minidl.errors import ArgumentError
from minidl.optim.optimizer import Optimizer
from minidl.optim.schedule import count, positive
from minidl.optim.scheduler import LRScheduler
from minidl.shapes import is_number
from minidl.tensor import Tensor


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by `factor` when a metric has stopped improving.

    Args:
        optimizer: whose rate it sets.
        mode: "min" if a lower metric is better, "max" if a higher one is.
        factor: of each drop, > 0 and < 1.
        patience: epochs without improvement that are allowed before a drop, >= 0.
        threshold: how much better counts as an improvement, >= 0.
        threshold_mode: "rel": the threshold is a part of the best value; "abs": a difference.
        cooldown: epochs after a drop during which nothing is counted, >= 0.
        min_lr: the rate does not fall below it, >= 0; one number, or one per group.
        eps: a drop smaller than this is not made, >= 0.

    Raises:
        ArgumentError: an argument is out of range.

    >>> optimizer = minidl.optim.SGD(minidl.nn.Conv2d(1, 1, 1).parameters(), lr=1.0)
    >>> schedule = minidl.optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    >>> schedule.step(3.0); schedule.step(3.0); schedule.get_last_lr()
    [0.5]
    """

    has_formula = False

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
    ):
        if mode not in ("min", "max"):
            raise ArgumentError(self.name, 'mode is "min" or "max"', {"mode": mode})
        if threshold_mode not in ("rel", "abs"):
            raise ArgumentError(
                self.name, 'threshold_mode is "rel" or "abs"', {"threshold_mode": threshold_mode}
            )
        self.factor = positive(self.name, "factor", factor)
        if factor >= 1:
            raise ArgumentError(self.name, "factor is < 1", {"factor": factor})
        self.mode, self.threshold_mode = mode, threshold_mode
        self.patience = count(self.name, "patience", patience, 0)
        self.cooldown = count(self.name, "cooldown", cooldown, 0)
        self.threshold = positive(self.name, "threshold", threshold, zero=True)
        self.eps = positive(self.name, "eps", eps, zero=True)
        self.best: float | None = None
        self.bad_epochs = self.cooling = 0
        super().__init__(optimizer)
        many = isinstance(min_lr, list | tuple)
        self.min_lrs = list(min_lr) if many else [min_lr] * len(self.base_lrs)
        if len(self.min_lrs) != len(self.base_lrs):
            raise ArgumentError(self.name, "min_lr has one value per group", {"min_lr": min_lr})
        for value in self.min_lrs:
            positive(self.name, "min_lr", value, zero=True)

    def apply(self) -> None:
        """The rates change only in step."""

    def step(self, metric: float | Tensor) -> None:
        """One epoch is over, and this is the metric it reached: a number, or a Tensor with one.

        Raises:
            ArgumentError: it is neither.
        """
        value = metric.item() if isinstance(metric, Tensor) else metric
        if not is_number(value):
            raise ArgumentError(self.name, "metric is a number", {"metric": metric})
        self.last_epoch += 1
        if self.is_better(float(value)):
            self.best, self.bad_epochs = float(value), 0
        else:
            self.bad_epochs += 1
        if self.cooling > 0:
            self.cooling -= 1
            self.bad_epochs = 0
        if self.bad_epochs > self.patience:
            self.reduce()
            self.cooling, self.bad_epochs = self.cooldown, 0

    def is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        best = -sign * math.inf if self.best is None else self.best
        if self.threshold_mode == "abs":
            return sign * value > sign * best + self.threshold
        return sign * value > sign * best * (1 + sign * self.threshold)

    def reduce(self) -> None:
        for group, lowest in zip(self.optimizer.param_groups, self.min_lrs):
            new = max(group["lr"] * self.factor, lowest)
            if group["lr"] - new > self.eps:
                group["lr"] = new

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "best": self.best, "bad_epochs": self.bad_epochs, "cooling": self.cooling,
        }  # fmt: skip
