"""How the learning rate changes while the network learns.

    none          it stays
    step          a tenth after each third of the epochs
    multistep     a tenth after each of the epochs in --milestones
    exponential   to a hundredth over all epochs, a little after each
    cosine        half a cosine from the full rate to 0, a little after each step
    plateau       a fifth after three epochs in which the validation loss did not fall

A warm-up multiplies what the schedule says by a factor that rises to 1, a little with each step:
large first steps with fresh weights can lead to where nothing is learned (Goyal et al. 2017,
"Accurate, large minibatch SGD", section 2.2; He et al. 2015, section 4.2, for ResNet-110).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidl import callbacks, optim

if TYPE_CHECKING:
    from apps.classify.options import Settings

CHOICES = ("none", "step", "multistep", "exponential", "cosine", "plateau")


def make_schedule(
    optimizer: optim.Optimizer, settings: Settings, steps: int
) -> callbacks.Schedule | None:
    """The callback that changes the learning rate, or None for a constant one.

    Args:
        optimizer: whose rate it is.
        settings: schedule, epochs, milestones, warmup.
        steps: in an epoch.
    """
    if settings.schedule == "plateau":
        scheduler = optim.ReduceLROnPlateau(optimizer, factor=0.2, patience=2)
        return callbacks.Schedule(scheduler)
    if settings.warmup:
        each = 1 if settings.schedule == "cosine" else steps
        inner = scheduler_of(optimizer, settings, steps) or optim.ExponentialLR(optimizer, 1.0)
        rise = max(1, round(settings.warmup * steps))
        return callbacks.Schedule(WarmUp(optimizer, inner, each, rise), every="step")
    scheduler = scheduler_of(optimizer, settings, steps)
    if scheduler is None:
        return None
    return callbacks.Schedule(scheduler, every="step" if settings.schedule == "cosine" else "epoch")


def scheduler_of(
    optimizer: optim.Optimizer, settings: Settings, steps: int
) -> optim.LRScheduler | None:
    """The schedule itself, in epochs; the cosine in steps. None for a constant rate."""
    epochs = settings.epochs
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
        each: steps that are one of the schedule's own units, as many as an epoch has, or 1.
        rise: steps until the full rate.
    """

    def __init__(
        self, optimizer: optim.Optimizer, schedule: optim.LRScheduler, each: int, rise: int
    ):
        self.schedule, self.each, self.rise = schedule, each, rise
        super().__init__(optimizer)

    def lr(self, base: float, t: int) -> float:
        return self.schedule.lr(base, t // self.each) * min(1.0, (t + 1) / self.rise)
