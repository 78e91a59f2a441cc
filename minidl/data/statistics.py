"""Mean and standard deviation of a data set's pixels, for Normalize."""

from __future__ import annotations

import numpy as np

from minidl.data.dataset import Dataset, check_dataset
from minidl.errors import ArgumentError, DataError


def channel_statistics(dataset: Dataset, sample: int = 2000) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over a sample, evenly spread.

    Computed from sums of integers, so the result does not depend on the order of anything.

    Args:
        dataset: images uint8 (H, W, C), of any sizes and one number of channels.
        sample: at most how many images to look at.

    Returns:
        (means, standard deviations), one number per channel in units of ToFloat (0 to 1). A
        constant channel has standard deviation 1, so that Normalize can use it.

    >>> mean, std = minidl.data.channel_statistics(minidl.data.load_digits("train"))
    >>> len(mean), 0 < mean[0] < 1
    (1, True)
    """
    if isinstance(sample, bool) or not isinstance(sample, int) or sample < 1:
        raise ArgumentError("channel_statistics", "sample is an int >= 1", {"sample": sample})
    check_dataset("channel_statistics", dataset)
    if len(dataset) == 0:
        raise DataError("channel_statistics", "the data set is empty", {"dataset": dataset})
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(sample, len(dataset))).astype(np.int64))
    count = 0
    total = square = 0  # become int64 (C,)
    for index in chosen:
        pixels = dataset[int(index)][0].astype(np.int64)
        count += pixels.shape[0] * pixels.shape[1]
        total = total + pixels.sum((0, 1))
        square = square + (pixels * pixels).sum((0, 1))
    mean = total / count
    std = np.sqrt(np.maximum(square / count - mean * mean, 0))
    std[std == 0] = 255
    return (mean / 255).tolist(), (std / 255).tolist()
