"""From the typed options to complete settings.

What is not typed depends on the data set, the network and the mode, or, for a resumed run, comes
from its checkpoint.
"""

from __future__ import annotations

from typing import Any

import models
from apps.classify.checks import check
from apps.classify.recipes import HIGHEST_LR, recipe_for, transfer_for
from apps.classify.settings import Settings
from apps.shared.optimizer import MOMENTUM, OPTIMIZERS
from apps.shared.options import OptionError, resumed_settings
from minidl.errors import nearest
from minidl.kernels import cpu_kernels
from minidl.training.slots import of_this_process

ORIGINAL = "lenet5_1998"  # the network that has a loss of its own


def from_command_line(given: dict[str, Any]) -> Settings:
    """Settings from the options that were given, the rest by the recipe.

    Args:
        given: option -> value, see options.parse_options.

    Raises:
        OptionError: an unknown name (the hint has the nearest), a number out of range, or
            options that contradict each other.
    """
    name, data = given.get("model", models.names()[0]), given.get("data", "digits")
    recipe = recipe_for(data, given.get("size") or models.entry(name).size)
    transfer = transfer_for(name, given)
    optimizer = given.get("optimizer", transfer.get("optimizer", "sgd"))
    if optimizer not in OPTIMIZERS:
        raise OptionError(
            "no such optimizer", {"--optimizer": optimizer}, nearest(optimizer, OPTIMIZERS)
        )
    _, lr, decay = OPTIMIZERS[optimizer]
    if optimizer == "sgd":
        lr = min(recipe.lr, HIGHEST_LR.get(name, recipe.lr))
    defaults = {
        "model": name,
        "data": data,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "slots": of_this_process().default,
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
    settings = Settings(**(defaults | transfer | given))
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
    """The settings of a resumed run; most options in `given` may only repeat them.

    More epochs than the run was to have are allowed: the schedule is then that of the new number,
    so the result differs from a run that had it from the start. So is more patience of early
    stopping, which changes nothing but when the run stops.

    Args:
        meta: of the checkpoint.
        given: option -> value, see options.parse_options.

    Raises:
        OptionError: an option contradicts the run.
        CheckpointError: the checkpoint is not one of a training run.
    """
    settings = resumed_settings(Settings, meta, given)
    check(settings)
    return settings
