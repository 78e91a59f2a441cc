"""How the learning rate changes while the network learns.

    none          constant
    step          a tenth after each third of the epochs
    multistep     a tenth after each of the epochs in --milestones
    exponential   to a hundredth over all epochs, by the same factor after each
    cosine        half a cosine from the full rate to 0, a little after each step
    plateau       a fifth after three epochs in which the validation loss did not fall

A warm-up multiplies what the schedule says by a factor that rises to 1, a little with each step:
large first steps with fresh weights can end where nothing is learned any more (Goyal et al. 2017,
"Accurate, large minibatch SGD", section 2.2; He et al. 2015, section 4.2, for ResNet-110).
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.shared import parse
from apps.shared.options import at_least, one_of, option
from apps.shared.settings import STEPS
from minidl import callbacks, optim
from minidl.optim.scheduler import back_to_base

CHOICES = ("none", "step", "multistep", "exponential", "cosine", "plateau")


@dataclass(kw_only=True)
class ScheduleOptions:
    """How the learning rate changes."""

    schedule: str = option(
        STEPS, "none, step, multistep, exponential, cosine (the default) or plateau.",
        check=one_of(CHOICES),
    )  # fmt: skip
    milestones: list[int] = option(
        STEPS, "A tenth of the rate after each of these epochs, as in 80,120.",
        default_factory=list, metavar="EPOCHS", typed=str, parse=parse.ascending,
    )  # fmt: skip
    warmup: float = option(
        STEPS, "Let the rate rise during the first epochs.", default=0.0, metavar="EPOCHS",
        check=at_least(0),
    )  # fmt: skip


def make_schedule(
    optimizer: optim.Optimizer, settings: ScheduleOptions, epochs: int, steps: int
) -> callbacks.Schedule | None:
    """The callback that changes the learning rate, or None for a constant one.

    Args:
        optimizer: whose rate it is.
        settings: schedule, milestones, warmup.
        epochs: of the run.
        steps: in an epoch.
    """
    if settings.schedule == "plateau":
        scheduler = optim.ReduceLROnPlateau(optimizer, factor=0.2, patience=2)
        return callbacks.Schedule(scheduler)
    found = scheduler_of(optimizer, settings, epochs, steps)
    in_steps = settings.schedule == "cosine"
    if settings.warmup:
        found = found or optim.ExponentialLR(optimizer, 1.0)
        rise = max(1, round(settings.warmup * steps))
        warm_up = WarmUp(optimizer, found, 1 if in_steps else steps, rise)
        return callbacks.Schedule(warm_up, every="step")
    if found is None:
        return None
    return callbacks.Schedule(found, every="step" if in_steps else "epoch")


def scheduler_of(
    optimizer: optim.Optimizer, settings: ScheduleOptions, epochs: int, steps: int
) -> optim.LRScheduler | None:
    """The schedule itself, in epochs; the cosine in steps. None for a constant rate."""
    if settings.schedule == "step":
        return optim.StepLR(optimizer, step_size=max(1, -(-epochs // 3)), gamma=0.1)
    if settings.schedule == "multistep":
        return optim.MultiStepLR(optimizer, settings.milestones, gamma=0.1)
    if settings.schedule == "exponential":
        return optim.ExponentialLR(optimizer, gamma=0.01 ** (1 / epochs))
    if settings.schedule == "cosine":
        return optim.CosineAnnealingLR(optimizer, T_max=epochs * steps)
    return None


class WarmUp(optim.LRScheduler):
    """A schedule whose rates are lower in the first steps.

    lr = schedule(t / each) min(1, (t + 1) / rise)

    Args:
        optimizer: whose rate it sets.
        schedule: of the same optimizer; it must not be stepped any more.
        each: how many steps are one unit of the schedule: those of an epoch, or 1.
        rise: steps until the full rate.
    """

    def __init__(
        self, optimizer: optim.Optimizer, schedule: optim.LRScheduler, each: int, rise: int
    ):
        self.schedule, self.each, self.rise = schedule, each, rise
        back_to_base(optimizer)
        super().__init__(optimizer)

    def lr(self, base: float, t: int) -> float:
        return self.schedule.lr(base, t // self.each) * min(1.0, (t + 1) / self.rise)
