"""MNIST and data sets in its layout: four idx files of images and labels, each perhaps gzipped.

LeCun et al. 1998, section III.A: 60,000 digits to train on, 10,000 to test on, 28x28, centered
by their centre of mass. Xiao, Rasul, Vollgraf 2017: Fashion-MNIST, clothes in the same format.
"""

from __future__ import annotations

import numpy as np

from minidl.data.dataset import ArrayDataset, check_labels
from minidl.data.files import FileTree
from minidl.data.idx import parse_idx
from minidl.errors import DataError

FASHION_CLASSES = [
    "t-shirt", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
]  # fmt: skip
PREFIX = {"train": "train", "test": "t10k"}


def find_idx(files: FileTree, split: str, kind: str) -> str | None:
    """The name of the file with the "images" or "labels" of a split, None where it is missing."""
    dims = {"images": 3, "labels": 1}[kind]
    stem = f"{PREFIX[split]}-{kind}"
    for name in (f"{stem}-idx{dims}-ubyte", f"{stem}.idx{dims}-ubyte"):
        for found in (name, name + ".gz"):
            if found in files.names:
                return found
    return None


def is_mnist(files: FileTree) -> bool:
    """Whether a tree holds at least one file in MNIST's layout."""
    return any(find_idx(files, s, kind) for s in PREFIX for kind in ("images", "labels"))


def load_mnist(files: FileTree, split: str, classes: list[str] | None = None) -> ArrayDataset:
    """One split of a data set in MNIST's layout.

    Args:
        files: where the idx files are.
        split: "train" or "test".
        classes: names of the classes; by default the numbers from 0 to the largest label of the
            training set (of the split, where that is not there), at least ten.

    Raises:
        DataError: a file is missing or damaged, the numbers of images and labels differ, or a
            label has no class.
    """
    arrays = [load_idx(files, split, "images", 3), load_idx(files, split, "labels", 1)]
    images, labels = arrays
    label_file = files.describe(find_idx(files, split, "labels"))
    if classes is None:
        known = labels
        if split == "test" and find_idx(files, "train", "labels"):
            known = load_idx(files, "train", "labels", 1)
        classes = [str(i) for i in range(max(10, int(known.max(initial=0)) + 1))]
    check_labels("load_mnist", labels, len(images), len(classes), label_file)
    return ArrayDataset(images, labels, classes)


def load_idx(files: FileTree, split: str, kind: str, ndim: int) -> np.ndarray:
    """The array of one of the four files: uint8 with `ndim` dimensions, not empty."""
    name = find_idx(files, split, kind)
    if name is None:
        raise DataError(
            "load_mnist",
            f"the file of {split} {kind} is missing",
            {"file": files.describe(f"{PREFIX[split]}-{kind}-idx{ndim}-ubyte.gz")},
        )
    array = parse_idx(files.read(name), files.describe(name))
    if array.ndim != ndim or array.dtype != np.uint8 or not array.size:
        raise DataError(
            "load_mnist",
            f"{kind} are uint8 with {ndim} dimension{'s' if ndim > 1 else ''}, not empty",
            {"file": files.describe(name), "contains": array},
        )
    return array
