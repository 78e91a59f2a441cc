"""Find a learning rate for a training run: from its settings to lr.json and lr.html."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from apps.classify.data import make_loaders
from apps.classify.losses import make_loss
from apps.classify.lr_find.page import lr_page
from apps.classify.lr_find.sweep import FEWEST, Sweep, sweep
from apps.classify.settings import Settings
from apps.classify.task import get_ready, prepare_task
from apps.shared import run_folder
from apps.shared.freezing import evaluate_frozen_part
from apps.shared.optimizer import OptimizerOptions, make_optimizer
from apps.shared.options import OptionError, group, to_dict
from apps.shared.page import write_page
from minidl.data import Mixup
from minidl.io.atomic import write_atomically
from minidl.io.json import to_json

RESULT, PAGE = "lr.json", "lr.html"


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
    loader, _ = make_loaders(data, settings.batch_size, settings.seed, settings.workers)
    batches = Mixup(loader, settings.mixup, len(data.classes)) if settings.mixup else loader
    rates = np.geomspace(lowest, highest, steps).tolist()
    optimizer = make_optimizer(model, group(settings, OptimizerOptions), task.plan.factors)
    loss = make_loss(model, settings, task.class_weights)
    log(f"{steps} steps with learning rates from {lowest:g} to {highest:g}")
    with np.errstate(all="ignore"):  # that it explodes in the end is the point
        return sweep(model, endless(batches), loss, optimizer, rates, settings.clip_grad)


def endless(loader: Any) -> Iterator[tuple[Any, Any]]:
    """Epoch after epoch."""
    while True:
        yield from loader


def write(folder: Path, figures: dict[str, Any], result: Sweep, settings: Settings) -> None:
    """lr.json and lr.html."""
    curve = asdict(result) | {"smoothed": result.smoothed}
    content = figures | curve | {"settings": to_dict(settings)}
    text = to_json(content, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / RESULT, text.encode(errors="backslashreplace"), "lr-find")
    data, date = run_folder.short_name(settings.data), run_folder.now_text()
    write_page(folder / PAGE, lr_page(figures, result, to_dict(settings), data, date), "lr-find")
