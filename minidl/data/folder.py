"""Pictures in one folder per class.

    flowers/train/tulip/1.jpg        or without the upper level      flowers/tulip/1.jpg
    flowers/train/rose/...                                           flowers/rose/...
    flowers/test/tulip/...

Classes are the folders' names in alphabetical order. Pictures may lie deeper inside of a class;
other files are left alone. Without a folder for testing, a fifth of each class (or another share)
is for testing, chosen by the hash of the file name (split_dataset).
"""

from __future__ import annotations

import numpy as np

from minidl.data.dataset import Dataset, Subset, choose_by_hash
from minidl.data.files import FileTree
from minidl.data.pictures import PictureDataset, common_channels, is_picture
from minidl.errors import DataError

SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}
TEST_SHARE = 0.2


def load_folder(files: FileTree, split: str, test_share: float | None = None) -> Dataset:
    """One split of a tree with a folder per class.

    Args:
        files: the tree.
        split: "train" or "test".
        test_share: part of the pictures to test on where none are set apart; None for 0.2.

    Raises:
        DataError: no pictures, an empty class, a class only in the test part, or a test_share
            although there is a test part.
    """
    train_folder, test_folder = find_part(files, "train"), find_part(files, "test")
    if not test_folder:
        return take_part(files.inside(train_folder or ""), split, test_share)
    refuse_share(test_share, files.describe(test_folder))
    test = files.inside(test_folder)
    if not train_folder:
        if split == "train":
            raise DataError(
                "open_dataset", "there is a folder to test on, but none to train on",
                {"folder": files.location}, 'it would be named "train"',
            )  # fmt: skip
        pictures, labels, classes = list_classes(test)
        return PictureDataset(test, pictures, labels, classes, common_channels(test, pictures))
    train = files.inside(train_folder)
    pictures, labels, classes = list_classes(train)
    channels = common_channels(train, pictures)
    if split == "train":
        return PictureDataset(train, pictures, labels, classes, channels)
    pictures, labels, test_classes = list_classes(test)
    return PictureDataset(
        test, pictures, renumber(labels, test_classes, classes, test), classes, channels
    )


def find_part(files: FileTree, split: str) -> str:
    """The name of the folder of a split, "" where there is none."""
    for folder in files.folders:
        if "/" not in folder and folder.lower() in SPLITS[split]:
            return folder
    return ""


def list_classes(files: FileTree) -> tuple[list[str], np.ndarray, list[str]]:
    """Pictures, their labels and the classes of a tree with a folder per class."""
    classes = [folder for folder in files.folders if "/" not in folder]
    number = {name: i for i, name in enumerate(classes)}
    pictures = [n for n in files.names if "/" in n and is_picture(n)]
    labels = np.array([number[n.split("/", 1)[0]] for n in pictures], np.int64)
    if not pictures:
        loose = any(is_picture(name) for name in files.names)
        raise DataError(
            "open_dataset",
            "pictures lie side by side, without a folder per class" if loose else "no pictures",
            {"folder": files.location},
            "put the pictures of each class into a folder with the name of the class",
        )
    counts = np.bincount(labels, minlength=len(classes))
    if not counts.all():
        raise DataError(
            "open_dataset", "a class has no pictures",
            {"folder": files.describe(classes[int(counts.argmin())])},
            "remove the folder, or put pictures into it",
        )  # fmt: skip
    return pictures, labels, classes


def take_part(files: FileTree, split: str, test_share: float | None) -> Subset:
    """One side of the stable split of pictures that come without one."""
    pictures, labels, classes = list_classes(files)
    whole = PictureDataset(files, pictures, labels, classes, common_channels(files, pictures))
    return stable_part(whole, split, files.location, test_share)


def refuse_share(test_share: float | None, test_part: str) -> None:
    """A share to test on can only be chosen where the data have no test part of their own.

    Raises:
        DataError
    """
    if test_share is not None:
        raise DataError(
            "open_dataset", "the data come with pictures to test on, the share is fixed",
            {"test_share": test_share, "test part": test_part}, "leave test_share out",
        )  # fmt: skip


def stable_part(
    whole: Dataset, split: str, location: str, test_share: float | None = None
) -> Subset:
    """The part of a data set to train or to test on, by the hash of the names.

    Raises:
        DataError: nothing is in that part.
    """
    share = TEST_SHARE if test_share is None else test_share
    second = choose_by_hash(whole.names, whole.labels, share)
    chosen = np.flatnonzero(second == (split == "test"))
    if not chosen.size:
        raise DataError(
            "open_dataset", "too few pictures to split into training and test",
            {"path": location, "pictures": len(whole)},
            "give each class at least two, or make folders train and test",
        )  # fmt: skip
    return Subset(whole, chosen)


def renumber(labels: np.ndarray, classes: list[str], train: list[str], files: FileTree):
    """Labels that point into the training set's classes."""
    places = {name: i for i, name in enumerate(train)}
    for name in classes:
        if name not in places:
            raise DataError(
                "open_dataset", "a class occurs only in the test part",
                {"folder": files.describe(name), "classes": train},
            )  # fmt: skip
    number = np.array([places[name] for name in classes], np.int64)
    return number[labels]
