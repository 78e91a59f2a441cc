"""What one can choose about a training run, what is chosen otherwise, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import models
from apps.classify.option_checks import check, choose
from apps.classify.recipes import (
    HIGHEST_LR,
    MOMENTUM,
    OPTIMIZERS,
    RECIPES,
    Recipe,
    recipe_for,
)
from apps.shared import parse
from minidl.errors import ArgumentError, CheckpointError
from minidl.kernels import cpu_kernels

# Options that do not change what a run computes: a resumed run may have other ones.
FREE = ("data_dir", "workers")
ORIGINAL = "lenet5_1998"  # the network that has a loss of its own


@dataclass
class Settings:
    """Everything that decides what a training run does. A checkpoint stores it.

    Args:
        model: name of the network, see models.names().
        data: name of a data set, or path of a folder, list file or archive.
        data_dir: where to look for it first.
        epochs, batch_size, lr, momentum, weight_decay, seed: as everywhere.
        optimizer: a key of recipes.OPTIMIZERS.
        schedule: see schedules.CHOICES.
        cpu_kernels: "numba" or "reference".
        early_stopping: stop after so many epochs without a better validation loss, or None.
        workers: threads that prepare batches, 0 for none; the result does not depend on it.
        mode: "scratch", "finetune" (all weights of a file go on learning) or "frozen" (most stay).
        weights: file, run folder or published name that the network starts from, or None.
        fresh: layers that are initialised afresh although the weights have them.
        model_args: further arguments of the network.
        size: pixels per side of the network's pictures, None for the usual ones.
        freeze, train_from: which layers are frozen, see freezing.py.
        unfreeze_after: epochs after which the frozen layers learn, too, or None.
        unfreeze_lr_mult: factor on their learning rate then.
        lr_mult: names of layers or parameters -> factor on their learning rate, 0 for frozen.
        fresh_lr_mult: factor on the learning rate of layers that are initialised afresh.
        cache: compute the features of the frozen layers once.
        augment: a key of augmentation.CHOICES.
        test_share: part of the data to test on, where none is set apart, or None.
        label_smoothing: share of each target that is spread over all classes.
        mixup: its alpha, 0 for none.
        class_weights: ["balanced"], [path of a file], or ["name=weight", ...].
        accumulate: batches in a step.
        milestones: epochs after which the schedule "multistep" lowers the rate.
        warmup: epochs in which the rate rises to what the schedule says.
        bias_decay: whether weight decay also holds for biases and norms.
        clip_grad: largest norm of the gradients, or None.
        keep: "best" or "last", the epoch whose network is evaluated.
        loss: "cross-entropy", or "map" for the one that lenet5_1998 was published with.
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
    mode: str = "scratch"
    weights: str | None = None
    fresh: list[str] = field(default_factory=list)
    model_args: dict[str, Any] = field(default_factory=dict)
    size: int | None = None
    freeze: list[str] = field(default_factory=list)
    train_from: str | None = None
    unfreeze_after: int | None = None
    unfreeze_lr_mult: float = 0.1
    lr_mult: dict[str, float] = field(default_factory=dict)
    fresh_lr_mult: float = 1.0
    cache: bool = False
    augment: str = "standard"
    test_share: float | None = None
    label_smoothing: float = 0.0
    mixup: float = 0.0
    class_weights: list[str] = field(default_factory=list)
    accumulate: int = 1
    milestones: list[int] = field(default_factory=list)
    warmup: float = 0.0
    bias_decay: bool = True
    clip_grad: float | None = None
    keep: str = "last"
    loss: str = "cross-entropy"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def pixels(self) -> int:
        """Height and width of the pictures as the network gets them."""
        return self.size or models.entry(self.model).size

    @property
    def recipe(self) -> Recipe:
        return recipe_for(self.data, self.pixels)


