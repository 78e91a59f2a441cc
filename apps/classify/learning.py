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
    look_on = make_callbacks(settings, folder, optimizer, meta, validation is not None)
    with np.errstate(over="ignore", invalid="ignore"):  # StopOnNaN explains it better
        return minidl.fit(
            model,
            training_loader(data, settings),
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
        callbacks.Metrics(folder / METRICS),
        callbacks.TensorBoard(folder),
        checkpoint,
        FirstCheckpoint(checkpoint),
        callbacks.Progress(),
    ]
    scheduler = make_scheduler(optimizer, settings)
    if scheduler is not None:
        chosen.append(callbacks.Schedule(scheduler))
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
