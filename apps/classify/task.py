"""What is trained, and on what: the data, the network, and which of its parameters learn when."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import minidl
import models
from apps.classify.class_weights import class_weights
from apps.classify.data import Data, open_parts, prepare
from apps.classify.network import Network, network_of_checkpoint, new_network
from apps.classify.plan import make_plan
from apps.classify.settings import LearningOptions, NetworkOptions, Settings
from apps.shared.freezing import Plan
from apps.shared.options import group, to_dict
from apps.shared.trained import description
from apps.shared.warm_up import black_pictures, warm_up
from minidl.errors import DataError
from minidl.nn import CrossEntropyLoss, Module


@dataclass
class Task:
    """Everything that a run has before its first step, made from its settings.

    Args:
        data: pictures and what they go through.
        network: with its weights, and where they come from.
        plan: which parameters learn, and when.
        class_weights: a factor for each class in the loss, or None.
        meta: what the checkpoints hold beside the weights.
    """

    data: Data
    network: Network
    plan: Plan
    class_weights: list[float] | None
    meta: dict[str, Any]

    @property
    def model(self) -> Module:
        return self.network.model


def prepare_task(settings: Settings, log: Callable[[str], None], checkpoint: Any = None) -> Task:
    """Open the data, build the network, load its weights, and decide what learns.

    Args:
        settings: of the run.
        log: called with lines for the user.
        checkpoint: of a run to go on with, from which the weights come then; or None.

    Raises:
        MinidlError: the settings do not fit the data, the network or the weights.
    """
    minidl.use_cpu_kernels(settings.cpu_kernels)
    minidl.manual_seed(settings.seed)
    parts = open_parts(settings.data, settings.data_dir, settings.test_share, settings.val_share)
    chosen, size = group(settings, NetworkOptions), settings.pixels
    if checkpoint is None:
        network = new_network(chosen, size, parts, log)
    else:
        network = network_of_checkpoint(chosen, size, parts, checkpoint.meta)
    data = prepare(
        parts, size, settings.augment, settings.recipe, network.channels, network.normalize
    )
    factors = class_weights(settings.class_weights, data.classes, data.train.labels)
    learning, entry = group(settings, LearningOptions), models.entry(settings.model)
    plan = make_plan(network.model, entry, settings.mode, learning, network.fresh)
    meta = description(
        settings.model, network.arguments, data.preprocessing, classes=data.classes,
        pictures=[len(data.train), len(data.validation or ())], class_weights=factors,
        weights=network.weights, settings=to_dict(settings),
    )  # fmt: skip
    if checkpoint is not None:
        check_same_data(meta, checkpoint.meta)
        network.model.load_state_dict(checkpoint.model)
    return Task(data, network, plan, factors, meta)


def check_same_data(now: dict[str, Any], before: dict[str, Any]) -> None:
    """The data are what they were when the run began, as far as the checkpoint can tell.

    Args:
        now, before: what checkpoints hold beside the weights.

    Raises:
        DataError
    """
    for key in ("classes", "pictures", "preprocessing", "model_arguments", "class_weights"):
        if now[key] != before.get(key):
            raise DataError(
                "resume", f"the data have changed since the run began: other {key}",
                {"data": now["settings"]["data"]}, "start a new run",
            )  # fmt: skip


def get_ready(task: Task, settings: Settings, epoch: int, log: Callable[[str], None]) -> None:
    """Say what is about to happen, and compile the kernels for it.

    Args:
        task, settings: of the run.
        epoch: the first one that is to come, which decides what learns.
        log: called with lines for the user.
    """
    task.plan.apply(task.model, epoch)
    log(introduction(task, settings))
    task.plan.apply(task.model, max(epoch, settings.epochs))  # what learns later has to fit, too
    shape = task.data.channels, settings.pixels, settings.pixels
    warm_up(lambda: train_and_evaluate(task.model, shape), log)
    task.plan.apply(task.model, epoch)


def train_and_evaluate(model: Module, picture_shape: tuple[int, int, int]) -> None:
    """One step of training and one of evaluation, each on a copy of the network.

    Args:
        model: gives scores; in training perhaps a tuple of them, those of auxiliary heads last.
        picture_shape: (C, H, W) of the pictures.
    """
    y = copy.deepcopy(model).train()(black_pictures(picture_shape, 2))
    scores = y if isinstance(y, tuple) else (y,)
    losses = [CrossEntropyLoss()(s, minidl.zeros(len(s), dtype="int64")) for s in scores]
    sum(losses[1:], losses[0]).backward()
    with minidl.no_grad():
        copy.deepcopy(model).eval()(black_pictures(picture_shape, 2))


def introduction(task: Task, settings: Settings) -> str:
    """What is about to happen, in one line."""
    data = task.data
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in task.model.parameters()]
    n, learning = sum(size for size, _ in sizes), sum(size for size, learns in sizes if learns)
    frozen = "" if n == learning else f", of which {learning:,} learn"
    held_out = f" + {len(data.validation):,} to validate" if data.validation else ""
    return (
        f"{settings.model} ({n:,} parameters{frozen}) on {settings.data}: {len(data.train):,} "
        f"pictures to train{held_out} + {len(data.test):,} to test, {len(data.classes)} classes"
    )
