"""Train a classifier: from settings to a run folder with weights, figures and a report.

settings -> data, network, what learns -> optimizer, callbacks -> fit -> evaluation -> report
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from apps.classify.data import make_loaders
from apps.classify.losses import make_loss
from apps.classify.results import Results, evaluate_on_test_set, write_results
from apps.classify.settings import Settings
from apps.classify.task import Task, get_ready, prepare_task
from apps.shared.callbacks import standard_callbacks
from apps.shared.cut import NotCached, check_alone
from apps.shared.feature_cache import FeatureCache, remove_features
from apps.shared.freezing import Freezing
from apps.shared.optimizer import OptimizerOptions, make_optimizer
from apps.shared.options import group
from apps.shared.outcome import seconds_spent, trains_no_further
from apps.shared.run_folder import BEST, CHECKPOINT
from apps.shared.schedule import ScheduleOptions, make_schedule
from minidl.data import Mixup
from minidl.nn import CrossEntropyLoss


def train(
    settings: Settings,
    folder: Path,
    command: str,
    log: Callable[[str], None],
    checkpoint: Any = None,
) -> dict[str, Any]:
    """Train, evaluate on the test set, and fill the run folder.

    Args:
        settings: everything that decides the result.
        folder: the run folder, there already.
        command: what the user typed, for the report.
        log: called with each line of text for the user.
        checkpoint: that of the run in the folder, to go on with; None for a new run.

    Returns:
        the figures: test_accuracy, test_loss, epochs, best_epoch, tested_epoch, stopped_early (see
        outcome), seconds (with what an interrupted run took before), images_per_second, run.

    Raises:
        MinidlError: bad data, a full disk, a loss that became NaN, ...
        KeyboardInterrupt: after the state was saved.
    """
    started = time.perf_counter()
    begun = checkpoint.run if checkpoint else {}
    started -= seconds_spent(begun)
    epoch = begun.get("epochs_finished", 0) + 1  # the first one still to train

    task = prepare_task(settings, log, checkpoint)
    model, data, plan = task.model, task.data, task.plan
    finished = trains_no_further(begun, settings.epochs, settings.early_stopping, data.monitor)
    if finished:
        log(finished)
    get_ready(task, settings, epoch, log)

    loader, validation = make_loaders(data, settings.slot_size, settings.seed, settings.workers)
    cache, features = cache_features(task, settings, folder, epoch, bool(finished), log)
    if cache is not None:
        cache.enter(train=loader, validation=validation)
    optimizer = make_optimizer(model, group(settings, OptimizerOptions), plan.factors)
    steps = -(-len(loader) // settings.slots_per_step)
    schedule = make_schedule(optimizer, group(settings, ScheduleOptions), settings.epochs, steps)
    callbacks = standard_callbacks(
        folder, task.meta, data.monitor, settings.early_stopping, settings.clip_grad, schedule
    )
    if plan.freezes:
        callbacks.append(Freezing(plan, model, data.sample(), cache))

    with np.errstate(over="ignore", invalid="ignore"):  # StopOnNaN explains it better
        history = minidl.fit(
            model if cache is None else cache.model,
            Mixup(loader, settings.mixup, len(data.classes)) if settings.mixup else loader,
            make_loss(model, settings, task.class_weights),
            optimizer,
            settings.epochs,
            validation,
            callbacks,
            resume=folder / CHECKPOINT if checkpoint else None,
            accumulate=settings.slots_per_step,
            validation_loss=CrossEntropyLoss(),
        )
    if cache is not None:
        cache.remove()

    plan.apply(model, len(history))  # as in the last epoch, even if this call trained none
    if settings.keep == "best":
        model.load_state_dict(minidl.io.load_checkpoint(folder / BEST).model)
    evaluation = evaluate_on_test_set(task, settings)
    seconds = time.perf_counter() - started
    return write_results(
        folder, task, settings, Results(history, evaluation, features, seconds, command)
    )


def cache_features(
    task: Task,
    settings: Settings,
    folder: Path,
    epoch: int,
    finished: bool,
    log: Callable[[str], None],
) -> tuple[FeatureCache | None, dict[str, Any] | None]:
    """The features of the frozen part, computed; or None, and why.

    Args:
        task, settings, folder: of the run.
        epoch: the first one still to train.
        finished: whether there is none.
        log: called with lines for the user.

    Returns:
        the cache, None where no epoch will use it; and for the report {"behind", "bytes"} or
        {"reason"}, None where nothing is frozen.
    """
    data, after = task.data, task.plan.unfreeze_after
    if settings.mode != "frozen":
        return None, None
    if after is not None and epoch > after:
        remove_features(folder)  # of the epochs before, if there the run was interrupted
        return None, {"reason": "all layers learn"}
    parts = {"train": data.train, "validation": data.validation}
    parts = {name: part for name, part in parts.items() if part is not None}
    try:
        check_alone()
        if not settings.cache:
            raise NotCached(why_not_cached(settings))
        cache = FeatureCache(task.model, parts, data.preprocessing, data.sample(), folder)
        facts = {"behind": cache.place, "bytes": cache.bytes}
        if finished:
            cache.remove()  # the run was killed before it did so
            return None, facts
        cache.compute(settings.workers, log)
        return cache, facts
    except NotCached as reason:
        log(f"features are not cached: {reason}")
        return None, {"reason": str(reason)}


def why_not_cached(settings: Settings) -> str:
    """Why, by the settings, features cannot be computed once and kept."""
    if settings.mixup:
        return "mixup blends different pictures in each epoch"
    if settings.augment != "none":
        return f"the pictures differ in each epoch (augmentation: {settings.augment})"
    return "as asked"
