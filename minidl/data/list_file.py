"""A text file that lists pictures and labels, one `path label` a line.

    # comments and empty lines are left out
    tulips/1.jpg  tulip
    "my rose.jpg" rose
    my other rose.jpg rose            the label is the last word, so spaces in paths are allowed

Paths are relative to the list. The label is the name of a class, or in the whole list its number;
then a file classes.txt beside the list, one name a line, may name them. A list with "train" in
its name is for training if the same name with "test" (or "val") exists, which is for testing;
any other list is split as folder.py says. In a folder or an archive that has a list, it is called
train.txt or list.txt.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from minidl.data.dataset import Dataset
from minidl.data.files import FileTree, file_stamp, read_file
from minidl.data.folder import refuse_share, stable_part
from minidl.data.pictures import PictureDataset, common_channels
from minidl.errors import DataError

LINE = re.compile(r"""("(?P<quoted>[^"]*)"|(?P<path>\S.*?))\s+("(?P<name>[^"]+)"|(?P<word>\S+))""")
MAX_LINE = 8192  # characters; no path is that long, and matching takes the square of it
NAMES = ("train.txt", "list.txt")  # what a list in a folder or archive is called
TEST_NAMES = ("test", "val")


class ListedFiles(FileTree):
    """Files on disk under the paths that a list names them by; they are not counted up."""

    def __init__(self, folder: Path):
        self.folder, self.location = folder, str(folder)
        self.names, self.folders = [], []

    def has(self, name: str) -> bool:
        return os.path.isfile(self.folder / name)  # False for a name that cannot be one

    def read(self, name: str) -> bytes:
        return read_file(self.folder / name, "open_dataset")

    def stamp(self, name: str) -> str:
        return file_stamp(self.folder / name, "open_dataset")

    def describe(self, name: str) -> str:
        return str(self.folder / name)


def find_list(files: FileTree) -> str | None:
    """The list in a folder or archive that has one, for training if there are several."""
    return next((name for name in NAMES if name in files.names), None)


def load_list(
    files: FileTree, list_name: str, split: str, test_share: float | None = None
) -> Dataset:
    """One split of the pictures in a list.

    Args:
        files: has the list and its pictures; a ListedFiles or any other tree.
        list_name: name of the list in `files`.
        split: "train" or "test".
        test_share: as in load_folder.

    Raises:
        DataError: a line that is no `path label`, a missing picture, a label out of range, a
            class without pictures or only in the test list. Names file and line.
    """
    train_list, test_list = pair_of_lists(files, list_name)
    if train_list is None:
        whole = read_list(files, list_name)
        return stable_part(whole, split, files.describe(list_name), test_share)
    refuse_share(test_share, files.describe(test_list))
    train = read_list(files, train_list)
    if split == "train":
        return train
    return read_list(files, test_list, train.classes, train.channels)


def pair_of_lists(files: FileTree, name: str) -> tuple[str | None, str | None]:
    """(training list, test list) if `name` is one of two such lists."""
    folder, slash, base = name.rpartition("/")
    for word in TEST_NAMES:
        for one, other in (("train", word), (word, "train")):
            if one in base:
                partner = folder + slash + base.replace(one, other)
                if files.has(partner):
                    return (name, partner) if one == "train" else (partner, name)
    return None, None


def read_list(
    files: FileTree, list_name: str, classes: list[str] | None = None, channels: int | None = None
) -> PictureDataset:
    """All pictures of one list; classes and channels as another list has them, or its own."""
    entries = parse_list(files.read(list_name), files.describe(list_name))
    where = files.describe(list_name)
    if not entries:
        raise DataError("open_dataset", "the list is empty", {"file": where})
    folder, slash, _ = list_name.rpartition("/")
    names = [folder + slash + path for _, path, _ in entries]
    for (line, path, _), name in zip(entries, names):
        if not files.has(name):
            raise DataError(
                "open_dataset", f"line {line} of the list names a missing picture",
                {"file": where, "picture": path[:200]}, "paths are relative to the list",
            )  # fmt: skip
    given = classes
    if classes is None and files.has(folder + slash + "classes.txt"):
        text = decode_text(files.read(folder + slash + "classes.txt"), "classes.txt")
        classes = [line.strip() for line in text.splitlines() if line.strip()]
    labels, classes = number_labels(entries, classes, where)
    if given is None and len(np.unique(labels)) < len(classes):
        empty = classes[int(np.bincount(labels, minlength=len(classes)).argmin())]
        raise DataError("open_dataset", "a class has no pictures", {"file": where, "class": empty})
    if channels is None:
        channels = common_channels(files, names)
    return PictureDataset(files, names, labels, classes, channels)


def parse_list(content: bytes, where: str) -> list[tuple[int, str, str]]:
    """(line number, path, label) of each entry."""
    entries = []
    for number, line in enumerate(decode_text(content, where).splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line) if len(line) <= MAX_LINE else None
        if not match:
            raise DataError(
                "open_dataset", f"line {number} is not `path label`",
                {"file": where, "line": line[:80]}, 'as in: "my pictures/1.jpg" cat',
            )  # fmt: skip
        quoted = match["quoted"] is not None
        path = match["quoted"] if quoted else match["path"]
        entries.append((number, path, match["name"] or match["word"]))
    return entries


def number_labels(
    entries: list[tuple[int, str, str]], classes: list[str] | None, where: str
) -> tuple[np.ndarray, list[str]]:
    """Labels as int64 (N,), and the classes they number."""
    numeric = [re.fullmatch(r"-?\d{1,9}", label) is not None for _, _, label in entries]
    known = frozenset(classes or ())
    as_names = classes is not None and all(label in known for _, _, label in entries)
    if any(numeric) and not all(numeric) and not as_names:
        odd = entries[numeric.index(not numeric[0])]
        raise DataError(
            "open_dataset", "labels are all names or all numbers",
            {"file": where, "line": odd[0], "label": odd[2]},
        )  # fmt: skip
    if all(numeric) and not as_names:
        labels = np.array([int(label) for _, _, label in entries], np.int64)
        if classes is None:
            count = min(int(labels.max()) + 1, len(entries))  # more classes leave some empty
            classes = [str(i) for i in range(count)]
        wrong = np.flatnonzero((labels < 0) | (labels >= len(classes)))
        if wrong.size:
            line, _, label = entries[wrong[0]]
            raise DataError(
                "open_dataset", f"label out of range 0 to {len(classes) - 1}",
                {"file": where, "line": line, "label": int(label)},
            )  # fmt: skip
        return labels, classes
    if classes is None:
        classes = sorted({label for _, _, label in entries})
    number = {name: i for i, name in enumerate(classes)}
    for line, _, label in entries:
        if label not in number:
            raise DataError(
                "open_dataset", "a class that does not occur in training",
                {"file": where, "line": line, "label": label, "classes": classes},
            )  # fmt: skip
    return np.array([number[label] for _, _, label in entries], np.int64), classes


def decode_text(content: bytes, where: str) -> str:
    """UTF-8 text, with or without a byte order mark."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            "open_dataset", f"the list is not UTF-8 text ({error.reason} at byte {error.start})",
            {"file": where}, "a data set is a name, a folder, a list of `path label` or an archive",
        ) from None  # fmt: skip