def from_command_line(given: dict[str, Any]) -> Settings:
    """Settings from the options that were given (None: not given), the rest by the recipe.

    Raises:
        ArgumentError: an unknown name (the hint has the nearest), a number out of range, or
            options that contradict each other.
    """
    given = clean(given)
    name, data = given.get("model", models.names()[0]), given.get("data", "digits")
    recipe = recipe_for(data, given.get("size") or models.entry(name).size)
    optimizer = choose("optimizer", given.get("optimizer", "sgd"), OPTIMIZERS)
    if "momentum" in given and optimizer not in MOMENTUM:
        raise ArgumentError(
            "train", f"{optimizer} has no momentum", {"--momentum": given["momentum"]},
            f"leave it out, or --optimizer {' or '.join(MOMENTUM)}",
        )  # fmt: skip
    lr = OPTIMIZERS[optimizer][0]
    if optimizer == "sgd":
        lr = min(recipe.lr, HIGHEST_LR.get(name, recipe.lr))
    early = given.get("early_stopping")
    defaults = {
        "model": name,
        "data": data,
        "data_dir": None,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "optimizer": optimizer,
        "momentum": MOMENTUM.get(optimizer, 0.0),
        "weight_decay": OPTIMIZERS[optimizer][1],
        "schedule": "multistep" if "milestones" in given else "cosine",
        "seed": 0,
        "cpu_kernels": cpu_kernels(),  # numba, unless MINIDL_CPU_KERNELS says otherwise
        "early_stopping": None,
        "workers": 1,
        "keep": "last" if early is None else "best",
        "loss": "map" if name == ORIGINAL else "cross-entropy",
    } | by_mode(given, lr)
    settings = Settings(**(defaults | given))
    check(settings, given)
    return settings


def by_mode(given: dict[str, Any], lr: float) -> dict[str, Any]:
    """Defaults that depend on the way of training.

    Weights that know something already take a tenth of the rate, and layers that know nothing ten
    times as much, as in Caffe's example of fine-tuning (finetune_flickr_style). Frozen layers give
    the same features as long as the pictures stay the same: then they are computed once.

    Args:
        given: the options that were given.
        lr: the learning rate for training from scratch.
    """
    mode = given.get("mode", "scratch")
    if mode == "finetune":
        return {"lr": lr / 10, "fresh_lr_mult": 10.0}
    if mode == "frozen":
        unchanged = given.get("augment", "none") == "none" and not given.get("mixup")
        later = "standard" if "unfreeze_after" in given else "none"  # for the time after
        return {"lr": lr, "cache": unchanged, "augment": later}
    return {"lr": lr}


# Options with several values -> what makes one value of the texts that were typed.
READERS: dict[str, Callable[[Any], Any]] = {
    "lr_mult": lambda texts: parse.factors("--lr-mult", texts),
    "model_args": lambda texts: parse.literals("--model-arg", texts),
    "fresh": parse.names,
    "freeze": parse.names,
    "milestones": lambda text: parse.counts("--milestones", text),
    "class_weights": list,
}


def clean(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, read, with absolute paths: runs are resumed from anywhere."""
    given = {name: value for name, value in given.items() if value is not None}
    for name, read in READERS.items():
        if name in given and not given[name]:
            del given[name]
        elif name in given and not isinstance(given[name], dict):
            given[name] = read(given[name])
    for name in ("data", "data_dir", "weights"):
        if name in given and given[name] not in RECIPES and os.path.exists(given[name]):
            given[name] = os.path.abspath(given[name])
    if "class_weights" in given:
        given["class_weights"] = [
            os.path.abspath(text) if Path(text).is_file() else text
            for text in given["class_weights"]
        ]
    return given


def from_checkpoint(meta: dict[str, Any], given: dict[str, Any]) -> Settings:
    """The settings of a run to go on with. `given` may only repeat them, apart from FREE ones.

    More epochs than the run was to have are allowed, too: the schedule is then that of the new
    number, so the result differs from a run that had it from the start. So is more patience of
    early stopping, which changes nothing but when the run stops.

    Raises:
        ArgumentError: an option contradicts the run.
        CheckpointError: the checkpoint is not one of a training run.
    """
    stored = complete(meta.get("settings"))
    given = clean(given)
    for name, value in given.items():
        more = name in ("epochs", "early_stopping") and value > (stored[name] or value)
        if name not in FREE and not more and value != stored[name]:
            others = {"model": "network", "model_args": "--model-arg"}
            option = others.get(name, "--" + name.replace("_", "-"))
            raise ArgumentError(
                "train",
                f"the run to resume has another {option}",
                {"stored": stored[name], "given": value},
                "leave the option out, or start a new run",
            )
    settings = Settings(**(stored | given))
    check(settings)
    return settings


def complete(stored: Any) -> dict[str, Any]:
    """Stored settings; those of an older version lack options, which then had no effect.

    Raises:
        CheckpointError
    """
    known = {f.name: f for f in fields(Settings)}
    needed = {name for name, f in known.items() if f.default is f.default_factory is MISSING}
    if not isinstance(stored, dict) or not needed <= set(stored) <= set(known):
        raise CheckpointError(
            "train", "the checkpoint does not say how the run was set up", {}, "start a new run"
        )
    if "keep" not in stored:
        stored = stored | {"keep": "last" if stored["early_stopping"] is None else "best"}
    others = {
        name: f.default if f.default is not MISSING else f.default_factory()
        for name, f in known.items()
        if name not in needed
    }
    return others | stored
