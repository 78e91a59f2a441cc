"""JSON lines: an object a line with a picture and its caption, or several.

    {"image": "roses/1.jpg", "caption": "a red rose", "class": "rose"}
    {"image": "roses/2.jpg", "captions": ["a pink rose", "this rose is pink"], "class": "rose"}

"class" and "split" (train, val or test) may be left out. A picture may have several lines. Paths
are relative to the file. Other names are known, too: fields.py.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from minidl.data.captioned.fields import EXPECTED, add_record, find_fields
from minidl.data.captioned.findings import shorten
from minidl.data.captioned.listing import Entry, Listing, decode_lines
from minidl.data.files import FileTree


def add_jsonl(files: FileTree, name: str, entries: dict[str, Entry], listing: Listing) -> None:
    """Add the pictures and captions of a JSON lines file.

    Args:
        files: has the file and its pictures.
        name: of the file.
        entries: by picture, of other files.
        listing: for findings.
    """
    folder, slash, _ = name.rpartition("/")
    file = f"{name}, " if slash else ""
    text = decode_lines(files.read(name), listing, name)
    for number, line in enumerate((text or "").split("\n"), start=1):
        line = line.lstrip("\ufeff")  # of a file that was appended to another
        if line.strip():
            read_line(line, f"{file}line {number}", entries, listing, folder + slash)


def read_line(
    line: str, where: str, entries: dict[str, Entry], listing: Listing, folder: str
) -> None:
    """Add what one line says."""
    try:
        record = json.loads(line, object_pairs_hook=as_record)
    except FieldTwiceError as error:
        listing.note("field twice", "lines have a field twice", [f"{where} ({error})"],
                     'several texts are "captions": [...]', serious=True)  # fmt: skip
        return
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        hint = 'as in {"image": "1.jpg", "caption": "a red rose"}, each object on one line'
        listing.note("not JSON", "lines are not JSON objects", [where], hint, serious=True)
        return
    fields = find_fields(tuple(record))
    if not fields["picture"] or not fields["caption"]:
        listing.note(
            "wrong fields", "lines lack a picture or a caption",
            [f"{where} (has {shorten(list(record)) or 'nothing'})"], EXPECTED, serious=True,
        )  # fmt: skip
        return
    add_record(record, fields, entries, listing, folder, where)


class FieldTwiceError(Exception):
    """An object has a field twice, of which json would keep the last."""


def as_record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON as a dict."""
    record = dict(pairs)
    if len(record) < len(pairs):
        raise FieldTwiceError(Counter(name for name, _ in pairs).most_common(1)[0][0])
    return record
