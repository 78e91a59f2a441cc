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
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from apps.classify.data import make_loaders
from apps.classify.freezing import evaluate_frozen_part
from apps.classify.losses import make_loss
from apps.classify.lr_find.page import lr_page
from apps.classify.settings import Settings
from apps.classify.task import get_ready, prepare_task
from apps.shared import run_folder
from apps.shared.optimizer import make_optimizer
from apps.shared.options import OptionError, to_dict
from apps.shared.page import write_page
from minidl.data import Mixup
from minidl.io.atomic import write_atomically
from minidl.io.json import to_json
from minidl.nn import Module
from minidl.optim import Optimizer, clip_grad_norm_

RUNNING = 0.8  # of the running mean that ends the sweep: the last 5 steps or so count
WIDTH = 0.04  # of the bell, as a part of all steps
SETTLED = 0.1  # part of the steps at the beginning at which nothing is suggested
EXPLODED = 4.0  # times the lowest smoothed loss
FEWEST = 20  # steps; fewer say nothing
RESULT, PAGE = "lr.json", "lr.html"


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


def find_lr(
    settings: Settings,
    folder: Path,
    lowest: float,
    highest: float,
    steps: int,
    log: Callable[[str], None],
) -> dict[str, Any]:
    """Sweep the learning rate for a training run, and write lr.json and lr.html.

    Args:
        settings: of the run.
        folder: for the files, there already.
        lowest, highest: rates of the first and the last step.
        steps: how many.
        log: called with lines for the user.

    Returns:
        suggestion and lr_of_lowest_loss (rates; a suggestion of None where the loss never fell),
        steps (that were taken), run (the folder).

    Raises:
        MinidlError: as of train.
    """
    result = sweep_run(settings, lowest, highest, steps, log)
    figures = {
        "suggestion": result.steepest, "lr_of_lowest_loss": result.lowest,
        "steps": len(result.rates), "run": str(folder),
    }  # fmt: skip
    write(folder, figures, result, settings)
    return figures


def check_range(lowest: float, highest: float, steps: int) -> None:
    if not 0 < lowest < highest < math.inf:
        raise OptionError("the rates rise from above 0", {"--lowest": lowest, "--highest": highest})
    if steps < FEWEST:
        raise OptionError(f"steps must be at least {FEWEST}", {"--steps": steps})


def sweep_run(
    settings: Settings, lowest: float, highest: float, steps: int, log: Callable[[str], None]
) -> Sweep:
    """The sweep for a run's network, data, loss and optimizer."""
    task = prepare_task(settings, log)
    model, data = task.model, task.data
    get_ready(task, settings, 1, log)
    model.train()
    if task.plan.freezes:
        evaluate_frozen_part(model, data.sample())
    loader, _ = make_loaders(data, settings)
    batches = Mixup(loader, settings.mixup, len(data.classes)) if settings.mixup else loader
    rates = np.geomspace(lowest, highest, steps).tolist()
    optimizer = make_optimizer(model, settings, task.plan.factors)
    loss = make_loss(model, settings, task.class_weights)
    log(f"{steps} steps with learning rates from {lowest:g} to {highest:g}")
    with np.errstate(all="ignore"):  # that it explodes in the end is the point
        return sweep(model, endless(batches), loss, optimizer, rates, settings.clip_grad)


def endless(loader: Any) -> Iterator[tuple[Any, Any]]:
    """Epoch after epoch."""
    while True:
        yield from loader


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


def write(folder: Path, figures: dict[str, Any], result: Sweep, settings: Settings) -> None:
    """lr.json and lr.html."""
    curve = asdict(result) | {"smoothed": result.smoothed}
    content = figures | curve | {"settings": to_dict(settings)}
    text = to_json(content, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / RESULT, text.encode(errors="backslashreplace"), "lr-find")
    data, date = run_folder.short_name(settings.data), run_folder.now_text()
    write_page(folder / PAGE, lr_page(figures, result, to_dict(settings), data, date), "lr-find")
