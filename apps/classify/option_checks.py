"""Every option of a training run is in its range, and none contradicts another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import models
from apps.classify.augmentation import CHOICES as AUGMENTATIONS
from apps.shared.schedule import CHOICES as SCHEDULES
from minidl.errors import ArgumentError, nearest
from minidl.kernels import CPU_SETS

if TYPE_CHECKING:
    from apps.classify.options import Settings

LOSSES = ("cross-entropy", "map")
MODES = ("scratch", "finetune", "frozen")
FROM_DATA = {  # arguments of networks that are not the user's to choose -> what decides them
    "num_classes": "the number of classes is that of the data",
    "in_channels": "the colours are those of the data, or of the weights",
    "size": "--size sets the size of the pictures",
}


def check(settings: Settings, given: dict[str, Any] | None = None) -> None:
    """Every setting is in its range, and they fit together.

    Args:
        settings: all of them.
        given: those that the user gave, the others are defaults.

    Raises:
        ArgumentError
    """
    models.entry(settings.model)
    check_numbers(settings)
    check_model_args(settings)
    check_mode(settings)
    check_training(settings)
    check_loss(settings)
    check_cache(settings, given or {})


def check_numbers(settings: Settings) -> None:
    """Numbers and names, one by one."""
    choose("schedule", settings.schedule, SCHEDULES)
    choose("cpu-kernels", settings.cpu_kernels, CPU_SETS)
    choose("mode", settings.mode, MODES)
    choose("augment", settings.augment, AUGMENTATIONS)
    choose("keep", settings.keep, ("best", "last"))
    choose("loss", settings.loss, LOSSES)
    at_least("epochs", settings.epochs, 1)
    at_least("batch-size", settings.batch_size, 1)
    at_least("accumulate", settings.accumulate, 1)
    for name in (
        "workers", "seed", "weight_decay", "momentum", "warmup", "mixup", "label_smoothing",
        "unfreeze_lr_mult", "fresh_lr_mult",
    ):  # fmt: skip
        at_least(name.replace("_", "-"), getattr(settings, name), 0)
    for name in ("early_stopping", "size", "unfreeze_after"):
        if getattr(settings, name) is not None:
            at_least(name.replace("_", "-"), getattr(settings, name), 1)
    above_zero("lr", settings.lr)
    if settings.clip_grad is not None:
        above_zero("clip-grad", settings.clip_grad)
    below("momentum", settings.momentum, 1)
    below("label-smoothing", settings.label_smoothing, 1)
    share = settings.test_share
    if share is not None and not 0 < share < 1:
        raise ArgumentError("train", "test-share lies between 0 and 1", {"--test-share": share})
    if settings.seed >= 2**63:
        raise ArgumentError("train", "seed must be below 2^63", {"--seed": settings.seed})


def check_model_args(settings: Settings) -> None:
    """--model-arg names arguments that the network has, and that are the user's to choose."""
    known = [name for name in models.registry.arguments_of(settings.model) if name not in FROM_DATA]
    for name, value in settings.model_args.items():
        if name in FROM_DATA:
            raise ArgumentError("train", FROM_DATA[name], {"--model-arg": f"{name}={value}"})
        if name not in known:
            raise ArgumentError(
                "train", f"{settings.model} has no such argument",
                {"--model-arg": f"{name}={value}"}, nearest(name, known),
            )  # fmt: skip


