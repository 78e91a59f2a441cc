"""JSON lines: an object a line with a picture and its caption, or several.

    {"image": "roses/1.jpg", "caption": "a red rose", "class": "rose"}
    {"image": "roses/2.jpg", "captions": ["a pink rose", "this rose is pink"], "class": "rose"}

"class" and "split" may be left out; "train" is to train on, "val" and "test" to test on. A picture
may have several lines. Paths are relative to the file. Other names are known, too: fields.py.
"""

from __future__ import annotations

import json

from minidl.data.captioned.fields import EXPECTED, add_record, find_fields
from minidl.data.captioned.findings import shorten
from minidl.data.captioned.listing import Entry, Listing, decode_lines, finish
from minidl.data.files import FileTree


def read_jsonl(files: FileTree, name: str) -> Listing:
    """The pictures and captions of a JSON lines file.

    Args:
        files: has the file and its pictures.
        name: of the file.
    """
    listing = Listing(files, files.describe(name))
    entries: dict[str, Entry] = {}
    folder, slash, _ = name.rpartition("/")
    text = decode_lines(files.read(name), listing, name)
    for number, line in enumerate((text or "").split("\n"), start=1):
        if line.strip():
            read_line(line, f"line {number}", entries, listing, folder + slash)
    return finish(listing, entries)


def read_line(
    line: str, where: str, entries: dict[str, Entry], listing: Listing, folder: str
) -> None:
    """Add what one line says."""
    try:
        record = json.loads(line)
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
