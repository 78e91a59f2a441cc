"""What one can choose about a training run, what is chosen otherwise, and what is refused."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, fields
from typing import Any

import models
from minidl.errors import ArgumentError, CheckpointError, nearest
from minidl.kernels import CPU_SETS, cpu_kernels

OPTIMIZERS = {  # name -> (learning rate, weight decay), where a recipe has nothing better
    "sgd": (0.02, 5e-4),
    "adam": (1e-3, 0.0),
    "adamw": (1e-3, 1e-2),
    "rmsprop": (3e-4, 0.0),
    "adagrad": (1e-2, 0.0),
}
MOMENTUM = {"sgd": 0.9, "rmsprop": 0.0}  # the optimizers that have one, and its default
SCHEDULES = ("none", "step", "exponential", "cosine", "plateau")

# Options that do not change what a run computes: a resumed run may have other ones.
FREE = ("data_dir", "workers")


@dataclass(frozen=True)
class Recipe:
    """Defaults for one data set, found by trying.

    Args:
        epochs, batch_size: as the options of these names.
        lr: learning rate of SGD.
        shift: each training picture moves by up to so many pixels in both directions.
        flip: each training picture is mirrored or not; only where left and right mean nothing.
    """

    epochs: int
    batch_size: int
    lr: float
    shift: int
    flip: bool = False


RECIPES = {
    "digits": Recipe(epochs=30, batch_size=32, lr=0.03, shift=2),
    "mnist": Recipe(epochs=12, batch_size=64, lr=0.03, shift=1),
    "fashion-mnist": Recipe(epochs=12, batch_size=64, lr=0.03, shift=2, flip=True),
    "cifar10": Recipe(epochs=20, batch_size=64, lr=0.03, shift=4, flip=True),
}
OTHER_DATA = Recipe(epochs=20, batch_size=32, lr=0.02, shift=2)


def recipe_for(data: str) -> Recipe:
    """The recipe of a data set by name; folders and archives share one."""
    return RECIPES.get(data, OTHER_DATA)


@dataclass
class Settings:
    """Everything that decides what a training run does. A checkpoint stores it.

    Args:
        model: name of the network, see models.names().
        data: name of a data set, or path of a folder, list file or archive.
        data_dir: where to look for it first.
        epochs, batch_size, lr, momentum, weight_decay, seed: as everywhere.
        optimizer: a key of OPTIMIZERS.
        schedule: one of SCHEDULES, see learning.make_schedule.
        cpu_kernels: "numba" or "reference".
        early_stopping: stop after so many epochs without a better validation loss, or None.
        workers: threads that prepare batches, 0 for none; the result does not depend on it.
    """

    model: str
    data: str
    data_dir: str | None
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    schedule: str
    seed: int
    cpu_kernels: str
    early_stopping: int | None
    workers: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def from_command_line(given: dict[str, Any]) -> Settings:
    """Settings from the options that were given (None: not given), the rest by the recipe.

    Raises:
        ArgumentError: an unknown name (the hint has the nearest) or a number out of range.
    """
    given = clean(given)
    data = given.get("data", "digits")
    recipe = recipe_for(data)
    optimizer = choose("optimizer", given.get("optimizer", "sgd"), OPTIMIZERS)
    lr, weight_decay = OPTIMIZERS[optimizer]
    if "momentum" in given and optimizer not in MOMENTUM:
        raise ArgumentError(
            "train", f"{optimizer} has no momentum", {"--momentum": given["momentum"]},
            f"leave it out, or --optimizer {' or '.join(MOMENTUM)}",
        )  # fmt: skip
    defaults = {
        "model": "lenet",
        "data": data,
        "data_dir": None,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "optimizer": optimizer,
        "lr": recipe.lr if optimizer == "sgd" else lr,
        "momentum": MOMENTUM.get(optimizer, 0.0),
        "weight_decay": weight_decay,
        "schedule": "cosine",
        "seed": 0,
        "cpu_kernels": cpu_kernels(),  # numba, unless MINIDL_CPU_KERNELS says otherwise
        "early_stopping": None,
        "workers": 1,
    }
    settings = Settings(**(defaults | given))
    check(settings)
    return settings


def clean(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, with absolute paths: a run can be resumed from anywhere."""
    given = {name: value for name, value in given.items() if value is not None}
    for name in ("data", "data_dir"):
        if name in given and given[name] not in RECIPES and os.path.exists(given[name]):
            given[name] = os.path.abspath(given[name])
    return given


def check(settings: Settings) -> None:
    """Every setting is in its range.

    Raises:
        ArgumentError
    """
    models.entry(settings.model)
    choose("schedule", settings.schedule, SCHEDULES)
    choose("cpu-kernels", settings.cpu_kernels, CPU_SETS)
    at_least("epochs", settings.epochs, 1)
    at_least("batch-size", settings.batch_size, 1)
    at_least("workers", settings.workers, 0)
    at_least("seed", settings.seed, 0)
    at_least("weight-decay", settings.weight_decay, 0)
    at_least("momentum", settings.momentum, 0)
    if settings.early_stopping is not None:
        at_least("early-stopping", settings.early_stopping, 1)
    if not settings.lr > 0 or not math.isfinite(settings.lr):
        raise ArgumentError("train", "lr must be above 0", {"--lr": settings.lr})
    if not settings.momentum < 1:
        raise ArgumentError("train", "momentum must be below 1", {"--momentum": settings.momentum})
    if settings.seed >= 2**63:
        raise ArgumentError("train", "seed must be below 2^63", {"--seed": settings.seed})


def choose(name: str, value: str, choices) -> str:
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


def from_checkpoint(meta: dict[str, Any], given: dict[str, Any]) -> Settings:
    """The settings of a run to go on with. `given` may only repeat them, apart from FREE ones.

    More epochs than the run was to have are allowed, too: the schedule is then that of the new
    number, so the result differs from a run that had it from the start.

    Raises:
        ArgumentError: an option contradicts the run.
        CheckpointError: the checkpoint is not one of a training run.
    """
    stored = meta.get("settings")
    names = {field.name for field in fields(Settings)}
    if not isinstance(stored, dict) or set(stored) != names:
        raise CheckpointError(
            "train", "the checkpoint does not say how the run was set up", {}, "start a new run"
        )
    given = clean(given)
    for name, value in given.items():
        more_epochs = name == "epochs" and value > stored[name]
        if name not in FREE and not more_epochs and value != stored[name]:
            option = name.replace("_", "-")
            raise ArgumentError(
                "train",
                f"the run to resume has another {option}",
                {"stored": stored[name], "given": value},
                "leave the option out, or start a new run",
            )
    settings = Settings(**(stored | given))
    check(settings)
    return settings
