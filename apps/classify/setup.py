"""Everything that a run needs before its first step, made from its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import minidl
import models
from apps.classify.class_weights import class_weights
from apps.classify.data import Data, open_parts, prepare
from apps.classify.freezing import Plan, gives_scores_only, make_plan
from apps.classify.options import Settings
from apps.classify.start import Start, begin, resumed
from apps.shared.warm_up import warm_up
from minidl.nn import Module


@dataclass
class Setup:
    """A network, data, and what becomes of each parameter.

    Args:
        start: the network, and where its weights come from.
        data: pictures and what they go through.
        plan: which parameters learn, and when.
        class_weights: a factor for each class in the loss, or None.
    """

    start: Start
    data: Data
    plan: Plan
    class_weights: list[float] | None

    @property
    def model(self) -> Module:
        return self.start.model


def set_up(settings: Settings, say: Callable[[str], None], before: Any = None) -> Setup:
    """Open the data, build the network, load its weights, and decide what learns.

    Args:
        settings: of the run.
        say: called with lines for the user.
        before: the checkpoint of a run to go on with, from which the weights come then; or None.

    Raises:
        MinidlError: the settings do not fit the data, the network or the weights.
    """
    minidl.use_cpu_kernels(settings.cpu_kernels)
    minidl.manual_seed(settings.seed)
    parts = open_parts(settings)
    if before is None:
        start = begin(settings, parts, say)
    else:
        start = resumed(settings, parts, before.meta)
    data = prepare(parts, settings, start.channels, start.normalize)
    factors = class_weights(settings.class_weights, data.classes, data.train.labels)
    plan = make_plan(start.model, settings, start.fresh)
    return Setup(start, data, plan, factors)


def make_ready(settings: Settings, setup: Setup, epoch: int, say: Callable[[str], None]) -> None:
    """Say what is about to happen, and compile the kernels for it.

    Args:
        settings: of the run.
        setup: for it.
        epoch: the first one that is to come, which decides what learns.
        say: called with lines for the user.
    """
    model, entry = setup.model, models.entry(settings.model)
    setup.plan.apply(model, epoch)
    say(introduction(settings, setup.data, model))
    later = setup.plan.unfreeze_after is not None  # all that learns at any time
    heads = later or not entry.aux_heads or not gives_scores_only(model, entry)
    warm_up(model, (setup.data.channels, settings.pixels, settings.pixels), say, heads)


def introduction(settings: Settings, data: Data, model: Module) -> str:
    """What is about to happen, in one line."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    n, learning = sum(size for size, _ in sizes), sum(size for size, learns in sizes if learns)
    frozen = "" if n == learning else f", of which {learning:,} learn"
    held_out = f" + {len(data.validation):,} to validate" if data.validation else ""
    return (
        f"{settings.model} ({n:,} parameters{frozen}) on {settings.data}: {len(data.train):,} "
        f"pictures to train{held_out} + {len(data.test):,} to test, {len(data.classes)} classes"
    )
