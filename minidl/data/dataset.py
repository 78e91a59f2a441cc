"""Data sets: pictures with labels, by index.

A data set is anything with a length whose items are (image, label):

    image   uint8, (H, W, C), C = 1 (grey) or 3 (red, green, blue), rows from top to bottom
    label   int, an index into dataset.classes

Images keep the size they have on disk and stay uint8: transforms (minidl/data/transforms.py)
resize, augment and convert them, and the DataLoader makes batches of Tensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, DataError
from minidl.shapes import is_number


class Dataset:
    """Base class of data sets. A subclass defines __len__ and __getitem__ and sets `classes`.

    Attributes:
        classes: name of each class; a label is an index into it.
        names: file name (or other name) of each item for messages and reports, or None.
    """

    classes: list[str]
    names: list[str] | None = None

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__}.__len__")

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        raise NotImplementedError(f"{type(self).__name__}.__getitem__")

    @property
    def labels(self) -> np.ndarray:
        """All labels, int64 (N,). Subclasses know them without decoding pictures."""
        return np.array([self[i][1] for i in range(len(self))], np.int64)

    def stamp(self, index: int) -> str:
        """A text that is another one when the picture has changed.

        The hash of its pixels; for files on disk, which are not read, size and time of change.

        Args:
            index: of the item.
        """
        image = np.ascontiguousarray(self[index][0])
        return f"{image.shape} {hashlib.sha256(image).hexdigest()}"

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(H, W, C) that all images have, or None where sizes may differ."""
        return None

    def __repr__(self) -> str:
        shape = self.image_shape
        size = "sizes differ" if shape is None else "x".join(str(n) for n in shape)
        return f"{type(self).__name__}({len(self)} images, {size}, {len(self.classes)} classes)"


