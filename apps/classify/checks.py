"""Options of a training run that contradict each other. (The table checks each one alone.)"""

from __future__ import annotations

from typing import Any

import models
from apps.classify.settings import Settings
from apps.shared.optimizer import MOMENTUM
from apps.shared.options import OptionError, check_values
from minidl.errors import nearest

FROM_DATA = {  # arguments of networks that are not the user's to choose -> what decides them
    "num_classes": "the number of classes is that of the data",
    "in_channels": "the colours are those of the data, or of the weights",
    "size": "--size sets the size of the pictures",
}


def check(settings: Settings, given: dict[str, Any] | None = None) -> None:
    """Check that every setting is in its range and that they fit together.

    Args:
        settings: all of them.
        given: those that the user gave, the others are defaults.

    Raises:
        OptionError
    """
    given = given or {}
    models.entry(settings.model)
    check_values(settings)
    check_model_args(settings)
    check_mode(settings)
    settings.check_slots()
    check_optimizer(settings, given)
    check_schedule(settings)
    check_loss(settings)
    check_cache(settings, given)


def check_model_args(settings: Settings) -> None:
    """--model-arg names arguments that the network has, and that are the user's to choose."""
    known = [name for name in models.registry.arguments_of(settings.model) if name not in FROM_DATA]
    for name, value in settings.model_args.items():
        received = {"--model-arg": f"{name}={value}"}
        if name in FROM_DATA:
            raise OptionError(FROM_DATA[name], received)
        if name not in known:
            raise OptionError(
                f"{settings.model} has no such argument", received, nearest(name, known)
            )


def check_mode(settings: Settings) -> None:
    """Which options belong to which of the three ways."""
    mode = settings.mode
    if mode == "scratch" and settings.weights is not None:
        raise OptionError(
            "training from scratch starts without weights", {"--weights": settings.weights},
            "--mode finetune or --mode frozen uses them",
        )  # fmt: skip
    if mode != "scratch" and settings.weights is None:
        raise OptionError(
            f"--mode {mode} starts from weights", {"--mode": mode},
            "--weights FILE, a run folder or a name; minidl weights list shows names",
        )  # fmt: skip
    if mode == "scratch":
        for flag, value in (
            ("--fresh", settings.fresh), ("--prefix", settings.prefix),
            ("--partial", settings.partial),
        ):  # fmt: skip
            if value:
                raise belongs(flag, value, "--mode finetune or --mode frozen")
    if mode != "frozen":
        check_nothing_frozen(settings)
    if settings.freeze and settings.train_from:
        raise OptionError(
            "--freeze and --train-from both say what is frozen",
            {"--freeze": settings.freeze, "--train-from": settings.train_from}, "give one of them",
        )  # fmt: skip
    after = settings.unfreeze_after
    if after is not None and after >= settings.epochs:
        raise OptionError(
            "the run ends before its frozen layers are to learn",
            {"--unfreeze-after": after, "--epochs": settings.epochs},
        )


def check_nothing_frozen(settings: Settings) -> None:
    """The options of --mode frozen are not given without it."""
    for flag, value in (
        ("--freeze", settings.freeze),
        ("--train-from", settings.train_from),
        ("--unfreeze-after", settings.unfreeze_after),
    ):
        if value:
            raise belongs(flag, value, "--mode frozen")


def belongs(flag: str, value: Any, where: str) -> OptionError:
    return OptionError(f"{flag} belongs to {where}", {flag: value})


def check_optimizer(settings: Settings, given: dict[str, Any]) -> None:
    """Momentum is for optimizers that have one."""
    if "momentum" in given and settings.optimizer not in MOMENTUM:
        raise OptionError(
            f"{settings.optimizer} has no momentum", {"--momentum": given["momentum"]},
            f"leave it out, or --optimizer {' or '.join(MOMENTUM)}",
        )  # fmt: skip


def check_schedule(settings: Settings) -> None:
    """Schedules and their numbers."""
    if (settings.schedule == "multistep") != bool(settings.milestones):
        raise OptionError(
            "--milestones and --schedule multistep belong together",
            {"--schedule": settings.schedule, "--milestones": settings.milestones},
            "as in --milestones 80,120, which implies the schedule",
        )
    if settings.milestones and settings.milestones[0] >= settings.epochs:
        raise OptionError(
            "the run ends before its first milestone",
            {"--milestones": settings.milestones, "--epochs": settings.epochs},
        )
    if settings.schedule == "plateau" and settings.warmup:
        raise OptionError(
            "plateau follows the validation loss alone and has no warm-up",
            {"--warmup": settings.warmup}, "another --schedule",
        )  # fmt: skip
    if settings.warmup > settings.epochs:
        raise OptionError(
            "the warm-up is longer than the run",
            {"--warmup": settings.warmup, "--epochs": settings.epochs},
        )


def check_loss(settings: Settings) -> None:
    """What the loss of lenet5_1998 cannot do."""
    if settings.loss != "map":
        return
    if settings.model != "lenet5_1998":
        raise belongs("--loss", "map", "lenet5_1998, whose scores are distances")
    for flag, value in (
        ("--mixup", settings.mixup),
        ("--label-smoothing", settings.label_smoothing),
        ("--class-weights", settings.class_weights),
    ):
        if value:
            raise OptionError(
                "the loss of lenet5_1998 as published takes labels alone", {flag: value},
                "--loss cross-entropy",
            )  # fmt: skip


def check_cache(settings: Settings, given: dict[str, Any]) -> None:
    """Features are computed once only where every epoch would compute the same."""
    if not settings.cache:
        return
    if settings.mode != "frozen":
        raise belongs("--cache", True, "--mode frozen")
    changing = {"--mixup": settings.mixup} if settings.mixup else {}
    if given.get("augment", "none") != "none":
        changing["--augment"] = given["augment"]
    if changing:
        raise OptionError(
            "features can be cached only of pictures that stay the same",
            {"--cache": True, **changing}, "leave out one of them",
        )  # fmt: skip
