"""LRScheduler: what all schedules of the learning rate share. State, and how several chain.

Several schedules on one optimizer chain, as PyTorch's do. A step does to the rate that the
optimizer has what the formula does from t - 1 to t, so that what another schedule, a plateau or
you have made of the rate stays:

    lr <- floor + (lr - floor) (formula(t) - floor) / (formula(t - 1) - floor),  formula(-1) = base

floor is eta_min in CosineAnnealingLR, elsewhere 0. A schedule that is alone has the formula's very
value after each step; no rounding adds up.
"""

from __future__ import annotations

import math
from typing import Any

from minidl.errors import ArgumentError, CheckpointError
from minidl.optim.optimizer import Optimizer
from minidl.shapes import is_number


class LRScheduler:
    """Base class of schedules. A subclass defines lr(base, t), a formula of the rate.

    Schedules of one optimizer chain: each changes the rate that the others have left.

    Args:
        optimizer: whose param_groups get a new "lr" now and at each step.

    Attributes:
        floor: what the rate falls towards, 0 or more; see the top of this file.
        has_formula: False where the rate depends on more than t, so that there is no lr(base, t):
            ReduceLROnPlateau. SequentialLR refuses such a schedule.
        last_epoch: t, how often step was called.
        base_lrs: the rate of each group at t = 0.
    """

    has_formula = True
    floor = 0.0

    def __init__(self, optimizer: Optimizer):
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(
                self.name, "optimizer is a minidl.optim.Optimizer", {"optimizer": optimizer}
            )
        self.optimizer = optimizer
        self.last_epoch = 0
        # A second schedule on the same optimizer has the same base as the first.
        self.base_lrs = [g.setdefault("initial_lr", g["lr"]) for g in optimizer.param_groups]
        self.apply()

    @property
    def name(self) -> str:
        return type(self).__name__

    def lr(self, base: float, t: int) -> float:
        """The rate after t steps of a group whose rate was `base`."""
        raise NotImplementedError(f"{self.name}.lr")

    def step(self) -> None:
        """One epoch is over (or one training step, if that is your unit): set the next rate."""
        self.last_epoch += 1
        self.apply()

    def apply(self) -> None:
        """Do to the rate of each group what the formula does from t - 1 to t."""
        for group, base in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = self.next_lr(group["lr"], base, self.last_epoch)

    def next_lr(self, current: float, base: float, t: int) -> float:
        """The rate after step t, of a group that has the rate `current` before it."""
        before, after = self.lr(base, t - 1) if t else base, self.lr(base, t)
        if current == before:  # nobody else has changed it
            return after
        if after == before:
            return current
        if before == self.floor:  # a rate that was down and rises again, as PyTorch's cosine does
            current += after - before
        else:
            part = (after - self.floor) / (before - self.floor)
            current = self.floor + (current - self.floor) * part
        return max(current, 0.0)  # PyTorch's goes below where another has dropped it below floor

    def get_last_lr(self) -> list[float]:
        """The rate of each group now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """t, the rates at t = 0, and those now of groups whose rate something else has changed.

        None stands for the formula's rate: a schedule made for more epochs has another then.
        """
        rates = [
            None if self.has_formula and group["lr"] == self.lr(base, self.last_epoch)
            else group["lr"]
            for group, base in zip(self.optimizer.param_groups, self.base_lrs)
        ]  # fmt: skip
        return {
            "last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs), "changed_lrs": rates,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where state_dict was taken, at the rates that the optimizer had then.

        Raises:
            CheckpointError: it is not the state of such a schedule. Nothing was changed.
        """
        own = self.state_dict()
        if not isinstance(state, dict) or own.keys() != state.keys():
            received = sorted(state) if isinstance(state, dict) else state
            rule = "the state belongs to another schedule"
            if isinstance(state, dict) and state.keys() < own.keys():
                missing = ", ".join(name for name in own if name not in state)
                rule = f"the state belongs to another schedule or is not whole: no {missing}"
            raise CheckpointError(
                self.name, rule, {"expects": sorted(own), "received": received}
            )  # fmt: skip
        t, base, changed = (state[name] for name in ("last_epoch", "base_lrs", "changed_lrs"))
        groups = len(self.base_lrs)
        fits = are_rates(base, groups) and are_rates(changed, groups, none=self.has_formula)
        if not isinstance(t, int) or t < 0 or not fits:
            raise CheckpointError(
                self.name, "the state is no count of steps and a rate for each group",
                {"last_epoch": t, "base_lrs": base, "changed_lrs": changed, "groups": groups},
            )  # fmt: skip
        for name, value in state.items():
            if name != "changed_lrs":
                setattr(self, name, value)
        for group, start, rate in zip(self.optimizer.param_groups, base, changed):
            group["lr"] = self.lr(start, t) if rate is None else rate


def back_to_base(optimizer: Optimizer) -> None:
    """Undo what schedules did when they were made, for one that takes them over."""
    for group in optimizer.param_groups:
        group["lr"] = group.get("initial_lr", group["lr"])


def are_rates(values: Any, number: int, none: bool = False) -> bool:
    """Whether they are `number` finite rates of 0 or more in a list, or None among them."""
    return isinstance(values, list) and len(values) == number and all(
        (none and value is None) or (is_number(value) and 0 <= value < math.inf)
        for value in values
    )  # fmt: skip
