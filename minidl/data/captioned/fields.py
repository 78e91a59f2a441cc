"""The names under which JSONL and CSV files have a picture, its captions, class and split."""

from __future__ import annotations

import functools
import re
from typing import Any

from minidl.data.captioned.listing import Entry, Listing, add_entry, as_split
from minidl.data.files import FileTree

NAMES = {
    "picture": (
        "image", "picture", "file_name", "filename", "file", "path", "image_path", "image_name",
    ),
    "caption": ("caption", "captions", "text", "texts", "sentence", "sentences", "comment"),
    "class": ("class", "label", "category"),
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
        ("caption_1", "caption_2"), at most one for the others.
    """
    found: dict[str, list[str]] = {meaning: [] for meaning in NAMES}
    for name in names:
        plain = re.sub(r"[\s_-]?\d+$", "", str(name).strip().lower().replace(" ", "_"))
        for meaning, known in NAMES.items():
            if plain in known and (meaning == "caption" or not found[meaning]):
                found[meaning].append(name)
    return found


def add_record(
    record: dict[str, Any], fields: dict[str, list[str]], entries: dict[str, Entry],
    listing: Listing, folder: str, where: str,
) -> None:  # fmt: skip
    """Add what one line says.

    Args:
        record: name of a field -> its value.
        fields: from find_fields.
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
        listing.note("not text", "lines have captions that are not text", [where], serious=True)
        return
    label = record[fields["class"][0]] if fields["class"] else None
    split = str(record[fields["split"][0]] or "") if fields["split"] else ""
    if split and not as_split(split):
        listing.note(
            "unknown split", "lines have a split that is none of train, val and test",
            [f"{where} ({split})"], serious=True,
        )  # fmt: skip
    name = locate(picture.strip(), folder, listing.files)
    label = None if label is None or label == "" else str(label)
    entry = Entry(name, [text or "" for text in texts], label, as_split(split))
    add_entry(entries, entry, listing, where)


def is_text(value: Any) -> bool:
    """Whether a value is text that can be written: half of a surrogate pair cannot."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def locate(picture: str, folder: str, files: FileTree) -> str:
    """A picture's name in the tree: as it is written, with "/" for a backslash where that helps."""
    name = folder + picture.removeprefix("./")
    return name if files.has(name) else name.replace("\\", "/")
