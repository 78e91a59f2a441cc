"""Oxford-102 flowers and CUB birds as Reed et al. (2016) arranged them.

    text_c10/class_00001/image_06734.txt          ten captions, one a line
    jpg/image_06734.jpg                           its picture, in whatever folder
    trainvalclasses.txt, testclasses.txt          classes, one a line; no class is in both

Without the two lists, a fifth of the classes, chosen by the hash of their names, is for testing: a
network should draw classes that it has not seen.
"""

from __future__ import annotations

from minidl.data.captioned.findings import Finding
from minidl.data.captioned.listing import (
    CLASS,
    Entry,
    Listing,
    add_entry,
    decode_lines,
    finish,
    read_captions,
)
from minidl.data.files import FileTree
from minidl.data.pictures import is_picture

TEXTS = "text_c10"
CLASS_LISTS = {
    "trainvalclasses.txt": "train", "trainclasses.txt": "train", "valclasses.txt": "train",
    "testclasses.txt": "test",
}  # fmt: skip


def find_texts(files: FileTree) -> str:
    """The folder text_c10 in a tree, "" where there is none."""
    return next((name for name in files.folders if name.split("/")[-1] == TEXTS), "")


def read_reed(files: FileTree) -> Listing:
    """The pictures and captions of a tree in Reed's layout.

    Args:
        files: the tree.
    """
    listing = Listing(files, files.location, split_by=CLASS)
    prefix = find_texts(files) + "/"
    splits = class_splits(files, listing)
    pictures = pictures_by_stem(files)
    entries: dict[str, Entry] = {}
    for name in files.names:
        if not name.startswith(prefix) or not name.endswith(".txt"):
            continue
        label, _, file = name[len(prefix) :].rpartition("/")
        stem = file.removesuffix(".txt")
        found = pictures.get(stem, [])
        in_class = [one for one in found if label in one.split("/")]
        picture = (in_class or found or [f"{stem}.jpg"])[0]
        captions = read_captions(files, name, listing)
        entry = Entry(picture, captions, label or None, splits.get(label, ""))
        add_entry(entries, entry, listing, name)
    if entries and not pictures:
        listing.findings.append(
            Finding(
                "no pictures", f"there are captions in {TEXTS}, but no pictures", [],
                f"put the folder with the pictures beside {TEXTS}", True,
            )
        )  # fmt: skip
    return finish(listing, entries)


def pictures_by_stem(files: FileTree) -> dict[str, list[str]]:
    """File name without folder and ending -> the pictures that are called so."""
    found: dict[str, list[str]] = {}
    for name in files.names:
        if is_picture(name):
            found.setdefault(name.split("/")[-1].rpartition(".")[0], []).append(name)
    return found


def class_splits(files: FileTree, listing: Listing) -> dict[str, str]:
    """Class -> "train" or "test", from the lists; empty without a list to test on."""
    splits: dict[str, str] = {}
    for name in files.names:
        split = CLASS_LISTS.get(name.split("/")[-1])
        if split:
            text = decode_lines(files.read(name), listing, name)
            for line in (text or "").split():
                if splits.setdefault(line, split) != split:
                    rule = "classes are both for training and for testing"
                    listing.note("class twice", rule, [line])
    return splits if set(splits.values()) == {"train", "test"} else {}
