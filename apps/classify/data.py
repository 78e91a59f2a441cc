"""From the name of a data set to loaders: pictures to train on, to validate with, to test on.

Validation pictures are held out from the training set. The test set is used once, at the end: no
choice was made by its pictures, so its accuracy is an honest estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.classify.augmentation import augmented
from apps.classify.recipes import Recipe
from apps.shared.batches import evaluation_loader
from apps.shared.feature_cache import FeatureLoader
from apps.shared.preprocessing import hold_out, own_normalization, standard_geometry
from apps.shared.warm_up import black_pictures
from minidl.data import Dataset, open_dataset, transforms
from minidl.errors import DataError
from minidl.tensor import Tensor

OP = "data"  # what errors begin with, unless a command says its own name


@dataclass
class Parts:
    """The parts of a data set.

    Args:
        train, validation, test: validation is None where no picture is held out.
        channels: of the pictures on disk, 1 or 3.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset
    channels: int

    @property
    def classes(self) -> list[str]:
        return self.train.classes

    @property
    def monitor(self) -> str:
        """The metric that decides which epoch is best."""
        return "loss" if self.validation is None else "val_loss"


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

    def sample(self) -> Tensor:
        """A black picture as the network gets it, to trace which layers pictures go through."""
        return black_pictures(self.preprocessing(self.train[0][0]).shape)


def open_parts(
    data: str,
    data_dir: str | None = None,
    test_share: float | None = None,
    val_share: float | None = None,
) -> Parts:
    """The parts to train on, to validate with and to test on.

    Args:
        data, data_dir, test_share: as of minidl.data.open_dataset.
        val_share: of the training pictures, to validate with, as of hold_out.

    Raises:
        DataError: the data are missing or damaged, or all of one class.
    """
    whole = open_dataset(data, "train", data_dir, test_share)
    test = open_dataset(data, "test", data_dir, test_share)
    if len(whole.classes) < 2:
        raise DataError(
            OP, "there is one class, and nothing to tell it from",
            {"data": data, "class": whole.classes[0]},
            "expects a folder with a folder per class",
        )  # fmt: skip
    if test.classes != whole.classes:
        raise DataError(
            OP, "the test set has other classes than the training set",
            {"training": ", ".join(whole.classes), "test": ", ".join(test.classes)},
        )  # fmt: skip
    train, validation = hold_out(whole, val_share)
    return Parts(train, validation, test, train[0][0].shape[2])


def prepare(
    parts: Parts,
    size: int,
    augment: str,
    recipe: Recipe,
    channels: int | None = None,
    normalize: Any | None = None,
) -> Data:
    """What pictures go through on their way to the network.

    Args:
        parts: from open_parts.
        size: pixels per side, as the network takes them.
        augment: one of augmentation.CHOICES.
        recipe: of the data set.
        channels: that the network takes; None for those on disk.
        normalize: the Normalize step that the network's weights need; None for the mean and
            standard deviation of the training pictures.
    """
    channels = channels or parts.channels
    if normalize is None:
        normalize = own_normalization(parts.train, channels)
    steps = [*standard_geometry(channels, size, parts.train), transforms.ToFloat(), normalize]
    preprocessing = transforms.Compose(steps)
    training, changes = augmented(preprocessing, augment, recipe, size, channels)
    return Data(
        parts.train, parts.validation, parts.test, channels, preprocessing, training, changes
    )


def make_loaders(
    data: Data, batch_size: int, seed: int, workers: int
) -> tuple[FeatureLoader, FeatureLoader | None]:
    """Batches to train on, shuffled and augmented, and to validate with.

    Their content depends on the seed alone. A last batch of a single picture is left out (another
    picture in each epoch): batch norm cannot normalise over one number of each feature map.
    """
    n = len(data.train)
    loader = FeatureLoader(
        data.train, batch_size, data.training, shuffle=True, seed=seed, num_workers=workers,
        drop_last=n > batch_size > 1 and n % batch_size == 1,
    )  # fmt: skip
    if data.validation is None:
        return loader, None
    plain = evaluation_loader(data.validation, data.preprocessing, workers)
    validation = FeatureLoader(
        data.validation, plain.batch_size, data.preprocessing, num_workers=workers
    )
    return loader, validation
