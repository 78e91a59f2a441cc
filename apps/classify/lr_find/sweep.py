"""The learning-rate range test (Smith 2017, "Cyclical learning rates for training neural
networks", section 3.3): raise the rate a little with each step and watch the loss.

    lr_i = lowest (highest / lowest)^(i / (n - 1))

Below some rate nothing happens, then the loss falls, then it explodes. The loss of a single batch
jumps, so that it is smoothed by a bell-shaped mean over its neighbours on both sides: a running
mean over the past alone would show everything at too high a rate. Suggested is the rate at which
the smoothed loss falls most steeply over log(lr), as fastai does. The sweep ends when a running
mean of the loss is four times its lowest value, or no number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from apps.shared.options import OptionError
from minidl.nn import Module
from minidl.optim import Optimizer, clip_grad_norm_

RUNNING = 0.8  # of the running mean that ends the sweep: the last 5 steps or so count
WIDTH = 0.04  # of the bell, as a part of all steps
SETTLED = 0.1  # part of the steps at the beginning at which nothing is suggested
EXPLODED = 4.0  # times the lowest smoothed loss
FEWEST = 20  # steps; fewer say nothing


@dataclass
class Sweep:
    """What a range test saw.

    Args:
        rates: of each step that was taken.
        losses: of the batch at that step, before it.
        ended: why it ended before the highest rate, or "".
    """

    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    ended: str = ""

    @cached_property
    def smoothed(self) -> list[float]:
        """The losses, each the mean of its neighbours with weights exp(-d^2 / (2 w^2))."""
        at = np.arange(len(self.losses))
        width = max(1.0, WIDTH * len(at))
        weights = np.exp(-(((at[:, None] - at) / width) ** 2) / 2)
        return (weights @ np.array(self.losses) / weights.sum(axis=1)).tolist()

    @property
    def lowest(self) -> float:
        """The rate at the lowest smoothed loss."""
        return self.rates[int(np.argmin(self.smoothed))]

    @property
    def steepest(self) -> float | None:
        """The rate, before that, at which the smoothed loss falls most steeply over log(lr).

        None if it does not fall.
        """
        begin, end = round(SETTLED * len(self.rates)), int(np.argmin(self.smoothed)) + 1
        if end - begin < 3:
            return None
        slope = np.gradient(self.smoothed[begin:end], np.log(self.rates[begin:end]))
        return self.rates[begin + int(np.argmin(slope))]


def sweep(
    model: Module,
    batches: Iterator,
    loss: Callable,
    optimizer: Optimizer,
    rates: list[float],
    clip_grad: float | None = None,
) -> Sweep:
    """Take a step with each rate.

    Args:
        model: learns in place.
        batches: gives (x, labels), as many as there are rates.
        loss: (model(x), labels) -> scalar Tensor.
        optimizer: of the model's parameters; its rates times lr_mult are what changes.
        rates: one for each step, rising.
        clip_grad: largest norm of the gradients, or None.
    """
    found = Sweep()
    total = weight = 0.0
    best = math.inf
    try:
        for rate in rates:
            x, labels = next(batches)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            value = loss(model(x), labels)
            total, weight = RUNNING * total + value.item(), RUNNING * weight + 1
            if not math.isfinite(total):
                found.ended = f"the loss was {value.item()} at {rate:.3g}"
                break
            found.rates.append(rate)
            found.losses.append(value.item())
            best = min(best, total / weight)
            if total / weight > EXPLODED * best:
                found.ended = f"the loss exploded at {rate:.3g}"
                break
            value.backward()
            if clip_grad is not None:
                clip_grad_norm_(model.parameters(), clip_grad)
            optimizer.step()
    finally:
        if hasattr(batches, "close"):
            batches.close()  # ends the loader's threads
    if len(found.rates) < FEWEST // 2:
        raise OptionError(
            "the loss exploded in the first steps", {"--lowest": rates[0]},
            "begin with a lower --lowest",
        )  # fmt: skip
    return found
