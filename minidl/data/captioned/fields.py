"""The names under which JSONL and CSV files have a picture, its captions, class and split."""

from __future__ import annotations

import functools
import math
import os
import posixpath
import re
import unicodedata
from typing import Any

from minidl.data.captioned.listing import Entry, Listing, add_entry, as_split
from minidl.data.files import FileTree

NAMES = {  # the first that a file has is meant
    "picture": (
        "image", "picture", "file_name", "filename", "image_path", "image_name", "path", "file",
    ),
    "caption": ("caption", "sentence", "text", "comment"),  # or with an "s", or a number
    "class": ("class", "category", "label"),
    "split": ("split",),
}  # fmt: skip
EXPECTED = 'a picture is called "image", its text "caption", or several "captions"'


@functools.lru_cache(maxsize=64)
def find_fields(names: tuple[str, ...]) -> dict[str, list[str]]:
    """What the fields or columns of a file are.

    Args:
        names: as they are in the file.

    Returns:
        "picture", "caption", "class", "split" -> the names of these; several for captions
        ("caption_1", "caption_2"), at most one for the others. Of a file with "caption" and
        "comment", a comment is no caption.
    """
    plain = [str(name).strip().lower().replace(" ", "_") for name in names]
    found: dict[str, list[str]] = {}
    for meaning, known in NAMES.items():
        words = [caption_word(word) for word in plain] if meaning == "caption" else plain
        first = next((word for word in known if word in words), None)
        same = [name for name, word in zip(names, words) if word == first]
        found[meaning] = same if meaning == "caption" else same[:1]
    return found


def caption_word(name: str) -> str:
    """ "caption" for "captions" and "caption_2"; other names may come out shorter, too."""
    return re.sub(r"[\s_-]?\d+$", "", name).removesuffix("s")


def add_record(
    record: dict[Any, Any], fields: dict[str, list[Any]], entries: dict[str, Entry],
    listing: Listing, folder: str, where: str,
) -> None:  # fmt: skip
    """Add what one line says.

    Args:
        record: name of a field, or number of a column -> its value.
        fields: the names or numbers of what find_fields has found.
        entries: of the lines before, by picture.
        listing: for the tree, and findings.
        folder: of the file in the tree, to which paths are relative, with "/" at its end, or "".
        where: the line, for findings.
    """
    picture = record[fields["picture"][0]] if fields["picture"] else None
    values = [record[name] for name in fields["caption"]]
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    if not is_text(picture) or not picture.strip() or "\0" in picture:
        listing.note("no picture", "lines name no picture", [where], EXPECTED, serious=True)
        return
    if not all(text is None or is_text(text) for text in texts):
        listing.note("not text", "lines have captions that are not text", [where],
                     'a number stands in quotes, too, as in "7"', serious=True)  # fmt: skip
        return
    label = record[fields["class"][0]] if fields["class"] else None
    if not (label is None or is_text(label) or is_label(label)):
        listing.note("wrong class", "lines have a class that is neither text nor number", [where],
                     serious=True)  # fmt: skip
        return
    split = str(record[fields["split"][0]] or "") if fields["split"] else ""
    within = as_split(folder.split("/")[0])  # "train/metadata.jsonl" lists those to train on
    if split and not as_split(split):
        listing.note(
            "unknown split", "lines have a split that is none of train, val and test",
            [f"{where} ({split})"], serious=True,
        )  # fmt: skip
    name = locate(picture.strip(), folder, listing.files)
    label = "" if label is None else str(label).strip()
    entry = Entry(name, [text or "" for text in texts], label or None, as_split(split) or within)
    add_entry(entries, entry, listing, where)


def is_text(value: Any) -> bool:
    """Whether a value is text that can be written: half of a surrogate pair cannot."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def is_label(value: Any) -> bool:
    """Whether a value is a number that can name a class."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def locate(picture: str, folder: str, files: FileTree) -> str:
    """A picture's name in the tree, the same for all spellings of a path ("p/a", "./p//a").

    A backslash may stand for "/", and accents may be written apart from their letters, as macOS
    writes them, or as one with them.

    Args:
        picture: as it is written.
        folder: as in add_record.
        files: the tree.
    """
    shortest = posixpath.normpath(folder + picture)
    absolute = os.path.abspath(files.location) + "/"
    if posixpath.isabs(picture):
        shortest = posixpath.normpath(picture).removeprefix(absolute)
    spellings = (shortest, folder + picture, posixpath.normpath(shortest.replace("\\", "/")))
    for name in spellings:
        for form in (None, "NFC", "NFD"):
            found = name if form is None else unicodedata.normalize(form, name)
            if files.has(found):
                return found
    return spellings[-1]
