"""COCO and Flickr as Karpathy arranged them (Karpathy and Fei-Fei 2015): a JSON file for all.

    {"images": [{"filename": "1.jpg", "filepath": "val2014", "split": "train",
                 "sentences": [{"raw": "A red rose.", "tokens": ["a", "red", "rose"]}, ...]}, ...]}

dataset_coco.json, dataset_flickr8k.json and dataset_flickr30k.json are such files. The pictures lie
in the folder "filepath", where there is one, or beside the file, or either of these in some folder
beside the file. The split "restval", what remained of COCO's validation part, is for training.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from minidl.data.captioned.fields import is_text, locate
from minidl.data.captioned.findings import Finding
from minidl.data.captioned.listing import Entry, Listing, add_entry, as_split, decode_lines, finish
from minidl.data.files import is_hidden
from minidl.data.list_file import ListedFiles

REST = "restval"
EXPECTED = 'as in {"images": [{"filename": "1.jpg", "split": "train", "sentences": [{"raw": ...}]}'


def read_karpathy(files: ListedFiles, name: str) -> Listing:
    """The pictures and captions of a JSON file in Karpathy's layout.

    Args:
        files: the folder of the file.
        name: of the file.
    """
    listing = Listing(files, files.describe(name))
    entries: dict[str, Entry] = {}
    folders = folders_beside(files)
    for number, record in enumerate(read_records(files, name, listing), start=1):
        add_image(record, f"image {number}", entries, listing, folders)
    return finish(listing, entries)


def folders_beside(files: ListedFiles) -> dict[str, ListedFiles]:
    """Where pictures may lie: beginning of their paths -> folder, that of the file itself first."""
    try:
        names = sorted(os.listdir(files.folder))
    except OSError:  # a folder whose files can be read, but not listed
        names = []
    beside = [n for n in names if not is_hidden(n) and (files.folder / n).is_dir()]
    return {"": files} | {f"{name}/": ListedFiles(files.folder / name) for name in beside}


def read_records(files: ListedFiles, name: str, listing: Listing) -> Iterable[Any]:
    """What the list "images" of the file has."""
    text = decode_lines(files.read(name), listing, name)
    if text is None:
        return ()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        hint = EXPECTED
        if text.lstrip().startswith("{") and "Extra data" in str(error):
            hint = "a file with an object on each line is called .jsonl"
        listing.findings.append(Finding("not JSON", f"not JSON ({error})", (), hint, True))
        return ()
    images = content.get("images") if isinstance(content, dict) else None
    if isinstance(images, list) and "annotations" not in content:
        return images
    hint = EXPECTED
    if isinstance(content, dict) and "annotations" in content:
        hint = "these are COCO's own annotations; Karpathy's file is called dataset_coco.json"
    rule = "the file has no list of images with their sentences"
    listing.findings.append(Finding("not Karpathy's", rule, (), hint, True))
    return ()


def add_image(
    record: Any,
    where: str,
    entries: dict[str, Entry],
    listing: Listing,
    folders: dict[str, ListedFiles],
) -> None:
    """Add what the file says about one picture.

    Args:
        record: an item of "images".
        where: what findings call it.
        entries: of the items before, by picture.
        listing: for the tree, and findings.
        folders: from folders_beside.
    """
    record = record if isinstance(record, dict) else {}
    picture, folder = record.get("filename"), record.get("filepath") or ""
    if not is_path(picture) or not (folder == "" or is_path(folder)):
        listing.note("no picture", "images have no file name", [where], EXPECTED, serious=True)
        return
    captions = read_sentences(record.get("sentences"))
    if captions is None:
        rule = "images have sentences that are not text"
        listing.note("not text", rule, [f"{where} ({picture})"], EXPECTED, serious=True)
        return
    split = record.get("split") or ""
    known = "train" if split == REST else as_split(str(split))
    if split and not known:
        listing.note(
            "unknown split", f"images have a split that is none of train, {REST}, val and test",
            [f"{where} ({split})"], serious=True,
        )  # fmt: skip
    name = find_picture(picture, folder, folders)
    add_entry(entries, Entry(name, captions, None, known), listing, where)


def is_path(value: Any) -> bool:
    """Whether a value can be a part of a path."""
    return is_text(value) and bool(value.strip()) and "\0" not in value


def read_sentences(sentences: Any) -> list[str] | None:
    """The captions of an item, an empty one where it has none; None for anything but text.

    >>> read_sentences([{"raw": "A rose."}, {"tokens": ["a", "tulip"]}])
    ['A rose.', 'a tulip']
    """
    captions = []
    for sentence in sentences if isinstance(sentences, list) else [sentences or {}]:
        if not isinstance(sentence, dict):
            return None
        tokens = sentence.get("tokens") or []
        raw = sentence.get("raw")
        if raw is None and isinstance(tokens, list) and all(map(is_text, tokens)):
            raw = " ".join(tokens)
        if not is_text(raw):
            return None
        captions.append(raw)
    return captions or [""]


def find_picture(picture: str, folder: str, folders: dict[str, ListedFiles]) -> str:
    """A picture's name in the tree; that which the file itself means, if it is nowhere."""
    meant = [f"{folder}/{picture}", picture] if folder else [picture]
    for beginning, files in folders.items():
        for path in meant:
            name = locate(path, "", files)
            if files.has(name):
                return beginning + name
    return locate(meant[0], "", folders[""])
