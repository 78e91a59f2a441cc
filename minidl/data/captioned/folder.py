"""A folder or archive with pictures and, for each, a text file of the same name.

    flowers/rose/1.jpg        flowers/rose/1.txt: a caption a line

Where all pictures are in folders, these are their classes; folders train, val and test above them
are the split. A folder with captions.jsonl, captions.csv, metadata.jsonl or metadata.csv is read by
that file instead, or by those in its folders train, val and test; one with text_c10 is Reed's data
(reed.py).
"""

from __future__ import annotations

import os
from pathlib import Path

from minidl.data.captioned.findings import Finding
from minidl.data.captioned.listing import Entry, Listing, as_split, finish, read_captions
from minidl.data.captioned.lists import find_lists, read_lists
from minidl.data.captioned.reed import find_texts, read_reed
from minidl.data.files import FileTree
from minidl.data.list_file import ListedFiles
from minidl.data.pictures import is_picture
from minidl.data.sources import without_wrapper


def read_folder(files: FileTree) -> Listing:
    """The pictures and captions of a tree.

    Args:
        files: the tree.
    """
    if find_texts(files):
        return read_reed(files)
    files = without_wrapper(files)
    lists = find_lists(files)
    if not lists:
        return read_texts(files)
    if os.path.isdir(files.location):  # no archive: a list may name pictures anywhere on the disk
        files = ListedFiles(Path(files.location))
    return read_lists(files, lists)


def read_texts(files: FileTree) -> Listing:
    """Pictures, each with a text file of its name."""
    listing = Listing(files, files.location)
    pictures = [name for name in files.names if is_picture(name)]
    entries: dict[str, Entry] = {}
    lonely = []
    for name in pictures:
        stem = name.rpartition(".")[0]
        text_name = next((n for n in (stem + ".txt", stem + ".TXT") if files.has(n)), "")
        if not text_name:
            lonely.append(name)
            continue
        parts = name.split("/")
        split = as_split(parts[0]) if len(parts) > 1 else ""
        above = parts[1:-1] if split else parts[:-1]
        captions = read_captions(files, text_name, listing)
        entries[name] = Entry(name, captions, above[0] if above else None, split)
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
    loose = [entry.name for entry in entries.values() if entry.label is None]
    if len(loose) < len(entries):
        rule = "pictures are in no folder, so the folders of the others are no classes"
        listing.note("loose pictures", rule, loose)
    if loose or len({entry.label for entry in entries.values()}) == 1:
        for entry in entries.values():  # one folder for all is no class, either
            entry.label = None
    return finish(listing, entries)
