"""The learning itself: optimizer, schedule, callbacks, and the call of minidl.fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import minidl
from apps.classify.data import Data, evaluation_loader, training_loader
from apps.classify.options import Settings
from apps.classify.run_folder import CHECKPOINT, METRICS
from minidl import callbacks, optim
from minidl.nn import CrossEntropyLoss, Module


def learn(
    model: Module, data: Data, settings: Settings, folder: Path, meta: dict[str, Any], resume: bool
) -> list[dict[str, Any]]:
    """Train the model on the data; the run folder follows.

    Args:
        model: with fresh weights; learns in place.
        data: what to learn from.
        settings: how.
        folder: where checkpoints and metrics go.
        meta: what the checkpoints say beside the numbers.
        resume: go on with the checkpoint in the folder.

    Returns:
        the history of minidl.fit, one dict per epoch.

    Raises:
        MinidlError, KeyboardInterrupt: as minidl.fit.
    """
    validation = None
    if data.validation is not None:
        validation = evaluation_loader(data.validation, data.preprocessing, settings.workers)
    optimizer = make_optimizer(model, settings)
    loader = training_loader(data, settings)
    schedule = make_schedule(optimizer, settings, len(loader))
    look_on = make_callbacks(settings, folder, schedule, meta, validation is not None)
    with np.errstate(over="ignore", invalid="ignore"):  # StopOnNaN explains it better
        return minidl.fit(
            model,
            loader,
            CrossEntropyLoss(),
            optimizer,
            settings.epochs,
            validation,
            look_on,
            resume=folder / CHECKPOINT if resume else None,
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


def make_schedule(optimizer: optim.Optimizer, settings: Settings, steps: int):
    """The callback that changes the learning rate, or None for a constant one.

    step: a tenth after each third of the epochs; exponential: to a hundredth over all of them;
    cosine: half a cosine from the full rate to 0, after each step; plateau: a fifth after three
    epochs in which the validation loss did not fall.

    Args:
        optimizer: whose rate it is.
        settings: schedule and epochs.
        steps: in an epoch.
    """
    epochs = settings.epochs
    if settings.schedule == "step":
        scheduler = optim.StepLR(optimizer, step_size=max(1, -(-epochs // 3)), gamma=0.1)
    elif settings.schedule == "exponential":
        scheduler = optim.ExponentialLR(optimizer, gamma=0.01 ** (1 / epochs))
    elif settings.schedule == "cosine":
        scheduler = optim.CosineAnnealingLR(optimizer, T_max=epochs * steps)
        return callbacks.Schedule(scheduler, every="step")
    elif settings.schedule == "plateau":
        scheduler = optim.ReduceLROnPlateau(optimizer, factor=0.2, patience=2)
    else:
        return None
    return callbacks.Schedule(scheduler)


def make_callbacks(
    settings: Settings, folder: Path, schedule: Any, meta: dict[str, Any], validated: bool
) -> list[callbacks.Callback]:
    """What looks on while the network learns."""
    monitor = "val_loss" if validated else "loss"
    checkpoint = callbacks.Checkpoint(folder, monitor=monitor, meta=meta)
    chosen = [
        callbacks.StopOnNaN(),
        callbacks.Metrics(folder / METRICS),
        callbacks.TensorBoard(folder),
        checkpoint,
        FirstCheckpoint(checkpoint),
        callbacks.Progress(),
    ]
    if schedule is not None:
        chosen.append(schedule)
    if settings.early_stopping is not None:
        # patience counts the epochs that are forgiven, the option the one that ends the run, too.
        chosen.append(callbacks.EarlyStopping(monitor, patience=settings.early_stopping - 1))
    return chosen


class FirstCheckpoint(callbacks.Callback):
    """Save before the first step, so that a run killed in its first epoch can go on, too."""

    order = callbacks.Checkpoint.order + 1

    def __init__(self, checkpoint: callbacks.Checkpoint):
        self.checkpoint = checkpoint

    def on_fit_start(self, run) -> None:
        if not self.checkpoint.path.exists():
            self.checkpoint.save(run)
