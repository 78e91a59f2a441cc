"""Files that list pictures with their captions: which there are in a tree, and what they say."""

from __future__ import annotations

from minidl.data.captioned.csv_file import add_csv
from minidl.data.captioned.jsonl import add_jsonl
from minidl.data.captioned.listing import Entry, Listing, as_split, finish
from minidl.data.files import FileTree

JSONL, CSV = (".jsonl", ".ndjson"), (".csv", ".tsv")
NAMES = ("captions.jsonl", "metadata.jsonl", "captions.csv", "metadata.csv")  # the first counts


def read_lists(files: FileTree, names: list[str]) -> Listing:
    """The pictures and captions of .jsonl and .csv files.

    Args:
        files: has the files and the pictures.
        names: of the files, one or more.
    """
    where = files.describe(names[0]) if len(names) == 1 else files.location
    listing = Listing(files, where)
    entries: dict[str, Entry] = {}
    for name in names:
        add = add_jsonl if name.lower().endswith(JSONL) else add_csv
        add(files, name, entries, listing)
    return finish(listing, entries)


def find_lists(files: FileTree) -> list[str]:
    """The lists of a tree, called as in NAMES: at its top, or else one in each folder of a split.

    A tree that is all in one folder has its top there.
    """
    tops = sorted({name.split("/")[0] for name in files.names})
    inside = tops if len(tops) == 1 else [top for top in tops if as_split(top)]
    for folders in ([""], [f"{top}/" for top in inside]):
        found = [next((f + n for n in NAMES if files.has(f + n)), "") for f in folders]
        if any(found):
            return [name for name in found if name]
    return []
