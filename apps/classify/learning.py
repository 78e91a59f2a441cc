"""The learning itself: optimizer, loss, schedule, callbacks, and the call of minidl.fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minidl
import models
from apps.classify.data import Data, evaluation_loader
from apps.classify.feature_cache import FeatureCache, FeatureLoader, NotCached
from apps.classify.freezing import Freezing, Plan
from apps.classify.losses import make_loss
from apps.classify.options import Settings
from apps.shared.run_folder import CHECKPOINT, METRICS
from apps.shared.schedule import make_schedule
from apps.shared.warm_up import batch
from minidl import callbacks, optim
from minidl.data import Mixup
from minidl.nn import CrossEntropyLoss, Module


@dataclass
class Learning:
    """What learn needs beside the network and the data.

    Args:
        settings: how.
        plan: which parameters learn, and when.
        weights: a factor for each class in the loss, or None.
        folder: where checkpoints and metrics go.
        meta: what the checkpoints say beside the numbers.
        epochs_done: of an interrupted run to go on with; None for a new run.
        finished: whether such a run has done all its epochs, or stopped early.
    """

    settings: Settings
    plan: Plan
    weights: list[float] | None
    folder: Path
    meta: dict[str, Any]
    epochs_done: int | None = None
    finished: bool = False


def learn(
    model: Module, data: Data, how: Learning, say: Callable[[str], None]
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Train the model on the data; the run folder follows.

    Args:
        model: with the weights it starts from; learns in place.
        data: what to learn from.
        how: everything else.
        say: called with a line for the user, about features that are cached or not.

    Returns:
        the history of minidl.fit, one dict per epoch; and where features were cached and how many
        bytes they took, or why none were; None where nothing is frozen.

    Raises:
        MinidlError, KeyboardInterrupt: as minidl.fit.
    """
    settings = how.settings
    how.plan.apply(model, (how.epochs_done or 0) + 1)
    loader, validation = make_loaders(data, settings)
    cache, cached = make_cache(model, data, how, say)
    optimizer = make_optimizer(model, settings, how.plan.factors)
    steps = -(-len(loader) // settings.accumulate)
    schedule = make_schedule(optimizer, settings, steps)
    look_on = make_callbacks(settings, how.folder, schedule, how.meta, validation is not None)
    if how.plan.frozen or 0 in how.plan.factors.values():
        look_on.append(Freezing(how.plan, sample(data), models.entry(settings.model), cache))
    mixed = Mixup(loader, settings.mixup, len(data.classes)) if settings.mixup else loader
    try:
        if cache is not None:
            cache.enter(loader, validation)
        with np.errstate(over="ignore", invalid="ignore"):  # StopOnNaN explains it better
            history = minidl.fit(
                model,
                mixed,
                make_loss(model, settings, how.weights),
                optimizer,
                settings.epochs,
                validation,
                look_on,
                resume=None if how.epochs_done is None else how.folder / CHECKPOINT,
                accumulate=settings.accumulate,
                validation_loss=CrossEntropyLoss(),
            )
    finally:
        if cache is not None:
            cache.leave()
    if cache is not None:
        cache.remove()
    return history, cached


def make_loaders(data: Data, settings: Settings) -> tuple[FeatureLoader, FeatureLoader | None]:
    """Batches to train on, shuffled and augmented, and to validate with.

    What is in them depends on the seed alone. A last batch of a single picture is left out, another
    one in each epoch: batch norm has nothing to average where it sees one number of each map.
    """
    workers, n = settings.workers, len(data.train)
    loader = FeatureLoader(
        data.train, settings.batch_size, data.training,
        shuffle=True, seed=settings.seed, num_workers=workers,
        drop_last=n > settings.batch_size > 1 and n % settings.batch_size == 1,
    )  # fmt: skip
    if data.validation is None:
        return loader, None
    plain = evaluation_loader(data.validation, data.preprocessing, workers)
    validation = FeatureLoader(
        data.validation, plain.batch_size, data.preprocessing, num_workers=workers
    )
    return loader, validation


def sample(data: Data) -> minidl.Tensor:
    """A black picture as the network gets it: to see which way pictures take through it."""
    shape = data.preprocessing(data.train[0][0]).shape
    return batch(shape, 1)


def make_cache(
    model: Module, data: Data, how: Learning, say: Callable[[str], None]
) -> tuple[FeatureCache | None, dict[str, Any] | None]:
    """The features of the frozen part, computed; or None, and why.

    Returns:
        the cache, None where no epoch will use it; and for the report {"behind", "bytes"} or
        {"reason"}, None where nothing is frozen.
    """
    settings, after = how.settings, how.plan.unfreeze_after
    if settings.mode != "frozen":
        return None, None
    if after is not None and (how.epochs_done or 0) >= after:
        return None, {"reason": "all layers learn"}
    try:
        if not settings.cache:
            raise NotCached(why_not(settings))
        cache = FeatureCache(model, data, sample(data), how.folder)
        facts = {"behind": cache.place, "bytes": cache.bytes}
        if how.finished:
            cache.remove()  # it was killed before it did so
            return None, facts
        cache.compute(settings.workers, say)
        return cache, facts
    except NotCached as reason:
        say(f"features are not cached: {reason}")
        return None, {"reason": str(reason)}


def why_not(settings: Settings) -> str:
    """Why the settings rule out that features are computed once."""
    if settings.mixup:
        return "mixup blends other pictures in each epoch"
    if settings.augment != "none":
        return f"the pictures are others in each epoch (augmentation: {settings.augment})"
    return "as asked"


# --- what fit needs -----------------------------------------------------------------------------


def make_optimizer(
    model: Module, settings: Settings, factors: dict[str, float] | None = None
) -> optim.Optimizer:
    """The optimizer of all parameters, in groups of one learning rate and weight decay.

    Args:
        model: whose parameters; frozen ones are among them, and are skipped while they are.
        settings: optimizer, lr, momentum, weight_decay, bias_decay.
        factors: on the learning rate, by name of the parameter; None for 1.
    """
    lr, decay = settings.lr, settings.weight_decay
    groups = parameter_groups(model, settings, factors or {})
    if settings.optimizer == "sgd":
        return optim.SGD(groups, lr, momentum=settings.momentum, weight_decay=decay)
    if settings.optimizer == "rmsprop":
        return optim.RMSprop(groups, lr, momentum=settings.momentum, weight_decay=decay)
    if settings.optimizer == "adagrad":
        return optim.Adagrad(groups, lr, weight_decay=decay)
    make = {"adam": optim.Adam, "adamw": optim.AdamW}[settings.optimizer]
    return make(groups, lr, weight_decay=decay)


def parameter_groups(
    model: Module, settings: Settings, factors: dict[str, float]
) -> list[dict[str, Any]]:
    """Groups of parameters with the same factor and weight decay, in order of appearance.

    Without weight decay for vectors, which are biases and what norms multiply by and add, if the
    settings say so: shrinking them does not make the network simpler.
    """
    groups: dict[tuple, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        decays = settings.bias_decay or parameter.ndim > 1
        decay = settings.weight_decay if decays else 0.0
        factor = factors.get(name, 1.0)
        group = {"params": [], "lr_mult": factor, "weight_decay": decay}
        groups.setdefault((factor, decay), group)["params"].append(parameter)
    return list(groups.values())


def make_callbacks(
    settings: Settings, folder: Path, schedule: Any, meta: dict[str, Any], validated: bool
) -> list[callbacks.Callback]:
    """What looks on while the network learns."""
    monitor = "val_loss" if validated else "loss"
    checkpoint = callbacks.Checkpoint(folder, monitor=monitor, meta=meta)
    chosen: list[callbacks.Callback] = [
        callbacks.StopOnNaN(),
        callbacks.Metrics(folder / METRICS),
        callbacks.TensorBoard(folder),
        checkpoint,
        FirstCheckpoint(checkpoint),
        callbacks.Progress(),
    ]
    if schedule is not None:
        chosen.append(schedule)
    if settings.clip_grad is not None:
        chosen.append(callbacks.ClipGradients(settings.clip_grad))
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