class ArrayDataset(Dataset):
    """Images of one size held in memory.

    Args:
        images: uint8, (N, H, W, C) with C 1 or 3, or (N, H, W) for grey; kept without a copy.
        labels: integers, (N,), from 0 to len(classes) - 1.
        classes: name of each class.
        names: name of each item, or None.

    Raises:
        DataError: another dtype or shape, lengths that differ, a label without a class.

    >>> pictures, labels = minidl.zeros(5, 8, 8, dtype="uint8").data, [0, 1, 1, 0, 1]
    >>> minidl.data.ArrayDataset(pictures, labels, ["cat", "dog"])
    ArrayDataset(5 images, 8x8x1, 2 classes)
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: Any,
        classes: Sequence[str],
        names: Sequence[str] | None = None,
    ):
        images, labels = np.asanyarray(images), np.asarray(labels)
        if images.ndim == 3:
            images = images[..., None]
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
            raise DataError(
                "ArrayDataset", "images are uint8 (N, H, W, C) with 1 or 3 channels",
                {"images": images},
            )  # fmt: skip
        classes = as_names("classes", classes)
        check_labels("ArrayDataset", labels, len(images), len(classes))
        names = None if names is None else as_names("names", names)
        if names is not None and len(names) != len(images):
            raise DataError(
                "ArrayDataset", "there is one name per image",
                {"images": len(images), "names": len(names)},
            )  # fmt: skip
        self.images = images
        self.all_labels = labels.astype(np.int64)
        self.classes, self.names = classes, names

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images[index], int(self.all_labels[index])

    @property
    def labels(self) -> np.ndarray:
        return self.all_labels

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.images.shape[1:]


class Subset(Dataset):
    """Some items of another data set, in the order given.

    Args:
        dataset: the whole.
        indices: integers from 0 to len(dataset) - 1.

    Raises:
        DataError: an index outside of the data set.

    >>> digits = minidl.data.load_digits("train")
    >>> minidl.data.Subset(digits, [5, 3]).names == [digits.names[5], digits.names[3]]
    True
    """

    def __init__(self, dataset: Dataset, indices: Any):
        check_dataset("Subset", dataset, "classes", "names")
        indices = np.asarray(indices)
        if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iu"):
            raise DataError("Subset", "indices are integers (N,)", {"indices": indices})
        indices = indices.astype(np.int64)
        if indices.size and not 0 <= indices.min() <= indices.max() < len(dataset):
            raise DataError(
                "Subset", f"indices run from 0 to {len(dataset) - 1}",
                {"smallest": int(indices.min()), "largest": int(indices.max())},
            )  # fmt: skip
        self.dataset = dataset
        self.indices = indices
        self.classes = dataset.classes
        self.names = None if dataset.names is None else [dataset.names[i] for i in indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.dataset[int(self.indices[index])]

    def stamp(self, index: int) -> str:
        return self.dataset.stamp(int(self.indices[index]))

    @property
    def labels(self) -> np.ndarray:
        return self.dataset.labels[self.indices]

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        return self.dataset.image_shape


def check_dataset(op: str, dataset: Any, *attributes: str) -> None:
    """dataset is a Dataset, or has a length, items and these attributes.

    Raises:
        ArgumentError
    """
    needed = ("__len__", "__getitem__", *attributes)
    if isinstance(dataset, str | bytes | dict | type) or not all(
        hasattr(dataset, name) for name in needed
    ):
        hint = "minidl.data.open_dataset(...) opens a name or path"
        raise ArgumentError(op, "expects a data set", {"dataset": dataset}, hint)


def as_names(name: str, values: Any) -> list[str]:
    """A list of texts: classes or names of an ArrayDataset."""
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str | bytes):
        raise DataError("ArrayDataset", f"{name} is a list of texts", {name: values})
    return list(values)


def check_labels(op: str, labels: np.ndarray, count: int, classes: int, file: str = "") -> None:
    """Labels are `count` integers from 0 to classes - 1; the error names the first that is not.

    Raises:
        DataError
    """
    where = {"file": file} if file else {}
    if labels.shape != (count,):
        raise DataError(
            op, "there is one label per image",
            where | {"images": count, "labels": tuple(labels.shape)},
        )  # fmt: skip
    if count and labels.dtype.kind not in "iu":
        raise DataError(op, "labels are integers", where | {"dtype": str(labels.dtype)})
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise DataError(
            op, f"label out of range 0 to {classes - 1}",
            where | {"label": int(labels[wrong[0]]), "index": int(wrong[0])},
        )  # fmt: skip


def split_dataset(
    dataset: Dataset, fraction: float = 0.2, salt: str = ""
) -> tuple[Dataset, Dataset]:
    """Split into a larger and a smaller part, for example for training and validation.

    Where an item goes depends on the hash of its own name (or index) alone: the same on every
    machine and run, and pictures added later do not move the others. A class with two or more
    items has at least one on each side; a single item is in the larger part.

    Args:
        dataset: what to split.
        fraction: of the second part, between 0 and 1.
        salt: another salt gives another split.

    Returns:
        (the larger part, the smaller part).

    >>> digits = minidl.data.open_dataset("digits", "train")
    >>> train, validation = minidl.data.split_dataset(digits, 0.1)
    >>> len(train) + len(validation) == len(digits)
    True
    """
    if not is_number(fraction) or not 0 < fraction < 1:
        raise ArgumentError(
            "split_dataset", "fraction lies between 0 and 1", {"fraction": fraction}
        )
    check_dataset("split_dataset", dataset, "classes", "names", "labels")
    if not isinstance(salt, str):
        raise ArgumentError("split_dataset", "salt is a text", {"salt": salt})
    names = dataset.names or [str(i) for i in range(len(dataset))]
    second = choose_by_hash(names, dataset.labels, fraction, salt)
    return Subset(dataset, np.flatnonzero(~second)), Subset(dataset, np.flatnonzero(second))


def choose_by_hash(
    names: Sequence[str], labels: np.ndarray, fraction: float, salt: str = ""
) -> np.ndarray:
    """Which items belong to the second part of a split: bool (N,)."""
    position = np.array([unit_hash(salt + name) for name in names])  # uniform in [0, 1)
    second = position < fraction
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if members.size > 1 and not second[members].any():
            second[members[position[members].argmin()]] = True
        elif second[members].all():
            second[members[position[members].argmax()]] = False
    return second


def unit_hash(text: str) -> float:
    """A number in [0, 1) that depends on the text alone (Python's hash() changes every run)."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
