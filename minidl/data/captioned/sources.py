"""open_captioned: pictures with captions from a name, a file or a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from minidl.data.archive import is_archive, open_archive
from minidl.data.captioned import emoji, flowers17, tuxpaint
from minidl.data.captioned.dataset import CaptionedDataset, PictureFiles
from minidl.data.captioned.folder import read_folder
from minidl.data.captioned.karpathy import read_karpathy
from minidl.data.captioned.listing import OP, SPLITS, Listing, nothing_in
from minidl.data.captioned.lists import CSV, JSONL, read_lists
from minidl.data.files import FolderFiles
from minidl.data.list_file import ListedFiles
from minidl.errors import ArgumentError, DataError, nearest
from minidl.io.atomic import as_path
from minidl.shapes import check_flag, is_int

DRAWN = ("flowers", "flowers-turned")  # drawn by minidl.data.flowers
READERS = {  # of what has a name and is not drawn
    flowers17.NAME: flowers17.read_flowers17, tuxpaint.NAME: tuxpaint.read_tuxpaint,
    emoji.NAME: emoji.read_emoji,
}  # fmt: skip
NAMES = (*DRAWN, *READERS)


def open_captioned(
    source: str | Path, split: str = "train", size: int | None = None,
    data_dir: str | Path | None = None, skip_missing: bool = False,
) -> CaptionedDataset:  # fmt: skip
    """Open pictures with captions.

    A name is "flowers" (drawn, see minidl.data.flowers; the combinations held out are its test
    part), "flowers-turned", "flowers17" (photographs, and sentences for each of 17 kinds),
    "tuxpaint" (photographs and drawings, see tuxpaint.py) or "emoji" (see emoji.py). Drawn flowers
    stand upright, with a petal that points up, which tells the numbers of petals apart by where
    petals are; those of flowers-turned are turned by any angle, so that petals must be counted.
    Anything else is a path to

    - a .jsonl file, an object a line with "image" and "caption" or "captions" (jsonl.py),
    - a .csv file with such columns (csv_file.py),
    - a .json file of COCO or Flickr as Karpathy arranged them (karpathy.py),
    - a folder or archive with such a file, with a .txt file beside each picture (folder.py), or
      with Oxford-102 or CUB as Reed et al. arranged them (reed.py).

    Where the data name no split, a fifth of the pictures, chosen by the hash of their names, is for
    testing; in Reed's data a fifth of the classes. "val" is there only where the data name both a
    validation and a test part (one of them alone is for testing); otherwise CaptionedDataset.split
    makes one.

    Args:
        source: name, or path.
        split: "train", "val" or "test".
        size: side of a square that pictures are scaled to and cut out of; None leaves them as they
            are (drawn flowers: 32).
        data_dir: first place to look for the files of a name.
        skip_missing: leave out pictures that are not there.

    Returns:
        The data set; its `findings` say what was left out.

    Raises:
        EmptySplit: a DataError; there are no pictures in the split.
        DataError: not found, or something is wrong with it; check_captioned lists everything that
            is.
        ArgumentError: an argument is something else.

    >>> minidl.data.open_captioned("flowers", "test")
    CaptionedDataset(2424 pictures, 21816 captions, 202 classes)
    """
    if split not in tuple(SPLITS):
        raise ArgumentError(OP, 'split is "train", "val" or "test"', {"split": split})
    check_flag(OP, "skip_missing", skip_missing)
    if size is not None and (not is_int(size) or size < 1):
        raise ArgumentError(OP, "size is an int >= 1 or None", {"size": size})
    if source in DRAWN:
        from minidl.data.flowers import TILT, load_flowers

        if split == "val":
            raise nothing_in(split, str(source))
        part = "train" if split == "train" else "held-out"
        return load_flowers(part, size or 32, tilt=TILT if source == "flowers" else 180)
    listing = list_captioned(source, data_dir)
    for finding in listing.findings:
        if finding.serious and not (skip_missing and finding.kind == "missing pictures"):
            raise finding.error(OP, listing.location)
    return as_dataset(listing, split, size)


def as_dataset(listing: Listing, split: str, size: int | None) -> CaptionedDataset:
    """One split of what was listed."""
    chosen = listing.part(split)
    entries = [listing.entries[i] for i in chosen]
    names = [entry.name for entry in entries]
    classes = listing.labels()[chosen] if listing.class_names else None
    return CaptionedDataset(
        PictureFiles(listing.files, names, size, listing.squared).decode(),
        [entry.captions for entry in entries],
        classes,
        listing.class_names,
        names,
        listing.findings,
    )


def list_captioned(source: Any, data_dir: str | Path | None = None) -> Listing:
    """What a name or path has, and all that is wrong with it.

    Args:
        source: as in open_captioned, except for drawn flowers.
        data_dir: as there.

    Raises:
        DataError: not there, or nothing of a known kind.
    """
    if not isinstance(source, str | os.PathLike) or not str(source):
        raise ArgumentError(OP, "expects a name or a path", {"source": source})
    if data_dir is not None and not as_path(OP, "data_dir", data_dir).is_dir():
        raise DataError(OP, "the data folder is not there", {"data_dir": str(data_dir)})
    if source in READERS:
        return READERS[source](data_dir)
    path = Path(source).expanduser()
    if not os.path.exists(path):
        named = os.sep not in str(source) and not path.suffix
        what = "no such data set, file or folder" if named else "no such file or folder"
        hint = nearest(str(source), NAMES) if named else ""
        raise DataError(OP, what, {"source": str(source)}, hint)
    if path.is_dir():
        return read_folder(FolderFiles(path, OP))
    suffix = path.suffix.lower()
    if suffix in (*JSONL, *CSV):
        return read_lists(ListedFiles(path.parent), [path.name])
    if suffix == ".json":
        return read_karpathy(ListedFiles(path.parent), path.name)
    if path.is_file() and is_archive(path, OP):
        return read_folder(open_archive(path, OP))
    raise DataError(
        OP, "neither a folder, an archive, nor a file with captions", {"source": str(source)},
        "captions are in .jsonl or .csv files, or in Karpathy's .json",
    )  # fmt: skip
