"""Train a classifier: from settings to a run folder with weights, figures and a report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from apps.classify.evaluate import Trained, evaluate
from apps.classify.learning import Learning, learn
from apps.classify.losses import loss_note
from apps.classify.metrics import Evaluation
from apps.classify.options import Settings
from apps.classify.report.page import write_report
from apps.classify.setup import Setup, make_ready, set_up
from apps.shared import run_folder
from apps.shared.outcome import has_waited, outcome, sentences, why_no_further
from apps.shared.run_folder import BEST, CHECKPOINT, REPORT
from minidl.errors import DataError, NonFiniteError


def train(
    settings: Settings, folder: Path, command: str, say: Callable[[str], None], resume: bool = False
) -> dict[str, Any]:
    """Train, evaluate on the test set, and fill the run folder.

    Args:
        settings: everything that decides the result.
        folder: the run folder, there already.
        command: what the user typed, for the report.
        say: called with each line of text for the user.
        resume: go on with the checkpoint in the folder.

    Returns:
        the figures: test_accuracy, test_loss, epochs, best_epoch, tested_epoch, stopped_early (see
        outcome), seconds (with what an interrupted run took before), images_per_second, run.

    Raises:
        MinidlError: bad data, a full disk, a loss that became NaN, ...
        KeyboardInterrupt: after the state was saved.
    """
    started = time.perf_counter()
    before = minidl.io.load_checkpoint(folder / CHECKPOINT) if resume else None
    setup = set_up(settings, say, before)
    model, data = setup.model, setup.data
    meta = describe(settings, setup)
    how = Learning(settings, setup.plan, setup.class_weights, folder, meta)
    if before:
        check_same_data(meta, before.meta)
        started -= seconds_spent(before.run)
        how.epochs_done = before.run.get("epochs_finished", 0)
        how.finished = trains_no_further(before.run, settings, say)
        model.load_state_dict(before.model)
    make_ready(settings, setup, (how.epochs_done or 0) + 1, say)
    history, cached = learn(model, data, how, say)
    setup.plan.apply(model, len(history))  # also where nothing was left to learn

    if settings.keep == "best":
        model.load_state_dict(minidl.io.load_checkpoint(folder / BEST).model)
    trained = Trained(model.eval(), settings.model, data.classes, data.preprocessing, meta)
    with np.errstate(over="ignore", invalid="ignore"):  # the error explains it better
        evaluation = evaluate(trained, data.test, settings.workers)
    if not math.isfinite(evaluation.loss):
        raise NonFiniteError(
            "train", f"the test loss is {evaluation.loss}", {"lr": settings.lr},
            "look at the test data, lower the learning rate",
        )  # fmt: skip
    figures = {
        "test_accuracy": evaluation.accuracy,
        "test_loss": evaluation.loss,
        **outcome(history, settings),
        "seconds": round(time.perf_counter() - started, 2),
        "images_per_second": images_per_second(history),
        "run": str(folder),
    }
    meta = meta | {"features": cached}
    finish(folder, figures, meta, settings, setup, evaluation, history, command)
    return figures


def describe(settings: Settings, setup: Setup) -> dict[str, Any]:
    """What a checkpoint says beside the numbers: enough to use the network, and to go on."""
    data = setup.data
    return {
        "model": settings.model,
        "model_arguments": setup.start.arguments,
        "classes": data.classes,
        "preprocessing": data.preprocessing.config(),
        "pictures": [len(data.train), len(data.validation or ())],
        "class_weights": setup.class_weights,
        "weights": setup.start.weights,
        "settings": settings.to_json(),
    }


def check_same_data(now: dict[str, Any], before: dict[str, Any]) -> None:
    """The data are what they were when the run began, as far as the checkpoint can tell.

    Raises:
        DataError
    """
    for key in ("classes", "pictures", "preprocessing", "model_arguments", "class_weights"):
        if now[key] != before.get(key):
            raise DataError(
                "train", f"the data have changed since the run began: other {key}",
                {"data": now["settings"]["data"]}, "start a new run",
            )  # fmt: skip


def trains_no_further(run: dict[str, Any], settings: Settings, say: Callable[[str], None]) -> bool:
    """Whether a resumed run has done all its epochs or stopped early; if so, says it."""
    try:
        history = run["history"]
        stopped = run["stop"] and has_waited(history, settings)
        if len(history) < settings.epochs and not stopped:
            return False
    except (LookupError, TypeError):
        return False  # damaged: going on with it will say so
    say(why_no_further(history, settings))
    return True


def seconds_spent(run: dict[str, Any]) -> float:
    """Seconds of training before an interruption, as the state of a run tells them."""
    try:
        return sum(epoch["seconds"] for epoch in run["history"]) + run["totals"]["seconds"]
    except (LookupError, TypeError):
        return 0.0  # damaged: going on with it will say so


def images_per_second(history: list[dict[str, Any]]) -> float:
    """Training pictures per second of training, over all epochs."""
    seconds = sum(epoch["seconds"] for epoch in history)
    count = sum(epoch["seconds"] * epoch["images_per_second"] for epoch in history)
    return round(count / seconds, 1) if seconds else 0.0


def finish(
    folder: Path,
    figures: dict[str, Any],
    meta: dict[str, Any],
    settings: Settings,
    setup: Setup,
    evaluation: Evaluation,
    history: list[dict[str, Any]],
    command: str,
) -> None:
    """Write run.json and the report."""
    model, data = setup.model, setup.data
    augmentation = [step.config() for step in data.augmentation]
    run = figures | {
        "model": meta["model"],
        "data": run_folder.short_name(meta["settings"]["data"]),
        "date": run_folder.now_text(),
        "command": command,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "classes": meta["classes"],
        "weights": meta["weights"],
        "frozen": [n for n, _ in model.named_parameters() if n in setup.plan.frozen],
        "features": meta["features"],
        "class_weights": meta["class_weights"],
        "settings": meta["settings"]
        | {"preprocessing": meta["preprocessing"], "augmentation": augmentation},
        "versions": run_folder.versions(),
        "curves_note": curves_note(settings, setup, figures),
    }
    write_report(folder / REPORT, run, history, evaluation, data.test, model, data.preprocessing)
    del run["curves_note"]
    run_folder.write_run(folder, run)


def curves_note(settings: Settings, setup: Setup, figures: dict[str, Any]) -> str:
    """How the run ended, and what the curves are of."""
    held_out = setup.data.validation
    what = "the test" if held_out is None else "validation and test"
    loss = loss_note(setup.model, settings, setup.class_weights, what)
    if held_out is None:
        said = ["There were too few pictures to hold some out for validation.", loss]
    else:
        said = [
            f"Validation: {len(held_out):,} pictures held out from training.",
            "Training figures are means over the epoch, while the weights change.",
            loss,
            "The test pictures are looked at once, at the end.",
        ]
    ending = [f"{text[:1].upper()}{text[1:]}." for text in sentences(figures)]
    return " ".join(text for text in (*ending, *said) if text)
