"""open_dataset (being written)."""

import os
from pathlib import Path

from minidl.data.dataset import Dataset
from minidl.data.digits import check_split, load_digits
from minidl.data.files import FolderFiles
from minidl.data.mnist import FASHION_CLASSES, load_mnist
from minidl.errors import DataError


def open_dataset(name_or_path, split: str = "train", data_dir=None) -> Dataset:
    check_split("open_dataset", split)
    if name_or_path == "digits":
        return load_digits(split)
    for root in (data_dir, os.environ.get("MINIDL_DATA"), "/usr/share/datasets"):
        for folder in (root, root and Path(root) / name_or_path):
            if folder and os.path.isdir(folder) and any("ubyte" in n for n in os.listdir(folder)):
                classes = FASHION_CLASSES if name_or_path == "fashion-mnist" else None
                return load_mnist(FolderFiles(folder), split, classes)
    raise DataError("open_dataset", "not found", {"name": name_or_path})
