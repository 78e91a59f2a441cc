"""Learning-rate schedules: how large the steps are, epoch by epoch.

    StepLR              lr = base * gamma^floor(t / step_size)
    MultiStepLR         lr = base * gamma^(number of milestones <= t)
    ExponentialLR       lr = base * gamma^t
    CosineAnnealingLR   lr = eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2
    LinearLR            lr = base * (start + (end - start) min(t, total_iters) / total_iters)
    SequentialLR        one schedule after the other, each with its own t from 0

t counts calls of step(), usually one per epoch; base is the rate the optimizer had when the
schedule was made. Names and values are PyTorch's; where PyTorch computes a rate from the one
before, these compute it from t, so that a resumed run needs no more than t. The schedule that
watches a metric instead is in plateau.py.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from minidl.errors import ArgumentError, CheckpointError
from minidl.optim.optimizer import Optimizer
from minidl.shapes import is_number


class LRScheduler:
    """Base class of schedules. A subclass defines lr(base, t), a formula of the rate.

    Args:
        optimizer: whose param_groups get a new "lr" now and at each step.

    Attributes:
        has_formula: False where the rate depends on more than t, so that there is no lr(base, t):
            ReduceLROnPlateau. SequentialLR refuses such a schedule.
        last_epoch: t, how often step was called.
        base_lrs: the rate of each group at t = 0.
    """

    has_formula = True

    def __init__(self, optimizer: Optimizer):
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(
                self.name, "optimizer is a minidl.optim.Optimizer", {"optimizer": optimizer}
            )
        self.optimizer = optimizer
        self.last_epoch = 0
        # A second schedule on the same optimizer starts from the same rates as the first.
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
        """Set the rate of each group to that of this t."""
        for group, base in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = self.lr(base, self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """The rate of each group now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self.last_epoch, "base_lrs": self.base_lrs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where state_dict was taken.

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
        t, base = state["last_epoch"], state["base_lrs"]
        rates = isinstance(base, list) and len(base) == len(self.base_lrs)
        if not isinstance(t, int) or t < 0 or not rates or not all(map(is_number, base)):
            raise CheckpointError(
                self.name, "the state is no count of steps and a rate for each group",
                {"last_epoch": t, "base_lrs": base, "groups": len(self.base_lrs)},
            )  # fmt: skip
        for name, value in state.items():
            setattr(self, name, value)
        self.apply()


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
        self.eta_min = positive(self.name, "eta_min", eta_min, zero=True)
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
        super().__init__(optimizer)

    def lr(self, base: float, t: int) -> float:
        turn = bisect_right(self.milestones, t)
        begin = self.milestones[turn - 1] if turn else 0
        return self.schedulers[turn].lr(base, t - begin)


# --- checks -------------------------------------------------------------------------------------


def as_list(op: str, name: str, values: Any) -> list:
    if not isinstance(values, Iterable):
        raise ArgumentError(op, f"{name} is a list", {name: values})
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
