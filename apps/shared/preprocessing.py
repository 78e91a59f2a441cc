"""What every picture goes through before a network, and which pictures are held out."""

from __future__ import annotations

from typing import Any

from minidl.data import Dataset, channel_statistics, split_dataset, transforms

VALIDATION_SHARE = 0.1  # of the training set, but not more than
VALIDATION_MOST = 5000  # pictures


def hold_out(dataset: Dataset, share: float | None = None) -> tuple[Dataset, Dataset | None]:
    """The pictures to train on and those to validate with; None where there are none.

    Args:
        dataset: of all pictures that training may see.
        share: of them held out, in [0, 1); None for a tenth, but not more than 5,000 pictures.
    """
    if share is None:
        share = min(VALIDATION_SHARE, VALIDATION_MOST / max(len(dataset), 1))
    if share == 0:
        return dataset, None
    # Without a salt of its own, the hash that chose the test pictures would choose none here.
    train, validation = split_dataset(dataset, share, salt="validation")
    return train, validation if len(validation) else None


def own_normalization(train: Dataset, channels: int) -> transforms.Normalize:
    """The step after which the training pictures have mean 0 and standard deviation 1."""
    mean, std = channel_statistics(train)
    if len(mean) > channels:  # colours that become grey
        mean, std = [sum(mean) / len(mean)], [sum(std) / len(std)]
    mean = [round(value, 4) for value in mean]  # so that the numbers can be read and typed
    std = [max(round(value, 4), 1e-4) for value in std]
    return transforms.Normalize(mean, std)


def standard_geometry(channels: int, size: int, dataset: Dataset) -> list[Any]:
    """Steps that give any picture size x size pixels and the channels of the network.

    MNIST's pictures, all of 28x28 pixels, are not scaled to 32x32 but get a border of 2 pixels, as
    in LeCun et al. 1998. A picture that the network is later asked about takes the same steps.
    """
    colour = transforms.ToRGB() if channels == 3 else transforms.Grayscale()
    inner, border = size, []
    if size == 32 and dataset.image_shape is not None and dataset.image_shape[:2] == (28, 28):
        inner, border = 28, [transforms.Pad(2)]
    return [colour, transforms.Resize(inner), transforms.CenterCrop(inner), *border]
