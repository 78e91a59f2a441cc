"""Batches for evaluation: pictures in order and unchanged, as many at once as memory allows."""

from __future__ import annotations

from typing import Any

from minidl.data import DataLoader, Dataset

LARGEST_BATCH = 256  # pictures in a batch that is only evaluated, but not more than
LARGEST_VALUES = 8 * 3 * 224 * 224  # numbers; VGG's first feature maps of so many take 100 MB


def evaluation_loader(dataset: Dataset, preprocessing: Any, workers: int = 1) -> DataLoader:
    """A loader of the pictures in order, unchanged. Large ones come in small batches."""
    batch = evaluation_batch(preprocessing(dataset[0][0])) if len(dataset) else 1
    return DataLoader(dataset, batch, preprocessing, num_workers=workers)


def evaluation_batch(picture: Any) -> int:
    """How many pictures of this shape go through a network at once."""
    return max(1, min(LARGEST_BATCH, LARGEST_VALUES // picture.size))
