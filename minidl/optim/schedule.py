"""Learning-rate schedules: how large the steps are, epoch by epoch.

    StepLR              lr = base * gamma^floor(t / step_size)
    MultiStepLR         lr = base * gamma^(number of milestones <= t)
    ExponentialLR       lr = base * gamma^t
    CosineAnnealingLR   lr = eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2
    LinearLR            lr = base * (start + (end - start) min(t, total_iters) / total_iters)
    SequentialLR        one schedule after the other, each with its own t from 0

t counts calls of step(), usually one per epoch; base is the rate the optimizer had when its first
schedule was made. Names and values are PyTorch's. The schedule that watches a metric instead is in
plateau.py.

Several schedules on one optimizer chain, as PyTorch's do. A step does to the rate that the
optimizer has what the formula does from t - 1 to t, so that what another schedule, a plateau or
you have made of the rate stays:

    lr <- floor + (lr - floor) (formula(t) - floor) / (formula(t - 1) - floor),  formula(-1) = base

floor is eta_min in CosineAnnealingLR, elsewhere 0. A schedule that is alone has the formula's very
value after each step; no rounding adds up.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from minidl.checks import check_ordered
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
            raise CheckpointError(
                self.name, "the state belongs to another schedule",
                {"expects": sorted(own), "received": received},
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


class StepLR(LRScheduler):
    """Multiply the rate by gamma every step_size epochs.

    lr = base gamma^floor(t / step_size)

    Args:
        optimizer: whose rate it sets.
        step_size: epochs from one drop to the next, >= 1.
        gamma: factor of each drop, > 0.

    >>> optimizer = minidl.optim.SGD(minidl.nn.Conv2d(1, 1, 1).parameters(), lr=1.0)
    >>> schedule = minidl.optim.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(4): schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        self.step_size = count(self.name, "step_size", step_size)
        self.gamma = positive(self.name, "gamma", gamma)
        super().__init__(optimizer)

    def lr(self, base: float, t: int) -> float:
        return base * self.gamma ** (t // self.step_size)


class MultiStepLR(LRScheduler):
    """Multiply the rate by gamma at each of the given epochs.

    lr = base gamma^(number of milestones <= t)

    Args:
        optimizer: whose rate it sets.
        milestones: epochs at which to drop, >= 0.
        gamma: factor of each drop, > 0.

    >>> optimizer = minidl.optim.SGD(minidl.nn.Conv2d(1, 1, 1).parameters(), lr=1.0)
    >>> schedule = minidl.optim.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for _ in range(3): schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1):
        milestones = as_list(self.name, "milestones", milestones)
        self.milestones = sorted(count(self.name, "a milestone", m, 0) for m in milestones)
        self.gamma = positive(self.name, "gamma", gamma)
        super().__init__(optimizer)

    def lr(self, base: float, t: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(LRScheduler):
    """Multiply the rate by gamma every epoch.

    lr = base gamma^t

    Args:
        optimizer: whose rate it sets.
        gamma: factor of each epoch, > 0.

    >>> optimizer = minidl.optim.SGD(minidl.nn.Conv2d(1, 1, 1).parameters(), lr=1.0)
    >>> schedule = minidl.optim.ExponentialLR(optimizer, gamma=0.5)
    >>> schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, gamma: float):
        self.gamma = positive(self.name, "gamma", gamma)
        super().__init__(optimizer)

    def lr(self, base: float, t: int) -> float:
        return base * self.gamma**t


class CosineAnnealingLR(LRScheduler):
    """Let the rate fall along half a cosine, to eta_min at T_max.

    lr = eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2

    Loshchilov and Hutter 2017, "SGDR", equation 5, without restarts.

    Args:
        optimizer: whose rate it sets.
        T_max: epochs from the highest to the lowest rate, >= 1.
        eta_min: the lowest rate, >= 0.

    >>> optimizer = minidl.optim.SGD(minidl.nn.Conv2d(1, 1, 1).parameters(), lr=1.0)
    >>> schedule = minidl.optim.CosineAnnealingLR(optimizer, T_max=3)
    >>> schedule.step(); round(schedule.get_last_lr()[0], 6)
    0.75
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):
        self.T_max = count(self.name, "T_max", T_max)
        self.eta_min = self.floor = positive(self.name, "eta_min", eta_min, zero=True)
        super().__init__(optimizer)

    def lr(self, base: float, t: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class LinearLR(LRScheduler):
    """Let the rate go linearly from start_factor to end_factor times the base: a warm-up.

    lr = base (start + (end - start) min(t, total_iters) / total_iters)

    Goyal et al. 2017, "Accurate, large minibatch SGD", section 2.2. Put another schedule after it
    with SequentialLR.

    Args:
        optimizer: whose rate it sets.
        start_factor: of the rate at t = 0, > 0 and <= 1.
        end_factor: of the rate from t = total_iters on, >= 0 and <= 1.
        total_iters: how long it takes, >= 1.

    >>> optimizer = minidl.optim.SGD(minidl.nn.Conv2d(1, 1, 1).parameters(), lr=1.0)
    >>> warmup = minidl.optim.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> after = minidl.optim.StepLR(optimizer, step_size=10)
    >>> schedule = minidl.optim.SequentialLR(optimizer, [warmup, after], milestones=[2])
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ):
        self.start = positive(self.name, "start_factor", start_factor, most=1)
        self.end = positive(self.name, "end_factor", end_factor, zero=True, most=1)
        self.total_iters = count(self.name, "total_iters", total_iters)
        super().__init__(optimizer)

    def lr(self, base: float, t: int) -> float:
        done = min(t, self.total_iters) / self.total_iters
        return base * (self.start + (self.end - self.start) * done)


