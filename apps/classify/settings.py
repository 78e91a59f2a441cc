"""What one can choose about the training of a classifier, and what is chosen otherwise."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import models
from apps.classify.augmentation import CHOICES as AUGMENTATIONS
from apps.classify.checks import check
from apps.classify.recipes import HIGHEST_LR, Recipe, recipe_for
from apps.shared import parse
from apps.shared.optimizer import MOMENTUM, OPTIMIZERS, OptimizerOptions
from apps.shared.options import (
    Option,
    OptionError,
    at_least,
    below,
    check_resumed,
    one_of,
    option,
    stored_values,
)
from apps.shared.schedule import ScheduleOptions
from apps.shared.settings import DataOptions, RunOptions, StepOptions
from minidl.errors import nearest
from minidl.kernels import cpu_kernels

NETWORK, LEARNING, PICTURES = "Network and weights", "What learns", "Pictures and targets"
MODES = ("scratch", "finetune", "frozen")
LOSSES = ("cross-entropy", "map")
ORIGINAL = "lenet5_1998"  # the network that has a loss of its own


def files_or_factors(option: Option, texts: list[str]) -> list[str]:
    """What --class-weights says, with paths from the root."""
    return [os.path.abspath(text) if os.path.isfile(text) else text for text in texts]


@dataclass(kw_only=True)
class NetworkOptions:
    """Which network, and the weights that it starts from."""

    model: str = option(
        "", "Network, such as lenet, vgg16, resnet20_cifar.", is_argument=True, called="network"
    )
    mode: str = option(
        NETWORK,
        "scratch (the default); finetune: the weights of a file go on learning; frozen: most of "
        "them stay.",
        default="scratch",
        check=one_of(MODES),
    )
    weights: str | None = option(
        NETWORK, "Weights to start from: a file, a run folder, or a name of `minidl weights list`.",
        default=None, metavar="FILE|NAME", parse=parse.path_or_name,
    )  # fmt: skip
    fresh: list[str] = option(
        NETWORK, "Layers to initialise afresh, though the weights have them.",
        default_factory=list, metavar="NAMES", parse=parse.names,
    )  # fmt: skip
    model_args: dict[str, Any] = option(
        NETWORK, "Argument of the network, as in shortcut=B; repeatable.", called="model-arg",
        default_factory=dict, metavar="NAME=VALUE", typed=list[str], parse=parse.literals,
    )  # fmt: skip


@dataclass(kw_only=True)
class LearningOptions:
    """Which layers learn, how fast, and from when on; see freezing.py."""

    freeze: list[str] = option(
        LEARNING,
        "With --mode frozen: layers that stay as they are, as in features; all others learn. "
        "Default: all but the last layer and those initialised afresh.",
        default_factory=list,
        metavar="NAMES",
        parse=parse.names,
    )
    train_from: str | None = option(
        LEARNING, "With --mode frozen: the first layer that learns.", default=None, metavar="NAME"
    )
    unfreeze_after: int | None = option(
        LEARNING, "Let the frozen layers learn after N epochs.", default=None, metavar="N",
        check=at_least(1),
    )  # fmt: skip
    unfreeze_lr_mult: float = option(
        LEARNING, "Factor on their learning rate then; 0.1.", default=0.1, metavar="FACTOR",
        check=at_least(0),
    )  # fmt: skip
    lr_mult: dict[str, float] = option(
        LEARNING,
        "Factor on the learning rate of a layer, group or pattern, as in features=0.1 or "
        '"*.bias=2"; 0: it never learns; repeatable.',
        default_factory=dict,
        metavar="NAME=FACTOR",
        typed=list[str],
        parse=parse.factors,
    )
    fresh_lr_mult: float = option(
        LEARNING, "The same for layers initialised afresh; 10 with --mode finetune, else 1.",
        default=1.0, metavar="FACTOR", check=at_least(0),
    )  # fmt: skip
    cache: bool = option(
        LEARNING, "Compute the features of frozen layers once; default: where possible.",
        default=False,
    )  # fmt: skip


@dataclass(kw_only=True)
class PictureOptions:
    """What training makes of pictures and targets."""

    augment: str = option(
        PICTURES,
        "Random changes of training pictures: none, flip, shift, shift-flip (by up to an eighth, "
        "mirrored or not), crop (a part, mirrored or not), color (that, and colours and light), "
        "or standard: what the data set is known to like. Default: standard; with frozen layers "
        "none.",
        default="standard",
        check=one_of(AUGMENTATIONS),
    )
    mixup: float = option(
        PICTURES, "Blend pictures in pairs (mixup), as in 0.2; 0: not.", default=0.0,
        metavar="ALPHA", check=at_least(0),
    )  # fmt: skip
    label_smoothing: float = option(
        PICTURES, "Share of a target that all classes get.", default=0.0, metavar="SHARE",
        check=(at_least(0), below(1)),
    )  # fmt: skip
    class_weights: list[str] = option(
        PICTURES,
        "How much classes count: balanced, a file (JSON, or lines `name factor`), or "
        "name=factor (repeatable).",
        default_factory=list,
        metavar="balanced|FILE|NAME=FACTOR",
        parse=files_or_factors,
    )
    loss: str = option(
        PICTURES,
        "cross-entropy (the default), or map: that of LeCun et al. 1998, for lenet5_1998, whose "
        "default it is.",
        default="cross-entropy",
        check=one_of(LOSSES),
    )


@dataclass(kw_only=True)
class Settings(
    DataOptions, NetworkOptions, LearningOptions, PictureOptions, StepOptions, OptimizerOptions,
    ScheduleOptions, RunOptions,
):  # fmt: skip
    """Everything that decides what a training run does. A checkpoint stores it."""

    @property
    def pixels(self) -> int:
        """Height and width of the pictures as the network gets them."""
        return self.size or models.entry(self.model).size

    @property
    def recipe(self) -> Recipe:
        return recipe_for(self.data, self.pixels)


def from_command_line(given: dict[str, Any]) -> Settings:
    """Settings from the options that were given, the rest by the recipe.

    Args:
        given: option -> value, see options.parse.

    Raises:
        OptionError: an unknown name (the hint has the nearest), a number out of range, or
            options that contradict each other.
    """
    name, data = given.get("model", models.names()[0]), given.get("data", "digits")
    recipe = recipe_for(data, given.get("size") or models.entry(name).size)
    optimizer = given.get("optimizer", "sgd")
    if optimizer not in OPTIMIZERS:
        raise OptionError(
            "no such optimizer", {"--optimizer": optimizer}, nearest(optimizer, OPTIMIZERS)
        )
    lr, decay = OPTIMIZERS[optimizer]
    if optimizer == "sgd":
        lr = min(recipe.lr, HIGHEST_LR.get(name, recipe.lr))
    defaults = {
        "model": name,
        "data": data,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "workers": 1,
        "optimizer": optimizer,
        "momentum": MOMENTUM.get(optimizer, 0.0),
        "weight_decay": decay,
        "schedule": "multistep" if "milestones" in given else "cosine",
        "seed": 0,
        "cpu_kernels": cpu_kernels(),  # numba, unless MINIDL_CPU_KERNELS says otherwise
        "early_stopping": None,
        "keep": "best" if "early_stopping" in given else "last",
        "loss": "map" if name == ORIGINAL else "cross-entropy",
    } | defaults_of_mode(given, lr)
    settings = Settings(**(defaults | given))
    check(settings, given)
    return settings


def defaults_of_mode(given: dict[str, Any], lr: float) -> dict[str, Any]:
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


def from_checkpoint(meta: dict[str, Any], given: dict[str, Any]) -> Settings:
    """The settings of a run to go on with; `given` may only repeat most of them.

    More epochs than the run was to have are allowed: the schedule is then that of the new number,
    so the result differs from a run that had it from the start. So is more patience of early
    stopping, which changes nothing but when the run stops.

    Args:
        meta: of the checkpoint.
        given: option -> value, see options.parse.

    Raises:
        OptionError: an option contradicts the run.
        CheckpointError: the checkpoint is not one of a training run.
    """
    stored = stored_values(Settings, meta.get("settings"))
    if "keep" not in meta["settings"]:  # an older version kept the best with early stopping
        stored["keep"] = "last" if stored["early_stopping"] is None else "best"
    check_resumed(Settings, stored, given)
    settings = Settings(**(stored | given))
    check(settings)
    return settings
