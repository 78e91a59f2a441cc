"""Defaults for each data set, and for what is learned on top of ImageNet; found by trying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Networks that explode at the learning rates of recipes, with the highest that they are given. The
# loss of lenet5_1998, squared distances in 84 dimensions, begins near 100, and so do its gradients;
# lenet_caffe has no squashing and no normalization, and Caffe's example gives it this rate.
HIGHEST_LR = {"lenet5_1998": 1e-3, "lenet_caffe": 0.01}
# What networks that know ImageNet learn new classes by: options that have other defaults there, by
# network and mode. LAST_LAYER was chosen for EfficientNet-Lite0, by cross-validation on photos of 17
# kinds of flowers; SqueezeNet shares it. Features are small (from ReLUs, most of them 0), and want
# large steps.
LAST_LAYER = {"epochs": 20, "optimizer": "adamw", "lr": 1e-2, "weight_decay": 1e-2}
TRANSFER: dict[tuple[str, str], dict[str, Any]] = {
    ("efficientnet_lite0", "frozen"): LAST_LAYER,
    ("squeezenet", "frozen"): LAST_LAYER,
    ("efficientnet_lite0", "finetune"): {
        "epochs": 8, "optimizer": "adamw", "lr": 3e-4, "weight_decay": 1e-2, "warmup": 1.0,
        "label_smoothing": 0.1,
    },
    ("squeezenet", "finetune"): {
        "epochs": 15, "optimizer": "adamw", "lr": 1e-4, "weight_decay": 1e-2, "warmup": 1.0,
    },
}  # fmt: skip
OF_OPTIMIZER = ("optimizer", "lr", "weight_decay")  # these mean nothing to another optimizer
LARGE = 64  # pixels: above, pictures are photos of which a part shows the thing as well


@dataclass(frozen=True)
class Recipe:
    """Defaults for one data set.

    Args:
        epochs, batch_size: as the options of these names.
        lr: learning rate of SGD.
        shift: each training picture moves by up to so many pixels in both directions.
        flip: each training picture is mirrored or not; only where left and right mean nothing.
        crop: a random part of each training picture is scaled to the whole size, instead of shift.
    """

    epochs: int
    batch_size: int
    lr: float
    shift: int
    flip: bool = False
    crop: bool = False


RECIPES = {
    "digits": Recipe(epochs=30, batch_size=32, lr=0.03, shift=2),
    "mnist": Recipe(epochs=12, batch_size=64, lr=0.03, shift=1),
    "fashion-mnist": Recipe(epochs=12, batch_size=64, lr=0.03, shift=2, flip=True),
    "cifar10": Recipe(epochs=20, batch_size=64, lr=0.03, shift=4, flip=True),
}
OTHER_DATA = Recipe(epochs=20, batch_size=32, lr=0.02, shift=2)
PHOTOS = Recipe(epochs=30, batch_size=32, lr=0.01, shift=0, flip=True, crop=True)


def recipe_for(data: str, size: int = 0) -> Recipe:
    """The recipe of a data set by name; folders and archives share one, and one for large pictures.

    Args:
        data: name or path.
        size: pixels per side of the network's pictures.
    """
    return RECIPES.get(data, PHOTOS if size > LARGE else OTHER_DATA)


def transfer_for(model: str, given: dict[str, Any]) -> dict[str, Any]:
    """Defaults of a network that starts from weights; {} where it has none of its own.

    Those of frozen layers are for a last layer that learns alone.

    Args:
        model: name of the network.
        given: the options that were typed.
    """
    mode = given.get("mode", "scratch")
    of_layers = ("freeze", "fresh", "train_from", "unfreeze_after")
    if mode == "frozen" and any(given.get(name) for name in of_layers):
        return {}
    found = dict(TRANSFER.get((model, mode), {}))
    if "warmup" in found:  # of a short run an eighth; a plateau begins at its rate
        epochs = given.get("epochs", found["epochs"])
        is_plateau = given.get("schedule") == "plateau"
        found["warmup"] = 0.0 if is_plateau else min(found["warmup"], epochs / 8)
    if given.get("optimizer", found.get("optimizer", "sgd")) == found.get("optimizer", "sgd"):
        return found
    return {name: value for name, value in found.items() if name not in OF_OPTIMIZER}
