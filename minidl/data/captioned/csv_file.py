"""CSV: a line of column names, then a picture and its caption a line.

    image,caption,class
    roses/1.jpg,"a red rose, fully open",rose

The columns are separated by commas, semicolons, tabs or "|". A picture may have several lines, or
columns caption_1, caption_2, ... Other names are known, too: fields.py.
"""

from __future__ import annotations

import csv
import io

from minidl.data.captioned.fields import EXPECTED, add_record, find_fields
from minidl.data.captioned.findings import Finding, shorten
from minidl.data.captioned.listing import Entry, Listing, decode_lines, finish
from minidl.data.files import FileTree

SEPARATORS = ",;\t|"


def read_csv(files: FileTree, name: str) -> Listing:
    """The pictures and captions of a CSV file.

    Args:
        files: has the file and its pictures.
        name: of the file.
    """
    listing = Listing(files, files.describe(name))
    entries: dict[str, Entry] = {}
    folder, slash, _ = name.rpartition("/")
    text = decode_lines(files.read(name), listing, name)
    if text is not None:
        read_rows(text, entries, listing, folder + slash)
    return finish(listing, entries)


def read_rows(text: str, entries: dict[str, Entry], listing: Listing, folder: str) -> None:
    """Add what all lines say."""
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header = [column.strip() for column in next(reader, [])]
        fields = find_fields(tuple(header))
        if not fields["picture"] or not fields["caption"]:
            rule = "the first line names no columns of pictures and captions, but "
            rule += shorten(header) if any(header) else "nothing"
            listing.findings.append(Finding("wrong columns", rule, (), EXPECTED, True))
            return
        for row in reader:
            where = f"line {reader.line_num}"
            if len(row) == len(header):
                record = dict(zip(header, row))
                add_record(record, fields, entries, listing, folder, where)
            elif any(cell.strip() for cell in row):
                listing.note(
                    "wrong rows", "lines have more or fewer columns than the first", [where],
                    f"a caption with {separator!r} in it stands in quotes", serious=True,
                )  # fmt: skip
    except csv.Error as error:
        listing.note(
            "not CSV", "lines cannot be read", [f"line {reader.line_num} ({error})"], serious=True
        )