class SequentialLR(LRScheduler):
    """One schedule after another. Each starts at its own t = 0 when its turn comes.

    It begins at the rates that the optimizer had before any schedule, as in PyTorch. Another
    schedule beside it keeps its effect when a turn ends; PyTorch goes back to the base there.

    Args:
        optimizer: whose rate it sets.
        schedulers: schedules of the same optimizer, which must not be stepped any more.
        milestones: the epochs at which the second, third, ... begin, ascending.

    Raises:
        ArgumentError: not one milestone fewer than schedulers, or one is a ReduceLROnPlateau or
            of another optimizer.

    See LinearLR for an example.
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Iterable[LRScheduler], milestones: Iterable[int]
    ):
        self.schedulers = as_list(self.name, "schedulers", schedulers)
        milestones = as_list(self.name, "milestones", milestones)
        self.milestones = [count(self.name, "a milestone", m) for m in milestones]
        for scheduler in self.schedulers:
            if not isinstance(scheduler, LRScheduler):
                raise ArgumentError(self.name, "schedulers are schedules", {"scheduler": scheduler})
        received = {"schedulers": [s.name for s in self.schedulers], "milestones": self.milestones}
        if len(self.schedulers) != len(self.milestones) + 1:
            raise ArgumentError(self.name, "there is one milestone fewer than schedulers", received)
        if self.milestones != sorted(set(self.milestones)):
            raise ArgumentError(self.name, "milestones ascend", received)
        for scheduler in self.schedulers:
            if not scheduler.has_formula:
                raise ArgumentError(
                    self.name, f"{scheduler.name} depends on a metric and cannot be one of them",
                    received,
                )  # fmt: skip
            if scheduler.optimizer is not optimizer:
                raise ArgumentError(self.name, "all schedulers have the same optimizer", received)
        back_to_base(optimizer)
        super().__init__(optimizer)

    def lr(self, base: float, t: int) -> float:
        scheduler, t = self.turn(t)
        return scheduler.lr(base, t)

    def next_lr(self, current: float, base: float, t: int) -> float:
        scheduler, since = self.turn(t)
        # Where a turn begins, what the formula does is this class's; within it, the schedule's.
        step, t = (scheduler.next_lr, since) if since else (super().next_lr, t)
        return step(current, base, t)

    def turn(self, t: int) -> tuple[LRScheduler, int]:
        """Whose turn it is after t steps, and how many steps it has made."""
        turn = bisect_right(self.milestones, t)
        return self.schedulers[turn], t - (self.milestones[turn - 1] if turn else 0)


def back_to_base(optimizer: Optimizer) -> None:
    """Undo what schedules did when they were made, for one that takes them over."""
    for group in optimizer.param_groups:
        group["lr"] = group.get("initial_lr", group["lr"])


# --- checks -------------------------------------------------------------------------------------


def as_list(op: str, name: str, values: Any) -> list:
    if not isinstance(values, Iterable):
        raise ArgumentError(op, f"{name} is a list", {name: values})
    check_ordered(op, name, values)
    return list(values)


def are_rates(values: Any, number: int, none: bool = False) -> bool:
    """Whether they are `number` numbers in a list, or None among them."""
    return isinstance(values, list) and len(values) == number and all(
        is_number(value) or (none and value is None) for value in values
    )  # fmt: skip


def count(op: str, name: str, value: Any, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ArgumentError(op, f"{name} is an int >= {least}", {name: value})
    return value


def positive(op: str, name: str, value: Any, zero: bool = False, most: float = math.inf) -> float:
    fits = is_number(value) and (value > 0 or (zero and value == 0)) and value <= most
    if not fits or not math.isfinite(value):
        rule = f"{name} is a number {'>=' if zero else '>'} 0"
        raise ArgumentError(
            op, rule if most == math.inf else f"{rule} and <= {most}", {name: value}
        )
    return float(value)
