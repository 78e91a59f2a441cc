"""The options of training a classifier. defaults.py chooses what the user does not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import models
from apps.classify.augmentation import CHOICES as AUGMENTATIONS
from apps.classify.recipes import Recipe, recipe_for
from apps.shared import parse
from apps.shared.optimizer import OptimizerOptions
from apps.shared.options import Option, at_least, below, one_of, option
from apps.shared.schedule import ScheduleOptions
from apps.shared.settings import DataOptions, RunOptions, StepOptions

NETWORK, LEARNING, PICTURES = "Network and weights", "What learns", "Pictures and targets"
MODES = ("scratch", "finetune", "frozen")
LOSSES = ("cross-entropy", "map")


def files_or_factors(option: Option, texts: list[str]) -> list[str]:
    """The values of --class-weights, with paths of files made absolute."""
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
    prefix: str | None = option(
        NETWORK, "How the network's names begin in the weights, if they have it several times.",
        default=None, metavar="NAME",
    )  # fmt: skip
    partial: bool = option(
        NETWORK,
        "Take also weights for less than half of the network, or of a larger one.",
        default=False,
    )
    model_args: dict[str, Any] = option(
        NETWORK, "Argument of the network, as in shortcut=B; repeatable.", called="model-arg",
        default_factory=dict, metavar="NAME=VALUE", typed=list[str], parse=parse.literals,
    )  # fmt: skip


@dataclass(kw_only=True)
class LearningOptions:
    """Which layers learn, how fast, and from when on; see plan.py."""

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
    """How training changes pictures and targets."""

    augment: str = option(
        PICTURES,
        "Random changes of training pictures: none, flip, shift, shift-flip (by up to an eighth, "
        "mirrored or not), erase (that, and parts covered), crop (a part, mirrored or not), color "
        "(crop, and colours and light), "
        "or standard: what suits the data set. Default: standard; with frozen layers "
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
