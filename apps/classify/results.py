"""The results of a run: the test, run.json and the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.classify.evaluation import evaluate
from apps.classify.losses import loss_note
from apps.classify.metrics import Evaluation
from apps.classify.report.page import write_report
from apps.classify.settings import Settings
from apps.classify.task import Task
from apps.shared import run_folder
from apps.shared.outcome import images_per_second, outcome, sentences
from apps.shared.trained import Trained
from minidl.errors import NonFiniteError


@dataclass
class Results:
    """The results of a run.

    Args:
        history: of minidl.fit, one dict per epoch.
        evaluation: of the test set.
        features: where features were cached and how many bytes they took, or why none were; None
            where nothing is frozen.
        seconds: that the run took.
        command: what the user typed.
    """

    history: list[dict[str, Any]]
    evaluation: Evaluation
    features: dict[str, Any] | None
    seconds: float
    command: str


def evaluate_on_test_set(task: Task, settings: Settings) -> Evaluation:
    """The figures that a run reports.

    Raises:
        NonFiniteError: the loss is no number.
    """
    data = task.data
    trained = Trained(
        task.model.eval(), settings.model, data.classes, data.preprocessing, task.meta
    )
    with np.errstate(over="ignore", invalid="ignore"):  # the error explains it better
        evaluation = evaluate(trained, data.test, settings.workers)
    if not math.isfinite(evaluation.loss):
        raise NonFiniteError(
            "evaluate", f"the test loss is {evaluation.loss}", {"lr": settings.lr},
            "look at the test data, lower the learning rate",
        )  # fmt: skip
    return evaluation


def write_results(folder: Path, task: Task, settings: Settings, results: Results) -> dict[str, Any]:
    """Write run.json and the report, and return the figures of the run; see training.train."""
    ending = outcome(
        results.history, settings.epochs, settings.early_stopping, settings.keep, task.data.monitor
    )
    figures = {
        "test_accuracy": results.evaluation.accuracy,
        "test_loss": results.evaluation.loss,
        **ending,
        "seconds": round(results.seconds, 2),
        "images_per_second": images_per_second(results.history),
        "run": str(folder),
    }
    model, data, meta = task.model, task.data, task.meta
    run = figures | {
        "model": settings.model,
        "data": run_folder.short_name(settings.data),
        "date": run_folder.now_text(),
        "command": results.command,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "classes": data.classes,
        "weights": task.network.weights,
        "frozen": [n for n, _ in model.named_parameters() if n in task.plan.frozen],
        "features": results.features,
        "class_weights": task.class_weights,
        "settings": meta["settings"]
        | {
            "preprocessing": meta["preprocessing"],
            "augmentation": [step.config() for step in data.augmentation],
        },
        "versions": run_folder.versions(),
    }
    page = run | {"curves_note": curves_note(task, settings, figures)}
    write_report(
        folder / run_folder.REPORT, page, results.history, results.evaluation, data.test, model,
        data.preprocessing,
    )  # fmt: skip
    run_folder.write_run(folder, run)
    return figures


def curves_note(task: Task, settings: Settings, figures: dict[str, Any]) -> str:
    """How the run ended, and what the curves are of."""
    held_out = task.data.validation
    what = "the test" if held_out is None else "validation and test"
    loss = loss_note(task.model, settings, task.class_weights, what)
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
