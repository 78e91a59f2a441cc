"""Oxford's 17 kinds of flowers (Nilsback and Zisserman 2006) with captions for each kind.

The pictures are in a folder flowers17 with a folder per kind, or in an archive of it, the captions
in flowers17-captions.json, which has for each kind a list of sentences. So captions tell kinds
apart, not pictures: a network learns to name the kind, and to say of every picture what is said of
its kind, whether it is so in this picture or not. The split is that of open_dataset: a network that
learned to classify the training part has not seen the test part.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minidl.data.archive import open_archive
from minidl.data.cache import cache_folder
from minidl.data.captioned import places
from minidl.data.captioned.listing import OP, Entry, Listing, finish
from minidl.data.files import FileTree, FolderFiles, read_file
from minidl.data.folder import list_classes
from minidl.data.sources import without_wrapper
from minidl.errors import DataError

NAME = "flowers17"
PICTURES = ("flowers17.tar", "flowers17.tar.gz", "flowers17.tgz", "flowers17.zip", "flowers17")
CAPTIONS = "flowers17-captions.json"


def read_flowers17(data_dir: str | Path | None = None) -> Listing:
    """The flowers with their captions.

    Args:
        data_dir: first place to look for the files; then $MINIDL_DATA, the cache folder and
            /usr/share/datasets.

    Raises:
        DataError: the files are not there, or damaged.
    """
    files = without_wrapper(open_pictures(find(PICTURES, data_dir)))
    captions = read_captions(find((CAPTIONS,), data_dir))
    listing = Listing(files, files.location)
    names, labels, classes = list_classes(files)
    lacking = [name for name in classes if name not in captions]
    listing.note(
        "no captions for kinds", "kinds of flowers have no captions", lacking, serious=True
    )
    entries = {
        name: Entry(name, list(captions.get(classes[label], ())), classes[label])
        for name, label in zip(names, labels)
    }
    return finish(listing, entries)


def open_pictures(path: Path) -> FileTree:
    return FolderFiles(path, OP) if path.is_dir() else open_archive(path, OP)


def find(names: tuple[str, ...], data_dir: str | Path | None) -> Path:
    """The first file or folder of these names, where data sets are looked for."""
    found = places.find(NAME, names, data_dir)
    if found is not None:
        return found
    raise DataError(
        OP, f"{NAME} is not on this machine", {"missing": names[0]},
        f"put {PICTURES[0]} and {CAPTIONS} into {cache_folder() / NAME}, or into a folder of your "
        "own: --data-dir DIR, data_dir=, or $MINIDL_DATA",
    )  # fmt: skip


def read_captions(path: Path) -> dict[str, list[str]]:
    """Kind of flower -> sentences."""
    try:
        captions: Any = json.loads(read_file(path, OP).decode("utf-8-sig"))
        for kind, texts in captions.items():
            if isinstance(texts, str):
                captions[kind] = texts = [texts]
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError("the captions of a kind are a list of texts")
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(
            OP, f"expects a JSON object of kind and sentences ({error})", {"file": str(path)}
        ) from None
    return captions
