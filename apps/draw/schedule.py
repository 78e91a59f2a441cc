"""How the learning rates of both networks change.

    none     constant
    linear   constant for half of the steps, then linearly down to a twentieth
    halve    by two after each 100 epochs (Reed et al. 2016)

The text encoder's rate falls linearly over all steps to a fiftieth.
"""

from __future__ import annotations

from minidl import callbacks, optim

HOLD, LOWEST = 0.5, 0.05
LOWEST_ENCODER = 0.02
HALVING = 100  # epochs


class HoldThenFall(optim.LRScheduler):
    """A rate that is constant first and then falls linearly.

    lr(t) = base max(lowest, min(1, (1 - t / total) / (1 - hold)))

    Args:
        optimizer: whose rate it sets.
        total: steps.
        hold: share of them in which it is constant.
        lowest: share of the rate that is left at the end.
    """

    def __init__(self, optimizer: optim.Optimizer, total: int, hold: float, lowest: float):
        self.total, self.hold, self.lowest = total, hold, lowest
        super().__init__(optimizer)

    def lr(self, base: float, t: int) -> float:
        left = max(0.0, 1 - t / self.total)
        return base * max(self.lowest, min(1.0, left / (1 - self.hold)))


def schedules(
    optimizers: dict[str, optim.Optimizer], schedule: str, epochs: int, steps: int
) -> list[callbacks.Schedule]:
    """The callbacks that change the rates of both networks.

    Args:
        optimizers: by name.
        schedule: one of settings.SCHEDULES.
        epochs: of the run.
        steps: in an epoch.
    """
    if schedule == "none":
        return []
    if schedule == "halve":
        return [callbacks.Schedule(optim.StepLR(o, HALVING, 0.5)) for o in optimizers.values()]
    total = epochs * steps
    return [
        callbacks.Schedule(HoldThenFall(o, total, HOLD, LOWEST), every="step")
        for o in optimizers.values()
    ]


def encoder_schedule(optimizer: optim.Optimizer, total: int) -> callbacks.Schedule:
    """That of the text encoder."""
    return callbacks.Schedule(HoldThenFall(optimizer, total, 0.0, LOWEST_ENCODER), every="step")
