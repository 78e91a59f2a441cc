"""A folder or archive with pictures and, for each, a text file of the same name.

    flowers/rose/1.jpg        flowers/rose/1.txt: a caption a line

Where all pictures are in folders, these are their classes; folders train and test above them are
the split. A folder with captions.jsonl, captions.csv, metadata.jsonl or metadata.csv is read by
that file instead, and one with text_c10 as Reed's data (reed.py).
"""

from __future__ import annotations

from minidl.data.captioned.csv_file import read_csv
from minidl.data.captioned.findings import Finding
from minidl.data.captioned.jsonl import read_jsonl
from minidl.data.captioned.listing import Entry, Listing, as_split, decode_lines, finish
from minidl.data.captioned.reed import find_texts, read_reed
from minidl.data.files import FileTree
from minidl.data.pictures import is_picture
from minidl.data.sources import without_wrapper

LISTS = ("captions.jsonl", "metadata.jsonl", "captions.csv", "metadata.csv")


def read_folder(files: FileTree) -> Listing:
    """The pictures and captions of a tree.

    Args:
        files: the tree.
    """
    if find_texts(files):
        return read_reed(files)
    files = without_wrapper(files)
    for name in LISTS:
        if files.has(name):
            return read_jsonl(files, name) if name.endswith("jsonl") else read_csv(files, name)
    return read_texts(files)


def read_texts(files: FileTree) -> Listing:
    """Pictures, each with a text file of its name."""
    listing = Listing(files, files.location)
    pictures = [name for name in files.names if is_picture(name)]
    entries: dict[str, Entry] = {}
    lonely = []
    for name in pictures:
        text_name = name.rpartition(".")[0] + ".txt"
        if not files.has(text_name):
            lonely.append(name)
            continue
        text = decode_lines(files.read(text_name), listing, text_name)
        parts = name.split("/")
        split = as_split(parts[0]) if len(parts) > 1 else ""
        above = parts[1:-1] if split else parts[:-1]
        captions = [line for line in (text or "").splitlines() if line.strip()]
        entries[name] = Entry(name, captions or [""], above[0] if above else None, split)
    if lonely and len(lonely) == len(pictures):
        listing.findings.append(
            Finding(
                "no texts", "there are pictures, but no captions beside them", [],
                "captions are in a .txt file with the name of the picture, in captions.jsonl or "
                "captions.csv, or in text_c10 as in Reed's data", True,
            )
        )  # fmt: skip
    else:
        listing.note("no text file", "pictures have no .txt file and are left out", lonely)
    if len({entry.label for entry in entries.values()}) == 1:
        for entry in entries.values():  # one folder for all is no class
            entry.label = None
    return finish(listing, entries)
