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

How several on one optimizer chain, scheduler.py says.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from minidl.checks import check_ordered
from minidl.errors import ArgumentError
from minidl.optim.optimizer import Optimizer
from minidl.optim.scheduler import LRScheduler, back_to_base
from minidl.shapes import is_number


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


# --- checks -------------------------------------------------------------------------------------


def as_list(op: str, name: str, values: Any) -> list:
    if not isinstance(values, Iterable):
        raise ArgumentError(op, f"{name} is a list", {name: values})
    check_ordered(op, name, values)
    return list(values)


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
