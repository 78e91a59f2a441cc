"""open_dataset: a data set from its name, a folder, a list of pictures, or an archive."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from minidl.data.archive import is_archive, open_archive
from minidl.data.cache import cache_folder, file_hash, load_decoded, save_decoded
from minidl.data.cifar import cifar_suffix, load_cifar
from minidl.data.dataset import ArrayDataset, Dataset
from minidl.data.digits import check_split, load_digits
from minidl.data.fetch import SOURCES, Source, fetch
from minidl.data.files import FileTree, FolderFiles
from minidl.data.folder import SPLITS, load_folder, refuse_share
from minidl.data.list_file import ListedFiles, find_list, load_list
from minidl.data.mnist import FASHION_CLASSES, is_mnist, load_mnist
from minidl.data.pictures import decode_all
from minidl.errors import ArgumentError, DataError, nearest
from minidl.io.atomic import as_path
from minidl.shapes import is_number

SYSTEM_FOLDER = "/usr/share/datasets"  # Debian's dataset-fashion-mnist
MAX_CACHED_ARCHIVE = 1 << 30  # bytes; hashing a larger one takes longer than it saves
MAX_DECODED = 1 << 30
ARCHIVES = (".zip", ".tar.gz", ".tar.xz")


def open_dataset(
    name_or_path: str | Path,
    split: str = "train",
    data_dir: str | Path | None = None,
    test_share: float | None = None,
) -> Dataset:
    """Open a data set.

    A name is "digits", "mnist", "fashion-mnist" or "cifar10". Its files are looked for in
    data_dir, $MINIDL_DATA, the cache folder and /usr/share/datasets: in a folder named as the data
    set, in the first two also directly; else they are downloaded. Anything else is a path to

    - a folder per class, with folders train and test above them or without (folder.py),
    - idx files as MNIST's (mnist.py), batches as CIFAR-10's (cifar.py),
    - a text file with `path label` lines (list_file.py),
    - a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz archive of one of these (archive.py).

    Args:
        name_or_path: name, or path ("./mnist" for a folder that has the name of a data set).
        split: "train" or "test".
        data_dir: first place to look for the files of a name.
        test_share: part of the pictures to test on, between 0 and 1, where none are set apart
            (they are chosen by the hash of their names); None for 0.2.

    Raises:
        DataError: not found (names the nearest), damaged, without pictures, or with pictures to
            test on although test_share asks for others.
        ArgumentError: an argument is something else.

    >>> minidl.data.open_dataset("digits", "train")
    ArrayDataset(1442 images, 32x32x1, 10 classes)
    """
    check_split("open_dataset", split)
    if not isinstance(name_or_path, str | os.PathLike) or not str(name_or_path):
        raise ArgumentError(
            "open_dataset", "expects a name or a path", {"name_or_path": name_or_path}
        )
    if data_dir is not None and not as_path("open_dataset", "data_dir", data_dir).is_dir():
        raise DataError("open_dataset", "the data folder is not there", {"data_dir": str(data_dir)})
    if test_share is not None and not (is_number(test_share) and 0 < test_share < 1):
        raise ArgumentError(
            "open_dataset", "test_share lies between 0 and 1", {"test_share": test_share}
        )
    if name_or_path in SOURCES:
        refuse_share(test_share, str(name_or_path))
    if name_or_path == "digits":
        return load_digits(split)
    if name_or_path in SOURCES:
        return open_source(SOURCES[name_or_path], split, data_dir)
    path = Path(name_or_path).expanduser()
    if os.path.exists(path):  # unlike path.exists(), False for a name that is too long
        return open_path(path, split, test_share=test_share)
    if os.sep in str(name_or_path) or path.suffix:
        raise DataError("open_dataset", "no such file or folder", {"path": str(name_or_path)})
    raise DataError(
        "open_dataset", "no such data set, file or folder", {"name": str(name_or_path)},
        nearest(str(name_or_path), SOURCES),
    )  # fmt: skip


# --- names ------------------------------------------------------------------------------------


def open_source(source: Source, split: str, data_dir: Any) -> Dataset:
    """One split of a data set that has a name, fetched if need be."""
    cached = cache_folder() / source.name
    found = locate(source, data_dir)
    if found is None or (found == cached and not complete(source, found)):
        found = fetch(source.name)
    try:
        return open_path(found, split, FASHION_CLASSES if source.name == "fashion-mnist" else None)
    except DataError as error:
        if not error.hint and cached in (found, found.parent):
            error.hint = "delete the file, and it will be downloaded again"
        raise


def complete(source: Source, folder: Path) -> bool:
    """Whether no file is missing in the cache folder, as after an interrupted download."""
    return all((folder / file).is_file() for file in source.files)


def locate(source: Source, data_dir: Any = None) -> Path | None:
    """The folder or archive that has a data set's files, None where there is none."""
    for root in (data_dir, os.environ.get("MINIDL_DATA"), cache_folder(), SYSTEM_FOLDER):
        if not root:
            continue
        folders = [Path(root) / source.name]
        if root in (data_dir, os.environ.get("MINIDL_DATA")):
            # MNIST and Fashion-MNIST have the same file names: the folder's name decides.
            other = Path(root).resolve().name
            if other == source.name or other not in SOURCES:
                folders.append(Path(root))
        for folder in folders:
            for name in source.present:
                found = folder / name
                if found.is_dir() or (found.exists() and name.endswith(ARCHIVES)):
                    return found
                if found.exists():
                    return folder
    return None


