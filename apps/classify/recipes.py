"""Defaults for each data set, found by trying."""

from __future__ import annotations

from dataclasses import dataclass

# Networks that explode at the learning rates of recipes, with the highest that they are given. The
# loss of lenet5_1998, squared distances in 84 dimensions, begins near 100, and so do its gradients;
# lenet_caffe has no squashing and no normalization, and Caffe's example gives it this rate.
HIGHEST_LR = {"lenet5_1998": 1e-3, "lenet_caffe": 0.01}
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
