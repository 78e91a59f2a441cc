"""From the name of a data set to loaders: pictures to train on, to validate with, to test on.

Validation pictures are held out from the training set. The test set is looked at once, at the
end, so its accuracy is that of pictures which nothing was chosen by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.classify.augmentation import augmented
from apps.classify.options import Settings
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
class Parts:
    """The parts of a data set.

    Args:
        train, validation, test: validation is None where there are too few pictures.
        channels: of the pictures on disk, 1 or 3.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset
    channels: int

    @property
    def classes(self) -> list[str]:
        return self.train.classes


@dataclass
class Data(Parts):
    """The parts of a data set and how their pictures become Tensors.

    Args:
        channels: of the pictures as the network gets them, 1 or 3.
        preprocessing: what every picture goes through; a checkpoint stores its config().
        training: what training pictures go through instead.
        augmentation: the random steps in it.
    """

    preprocessing: transforms.Compose
    training: transforms.Compose
    augmentation: list[Any]


def open_data(
    settings: Settings, channels: int | None = None, normalize: Any | None = None
) -> Data:
    """Everything about the data of a run.

    Args:
        settings: which data, pictures of which size, which augmentation.
        channels: that the network takes; None for those on disk.
        normalize: the Normalize step that the network's weights need; None for the mean and
            standard deviation of the training pictures.

    Raises:
        DataError: the data are missing or damaged, or all of one class.
    """
    return prepare(open_parts(settings), settings, channels, normalize)


def open_parts(settings: Settings) -> Parts:
    """The parts to train on, to validate with and to test on.

    Raises:
        DataError: the data are missing or damaged, or all of one class.
    """
    where = settings.data, settings.data_dir, settings.test_share
    whole, test = open_split(*where, "train"), open_split(*where, "test")
    if len(whole.classes) < 2:
        raise DataError(
            "train", "there is one class, and nothing to tell it from",
            {"data": settings.data, "class": whole.classes[0]},
            "expects a folder with a folder per class",
        )  # fmt: skip
    if test.classes != whole.classes:
        raise DataError(
            "train", "the test set has other classes than the training set",
            {"training": ", ".join(whole.classes), "test": ", ".join(test.classes)},
        )  # fmt: skip
    share = min(VALIDATION_SHARE, VALIDATION_MOST / max(len(whole), 1))
    # Salted: where the test pictures were chosen by the same hash, none is left below the share.
    train, validation = split_dataset(whole, share, salt="validation")
    channels = train[0][0].shape[2]
    return Parts(train, validation if len(validation) else None, test, channels)


def open_split(data: str, data_dir: str | None, test_share: float | None, split: str) -> Dataset:
    return open_dataset(data, split, data_dir, test_share)


def prepare(
    parts: Parts, settings: Settings, channels: int | None = None, normalize: Any | None = None
) -> Data:
    """What pictures go through on their way to the network; arguments as of open_data."""
    channels = channels or parts.channels
    size = settings.pixels
    if normalize is None:
        normalize = own_normalization(parts.train, channels)
    steps = [*standard_geometry(channels, size, parts.train), transforms.ToFloat(), normalize]
    preprocessing = transforms.Compose(steps)
    training, changes = augmented(preprocessing, settings.augment, settings.recipe, size, channels)
    return Data(
        parts.train, parts.validation, parts.test, channels, preprocessing, training, changes
    )


def own_normalization(train: Dataset, channels: int) -> transforms.Normalize:
    """Mean 0 and standard deviation 1 of the training pictures."""
    mean, std = channel_statistics(train)
    if len(mean) > channels:  # colours that become grey
        mean, std = [sum(mean) / len(mean)], [sum(std) / len(std)]
    mean = [round(value, 4) for value in mean]  # so that the numbers can be read and typed
    std = [max(round(value, 4), 1e-4) for value in std]
    return transforms.Normalize(mean, std)


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


def evaluation_loader(dataset: Dataset, preprocessing: Any, workers: int = 1) -> DataLoader:
    """The pictures in order, as they are. Large pictures come in small batches."""
    batch = evaluation_batch(preprocessing(dataset[0][0])) if len(dataset) else 1
    return DataLoader(dataset, batch, preprocessing, num_workers=workers)


def evaluation_batch(picture: Any) -> int:
    """How many pictures of this shape go through a network at once."""
    return max(1, min(EVALUATION_BATCH, EVALUATION_VALUES // picture.size))