def available(data_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """The data sets that have a name, and where they are.

    Args:
        data_dir: as in open_dataset.

    Returns:
        For each {"name", "what", "size" (bytes to download), "found" (path, or None)}.

    Raises:
        DataError: data_dir is no folder.

    >>> minidl.data.available()[0]["name"]
    'digits'
    """
    if data_dir is not None:
        data_dir = as_path("available", "data_dir", data_dir)
        if not data_dir.is_dir():
            raise DataError("available", "no such folder", {"data_dir": str(data_dir)})
    rows = []
    for source in SOURCES.values():
        found = locate(source, data_dir)
        row = {"name": source.name, "what": source.what, "size": source.size}
        rows.append(row | {"found": None if found is None else str(found)})
    rows[0]["found"] = "installed with scikit-learn"
    return rows


# --- paths ------------------------------------------------------------------------------------


def open_path(
    path: Path, split: str, classes: list[str] | None = None, test_share: float | None = None
) -> Dataset:
    """One split of what lies in a folder, list file or archive."""
    if path.is_dir():
        return open_tree(FolderFiles(path), split, classes, test_share)
    if not path.is_file():
        raise DataError("open_dataset", "neither a file nor a folder", {"path": str(path)})
    if is_archive(path, "open_dataset"):
        return open_archived(path, split, test_share)
    return load_list(ListedFiles(path.parent), path.name, split, test_share)


def open_tree(
    files: FileTree, split: str, classes: list[str] | None = None, test_share: float | None = None
) -> Dataset:
    """One split of a tree whose format is recognised by the names in it."""
    files = without_wrapper(files)
    if not files.names:
        raise DataError("open_dataset", "there are no files", {"path": files.location})
    if is_mnist(files) or cifar_suffix(files) is not None:
        refuse_share(test_share, files.location)
    if is_mnist(files):
        return load_mnist(files, split, classes)
    if cifar_suffix(files) is not None:
        return load_cifar(files, split)
    list_name = find_list(files)
    if list_name:
        return load_list(files, list_name, split, test_share)
    return load_folder(files, split, test_share)


def without_wrapper(files: FileTree) -> FileTree:
    """The tree below a single outer folder that holds everything ("flowers17/tulip/1.jpg").

    A folder of pictures is a class and no wrapper, and train/ alone is a split.
    """
    splits = [name for names in SPLITS.values() for name in names]
    while True:
        top = {name.split("/", 1)[0] for name in (*files.names, *files.folders)}
        only = next(iter(top)) if len(top) == 1 else ""
        below = files.inside(only)
        if not only or only in files.names or only.lower() in splits:
            return files
        if not below.folders and not recognised(below):
            return files
        files = below


def recognised(files: FileTree) -> bool:
    """Whether a folder without folders in it is a data set: idx files, batches or a list."""
    return is_mnist(files) or cifar_suffix(files) is not None or find_list(files) is not None


def open_archived(path: Path, split: str, test_share: float | None = None) -> Dataset:
    """One split of an archive. Pictures of one size are decoded once and kept in the cache."""
    cacheable = path.stat().st_size <= MAX_CACHED_ARCHIVE
    digest = file_hash(path) if cacheable else ""
    part = split if test_share is None else f"{split}-{test_share}"
    dataset = load_decoded(digest, part) if cacheable else None
    if dataset is None:
        dataset = open_tree(open_archive(path), split, test_share=test_share)
        if cacheable:
            dataset = decode_all(dataset, MAX_DECODED)
            if isinstance(dataset, ArrayDataset):
                save_decoded(digest, part, dataset)
    return dataset
