"""The cache folder: downloaded data sets, pictures of archives once they are decoded, and pictures
that a program drew.

60,000 JPEG pictures take seconds to decode, and reading them back as one array takes none. An
entry belongs to the SHA-256 of the archive's content, or of the program, so it is never out of
date. The cache is a convenience: when it cannot be written, or its content is damaged, nothing is
lost but time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minidl.data.dataset import ArrayDataset
from minidl.errors import DataError

FORMAT = "v1"  # changes whenever decoding does, so that older entries are left alone


def cache_folder() -> Path:
    """The folder for downloaded and decoded data (on Linux ~/.cache/minidl)."""
    import pooch

    return Path(pooch.os_cache("minidl"))


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def load_decoded(digest: str, split: str) -> ArrayDataset | None:
    """What save_decoded wrote for an archive, or None. The images stay on disk until used."""
    folder = entry_folder(digest, split)
    try:
        with open(folder / "index.json", encoding="utf-8") as file:
            index = json.load(file)
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        if list(images.shape) != index["shape"]:
            return None
        return ArrayDataset(images, index["labels"], index["classes"], index["names"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, DataError):
        return None


def save_decoded(digest: str, split: str, dataset: ArrayDataset) -> None:
    """Keep a decoded data set. Written to another name and renamed: never there in part."""
    folder = entry_folder(digest, split)
    index = {
        "shape": list(dataset.images.shape),
        "labels": dataset.labels.tolist(),
        "classes": dataset.classes,
        "names": dataset.names,
    }
    with contextlib.suppress(OSError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".writing-"))
        try:
            np.save(temporary / "images.npy", dataset.images, allow_pickle=False)
            (temporary / "index.json").write_text(json.dumps(index), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)  # a damaged entry
            os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def entry_folder(digest: str, split: str) -> Path:
    return cache_folder() / "decoded" / f"{digest[:32]}-{split}-{FORMAT}"


def load_arrays(name: str, digest: str) -> dict[str, np.ndarray] | None:
    """What save_arrays wrote under this name, or None if that was of another digest, or damaged."""
    try:
        with np.load(arrays_file(name), allow_pickle=False) as file:
            if str(file["digest"]) != digest:
                return None
            return {key: file[key] for key in file.files if key != "digest"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def save_arrays(name: str, digest: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays that took long to compute, in place of those that had the name.

    Args:
        name: of the file.
        digest: of all that decides what is in them.
        arrays: by name; none is called "digest".
    """
    path = arrays_file(name)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
            temporary = Path(folder) / path.name
            np.savez(temporary, digest=np.array(digest), **arrays)
            os.replace(temporary, path)


def arrays_file(name: str) -> Path:
    return cache_folder() / "arrays" / f"{name}.npz"
