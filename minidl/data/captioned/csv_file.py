"""CSV: a line of column names, then a picture and its caption a line.

    image,caption,class
    roses/1.jpg,"a red rose, fully open",rose

The columns are separated by commas, semicolons, tabs or "|". A picture may have several lines, or
columns caption_1, caption_2, ... Other names are known, too: fields.py. A quotation mark that is
never closed would make one caption of all lines behind it, so it is an error.
"""

from __future__ import annotations

import csv
import io

from minidl.data.captioned.fields import EXPECTED, add_record, find_fields
from minidl.data.captioned.findings import Finding, shorten
from minidl.data.captioned.listing import Entry, Listing, decode_lines
from minidl.data.files import FileTree

SEPARATORS = ",;\t|"


def add_csv(files: FileTree, name: str, entries: dict[str, Entry], listing: Listing) -> None:
    """Add the pictures and captions of a CSV file.

    Args:
        files: has the file and its pictures.
        name: of the file.
        entries: by picture, of other files.
        listing: for findings.
    """
    folder, slash, _ = name.rpartition("/")
    text = decode_lines(files.read(name), listing, name)
    if text is not None:
        read_rows(text, entries, listing, folder + slash, f"{name}, " if slash else "")


def read_rows(
    text: str, entries: dict[str, Entry], listing: Listing, folder: str, file: str
) -> None:
    """Add what all lines say."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    where, header, fields = f"{file}line 1", None, {}
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                pass
            elif header is None:
                header = [column.strip() for column in row]
                fields = find_columns(header)
                if not fields["picture"] or not fields["caption"]:
                    break
            elif len(row) == len(header):
                add_record(dict(enumerate(row)), fields, entries, listing, folder, where)
            else:
                listing.note(
                    "wrong rows", "lines have more or fewer columns than the first", [where],
                    f"a caption with {separator!r} in it stands in quotes", serious=True,
                )  # fmt: skip
            where = f"{file}line {reader.line_num + 1}"  # the next row's first
    except csv.Error as error:
        listing.note(
            "not CSV", "lines cannot be read", [f"{where} ({error})"],
            'a caption that begins with " ends with ", and has "" for each one inside',
            serious=True,
        )  # fmt: skip
        return
    if not fields.get("picture") or not fields.get("caption"):
        rule = "the first line names no columns of pictures and captions, but "
        rule += shorten(header) if header else "nothing"
        listing.findings.append(Finding("wrong columns", rule, (), EXPECTED, True))


def find_columns(header: list[str]) -> dict[str, list[int]]:
    """What the columns are, by number, for several may have one name; see find_fields."""
    found = find_fields(tuple(header))
    return {
        meaning: [i for i, name in enumerate(header) if name in names]
        for meaning, names in found.items()
    }
