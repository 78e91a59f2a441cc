"""Train a classifier: from settings to a run folder with weights, figures and a report."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minidl
import models
from apps.classify import run_folder
from apps.classify.data import Data, evaluation_loader, open_data, training_loader
from apps.classify.evaluate import Trained, evaluate
from apps.classify.metrics import Evaluation
from apps.classify.options import Settings
from apps.classify.report import write_report
from apps.classify.run_folder import BEST, CHECKPOINT, REPORT
from apps.classify.warm_up import warm_up
from minidl import callbacks, optim
from minidl.errors import DataError
from minidl.nn import CrossEntropyLoss, Module


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
        the figures: test_accuracy, test_loss, epochs, seconds, images_per_second, run.

    Raises:
        MinidlError: bad data, a full disk, a loss that became NaN, ...
        KeyboardInterrupt: after the state was saved.
    """
    started = time.perf_counter()
    minidl.use_cpu_kernels(settings.cpu_kernels)
    minidl.manual_seed(settings.seed)
    data = open_data(settings)
    arguments = {"num_classes": len(data.train.classes), "in_channels": data.channels}
    model = models.build(settings.model, **arguments)
    say(introduction(settings, data, model))
    size = models.entry(settings.model).size
    warm_up(model, (data.channels, size, size), say)

    optimizer = make_optimizer(model, settings)
    meta = {
        "model": settings.model,
        "model_arguments": arguments,
        "classes": data.train.classes,
        "preprocessing": data.preprocessing.config(),
        "pictures": [len(data.train), len(data.validation or ())],
        "settings": settings.to_json(),
    }
    if resume:
        check_same_data(meta, minidl.io.load_checkpoint(folder / CHECKPOINT).meta, settings.data)
    validation = data.validation and evaluation_loader(data.validation, data.preprocessing)
    loader = training_loader(data, settings)
    look_on = make_callbacks(settings, folder, optimizer, meta, validation is not None)
    with np.errstate(over="ignore", invalid="ignore"):  # StopOnNaN explains it better
        history = minidl.fit(
            model,
            loader,
            CrossEntropyLoss(),
            optimizer,
            settings.epochs,
            validation,
            look_on,
            resume=folder / CHECKPOINT if resume else None,
        )

    if settings.early_stopping is not None:
        model.load_state_dict(minidl.io.load_checkpoint(folder / BEST).model)
    trained = Trained(model.eval(), settings.model, data.train.classes, data.preprocessing, meta)
    evaluation = evaluate(trained, data.test, settings.workers)
    figures = {
        "test_accuracy": evaluation.accuracy,
        "test_loss": evaluation.loss,
        "epochs": len(history),
        "seconds": round(time.perf_counter() - started, 2),
        "images_per_second": images_per_second(history),
        "run": str(folder),
    }
    finish(folder, figures, meta, data, evaluation, history, model, command)
    return figures


def check_same_data(now: dict[str, Any], before: dict[str, Any], data: str) -> None:
    """The data are what they were when the run began, as far as the checkpoint can tell.

    Raises:
        DataError
    """
    for key in ("classes", "pictures", "preprocessing", "model_arguments"):
        if now[key] != before.get(key):
            raise DataError(
                "train", f"the data have changed since the run began: other {key}", {"data": data},
                "start a new run",
            )  # fmt: skip


def introduction(settings: Settings, data: Data, model: Module) -> str:
    """What is about to happen, in one line."""
    n = sum(parameter.numel() for parameter in model.parameters())
    held_out = f" + {len(data.validation):,} to validate" if data.validation else ""
    return (
        f"{settings.model} ({n:,} parameters) on {settings.data}: {len(data.train):,} pictures "
        f"to train{held_out} + {len(data.test):,} to test, {len(data.train.classes)} classes"
    )


