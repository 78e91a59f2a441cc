"""From the name of a data set to loaders: pictures to train on, to validate with, to test on.

Validation pictures are held out from the training set. The test set is looked at once, at the
end, so its accuracy is that of pictures which nothing was chosen by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import models
from apps.classify.options import Settings, recipe_for
from minidl.data import (
    DataLoader,
    Dataset,
    channel_statistics,
    open_dataset,
    split_dataset,
    transforms,
)
from minidl.errors import DataError

VALIDATION_SHARE = 0.1  # of the training set, but not more than
VALIDATION_MOST = 5000  # pictures
EVALUATION_BATCH = 256  # pictures in a batch that is only evaluated, but not more than
EVALUATION_VALUES = 8 * 3 * 224 * 224  # numbers: VGG's first maps of 8 pictures take 100 MB


@dataclass
class Data:
    """The parts of a data set and how their pictures become Tensors.

    Args:
        train, validation, test: the parts; validation is None where there are too few pictures.
        channels: of the pictures as the network gets them, 1 or 3.
        preprocessing: what every picture goes through; a checkpoint stores its config().
        augmentation: what training pictures go through on top, before ToFloat.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset
    channels: int
    preprocessing: transforms.Compose
    augmentation: list[Any]


def open_data(settings: Settings) -> Data:
    """Everything about the data of a run.

    Raises:
        DataError: the data are missing or damaged, or all of one class.
    """
    whole = open_dataset(settings.data, "train", settings.data_dir)
    if len(whole.classes) < 2:
        raise DataError(
            "train", "there is one class, and nothing to tell it from",
            {"data": settings.data, "class": whole.classes[0]},
            "expects a folder with a folder per class",
        )  # fmt: skip
    test = open_dataset(settings.data, "test", settings.data_dir)
    if test.classes != whole.classes:
        raise DataError(
            "train", "the test set has other classes than the training set",
            {"training": ", ".join(whole.classes), "test": ", ".join(test.classes)},
        )  # fmt: skip
    share = min(VALIDATION_SHARE, VALIDATION_MOST / max(len(whole), 1))
    # Salted: where the test pictures were chosen by the same hash, none is left below the share.
    train, validation = split_dataset(whole, share, salt="validation")
    channels = train[0][0].shape[2]
    size = models.entry(settings.model).size
    geometry = standard_geometry(channels, size, train)
    mean, std = channel_statistics(train)
    mean = [round(value, 4) for value in mean]  # so that the numbers can be read and typed
    std = [max(round(value, 4), 1e-4) for value in std]
    return Data(
        train,
        validation if len(validation) else None,
        test,
        channels,
        transforms.Compose([*geometry, transforms.ToFloat(), transforms.Normalize(mean, std)]),
        augmentation(settings, size),
    )


def standard_geometry(channels: int, size: int, dataset: Dataset) -> list[Any]:
    """Steps that make any picture size x size pixels with so many channels.

    Where all are 28x28, as MNIST's, they get a border of 2 pixels, as LeCun et al. did, and are
    not scaled. A picture that the network is later asked about goes through the same steps.
    """
    colour = transforms.ToRGB() if channels == 3 else transforms.Grayscale()
    inner, border = size, []
    if size == 32 and dataset.image_shape is not None and dataset.image_shape[:2] == (28, 28):
        inner, border = 28, [transforms.Pad(2)]
    return [colour, transforms.Resize(inner), transforms.CenterCrop(inner), *border]


def augmentation(settings: Settings, size: int) -> list[Any]:
    """The random steps of the data set's recipe."""
    recipe = recipe_for(settings.data)
    steps: list[Any] = []
    if recipe.shift:
        steps.append(transforms.RandomCrop(size, padding=recipe.shift))
    if recipe.flip:
        steps.append(transforms.RandomHorizontalFlip())
    return steps


def training_loader(data: Data, settings: Settings) -> DataLoader:
    """Shuffled and augmented batches; what is in them depends on the seed alone."""
    steps = data.preprocessing.transforms
    to_float = next(i for i, step in enumerate(steps) if isinstance(step, transforms.ToFloat))
    return DataLoader(
        data.train,
        settings.batch_size,
        transforms.Compose([*steps[:to_float], *data.augmentation, *steps[to_float:]]),
        shuffle=True,
        seed=settings.seed,
        num_workers=settings.workers,
    )


def evaluation_loader(dataset: Dataset, preprocessing: Any, workers: int = 1) -> DataLoader:
    """The pictures in order, as they are. Large pictures come in small batches."""
    batch = evaluation_batch(preprocessing(dataset[0][0])) if len(dataset) else 1
    return DataLoader(dataset, batch, preprocessing, num_workers=workers)


def evaluation_batch(picture: Any) -> int:
    """How many pictures of this shape go through a network at once."""
    return max(1, min(EVALUATION_BATCH, EVALUATION_VALUES // picture.size))