def check_mode(settings: Settings) -> None:
    """Which options belong to which of the three ways."""
    mode = settings.mode
    if mode == "scratch" and settings.weights is not None:
        raise ArgumentError(
            "train", "training from scratch starts without weights",
            {"--weights": settings.weights}, "--mode finetune or --mode frozen uses them",
        )  # fmt: skip
    if mode != "scratch" and settings.weights is None:
        raise ArgumentError(
            "train", f"--mode {mode} starts from weights", {"--mode": mode},
            "--weights FILE, a run folder or a name; minidl weights list shows names",
        )  # fmt: skip
    if settings.fresh and mode == "scratch":
        raise belongs("fresh", settings.fresh, "--mode finetune or --mode frozen")
    for name in ("freeze", "train_from", "unfreeze_after"):
        if getattr(settings, name) and mode != "frozen":
            raise belongs(name, getattr(settings, name), "--mode frozen")
    if settings.freeze and settings.train_from:
        raise ArgumentError(
            "train", "--freeze and --train-from both say what is frozen",
            {"--freeze": settings.freeze, "--train-from": settings.train_from}, "give one of them",
        )  # fmt: skip
    after = settings.unfreeze_after
    if after is not None and after >= settings.epochs:
        raise ArgumentError(
            "train", "the run ends before its frozen layers are to learn",
            {"--unfreeze-after": after, "--epochs": settings.epochs},
        )  # fmt: skip


def belongs(name: str, value: Any, where: str) -> ArgumentError:
    option = f"--{name.replace('_', '-')}"
    return ArgumentError("train", f"{option} belongs to {where}", {option: value})


def check_training(settings: Settings) -> None:
    """Schedules and their numbers."""
    if (settings.schedule == "multistep") != bool(settings.milestones):
        raise ArgumentError(
            "train", "--milestones and --schedule multistep belong together",
            {"--schedule": settings.schedule, "--milestones": settings.milestones},
            "as in --milestones 80,120, which implies the schedule",
        )  # fmt: skip
    if settings.milestones and settings.milestones[0] >= settings.epochs:
        raise ArgumentError(
            "train", "the run ends before its first milestone",
            {"--milestones": settings.milestones, "--epochs": settings.epochs},
        )  # fmt: skip
    if settings.schedule == "plateau" and settings.warmup:
        raise ArgumentError(
            "train", "plateau follows the validation loss alone and has no warm-up",
            {"--warmup": settings.warmup}, "another --schedule",
        )  # fmt: skip
    if settings.warmup > settings.epochs:
        raise ArgumentError(
            "train", "the warm-up is longer than the run",
            {"--warmup": settings.warmup, "--epochs": settings.epochs},
        )  # fmt: skip


def check_loss(settings: Settings) -> None:
    """What the loss of lenet5_1998 cannot do."""
    if settings.loss != "map":
        return
    if settings.model != "lenet5_1998":
        raise belongs("loss", "map", "lenet5_1998, whose scores are distances")
    for name in ("mixup", "label_smoothing", "class_weights"):
        if getattr(settings, name):
            raise ArgumentError(
                "train", "the loss of lenet5_1998 as published knows labels alone",
                {f"--{name.replace('_', '-')}": getattr(settings, name)}, "--loss cross-entropy",
            )  # fmt: skip


def check_cache(settings: Settings, given: dict[str, Any]) -> None:
    """Features are computed once only where every epoch would compute the same."""
    if not settings.cache:
        return
    if settings.mode != "frozen":
        raise belongs("cache", True, "--mode frozen")
    changing = {"--mixup": settings.mixup} if settings.mixup else {}
    if given.get("augment", "none") != "none":
        changing["--augment"] = given["augment"]
    if changing:
        raise ArgumentError(
            "train", "features can be cached only of pictures that stay the same",
            {"--cache": True, **changing}, "leave out one of them",
        )  # fmt: skip


def choose(name: str, value: str, choices: Any) -> str:
    """value, if it is among the choices; else an error that names the nearest."""
    if value not in choices:
        raise ArgumentError(
            "train", f"no such {name}", {f"--{name}": value}, nearest(value, choices)
        )
    return value


def at_least(name: str, value: float, minimum: float) -> None:
    """value is a finite number >= minimum (NaN is not)."""
    if not value >= minimum or not math.isfinite(value):
        raise ArgumentError("train", f"{name} must be at least {minimum}", {f"--{name}": value})


def above_zero(name: str, value: float) -> None:
    if not value > 0 or not math.isfinite(value):
        raise ArgumentError("train", f"{name} must be above 0", {f"--{name}": value})


def below(name: str, value: float, limit: float) -> None:
    if not value < limit:
        raise ArgumentError("train", f"{name} must be below {limit}", {f"--{name}": value})