def make_optimizer(model: Module, settings: Settings) -> optim.Optimizer:
    parameters, lr, decay = list(model.parameters()), settings.lr, settings.weight_decay
    if settings.optimizer == "sgd":
        return optim.SGD(parameters, lr, momentum=settings.momentum, weight_decay=decay)
    if settings.optimizer == "rmsprop":
        return optim.RMSprop(parameters, lr, momentum=settings.momentum, weight_decay=decay)
    if settings.optimizer == "adagrad":
        return optim.Adagrad(parameters, lr, weight_decay=decay)
    make = {"adam": optim.Adam, "adamw": optim.AdamW}[settings.optimizer]
    return make(parameters, lr, weight_decay=decay)


def make_scheduler(optimizer: optim.Optimizer, settings: Settings):
    """The learning rate over the epochs, or None for a constant one.

    step: a tenth after each third of the epochs; exponential: to a hundredth over all of them;
    cosine: half a cosine from the full rate towards 0; plateau: a fifth after three epochs in
    which the validation loss did not fall.
    """
    epochs = settings.epochs
    if settings.schedule == "step":
        return optim.StepLR(optimizer, step_size=max(1, -(-epochs // 3)), gamma=0.1)
    if settings.schedule == "exponential":
        return optim.ExponentialLR(optimizer, gamma=0.01 ** (1 / epochs))
    if settings.schedule == "cosine":
        return optim.CosineAnnealingLR(optimizer, T_max=epochs)
    if settings.schedule == "plateau":
        return optim.ReduceLROnPlateau(optimizer, factor=0.2, patience=2)
    return None


def make_callbacks(
    settings: Settings, folder: Path, optimizer, meta: dict[str, Any], validated: bool
) -> list[callbacks.Callback]:
    """What looks on while the network learns."""
    monitor = "val_loss" if validated else "loss"
    checkpoint = callbacks.Checkpoint(folder, monitor=monitor, meta=meta)
    chosen = [
        callbacks.StopOnNaN(),
        callbacks.Metrics(folder / "metrics.jsonl"),
        callbacks.TensorBoard(folder),
        checkpoint,
        FirstCheckpoint(checkpoint),
        callbacks.Progress(),
    ]
    scheduler = make_scheduler(optimizer, settings)
    if scheduler is not None:
        chosen.append(callbacks.Schedule(scheduler))
    if settings.early_stopping is not None:
        chosen.append(callbacks.EarlyStopping(monitor, patience=settings.early_stopping))
    return chosen


class FirstCheckpoint(callbacks.Callback):
    """Save before the first step, so that a run killed in its first epoch can go on, too."""

    order = callbacks.Checkpoint.order + 1

    def __init__(self, checkpoint: callbacks.Checkpoint):
        self.checkpoint = checkpoint

    def on_fit_start(self, run) -> None:
        if not self.checkpoint.path.exists():
            self.checkpoint.save(run)


def images_per_second(history: list[dict[str, Any]]) -> float:
    """Training pictures per second of training, over all epochs."""
    seconds = sum(epoch["seconds"] for epoch in history)
    count = sum(epoch["seconds"] * epoch["images_per_second"] for epoch in history)
    return round(count / seconds, 1) if seconds else 0.0


def finish(
    folder: Path,
    figures: dict[str, Any],
    meta: dict[str, Any],
    data: Data,
    evaluation: Evaluation,
    history: list[dict[str, Any]],
    model: Module,
    command: str,
) -> None:
    """Write run.json and the report."""
    augmentation = [step.config() for step in data.augmentation]
    run = figures | {
        "model": meta["model"],
        "data": run_folder.short_name(meta["settings"]["data"]),
        "date": run_folder.now_text(),
        "command": command,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "classes": meta["classes"],
        "settings": meta["settings"]
        | {"preprocessing": meta["preprocessing"], "augmentation": augmentation},
        "versions": run_folder.versions(),
        "curves_note": curves_note(data),
    }
    write_report(folder / REPORT, run, history, evaluation, data.test, model)
    del run["curves_note"]
    run_folder.write_run(folder, run)


def curves_note(data: Data) -> str:
    """What the curves are of."""
    if data.validation is None:
        return "There were too few pictures to hold some out for validation."
    return (
        f"Validation: {len(data.validation):,} pictures held out from training. Training figures "
        "are means over the epoch, while the weights change. The test pictures are looked at "
        "once, at the end."
    )
