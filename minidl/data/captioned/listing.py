"""What a reader of captioned data finds: pictures, their captions, and all that is wrong.

The readers (jsonl.py, csv_file.py, folder.py, reed.py, ...) stop at nothing that can be
listed: they collect findings, so that check_captioned shows all of them and open_captioned
refuses with the first serious one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from minidl.data.captioned.dataset import choose_pictures
from minidl.data.captioned.findings import Finding
from minidl.data.files import FileTree
from minidl.data.folder import TEST_SHARE
from minidl.errors import DataError, Hint

OP = "open_captioned"
PICTURE, CLASS = "picture", "class"  # what a split without one in the data is made of
SPLITS = {  # and what data call them
    "train": ("train", "training"), "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}  # fmt: skip


@dataclass
class Entry:
    """A picture of the data.

    Args:
        name: of the picture in the tree.
        captions: its texts.
        label: name of its class, or None.
        split: "train", "val" or "test" where the data say so, else "".
    """

    name: str
    captions: list[str]
    label: str | None = None
    split: str = ""


@dataclass
class Listing:
    """Everything that was found.

    Args:
        files: the tree that has the pictures.
        location: what messages call the data.
        entries: a picture each, in order.
        findings: what is wrong.
        split_by: CLASS where no class may occur in both parts, else PICTURE.
        squared: whether pictures are cut out, and laid on a white square.
    """

    files: FileTree
    location: str
    entries: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    split_by: str = PICTURE
    squared: bool = False

    def note(
        self, kind: str, rule: str, names: Iterable[str], hint: str = "", serious: bool = False
    ) -> None:
        """Add a finding, unless there are no names for it."""
        names = list(names)
        if names:
            self.findings.append(Finding(kind, rule, names, hint, serious))

    @property
    def class_names(self) -> list[str] | None:
        """The classes by alphabet, None where pictures have none."""
        labels = {entry.label for entry in self.entries if entry.label is not None}
        return sorted(labels) if labels else None

    def labels(self) -> np.ndarray:
        """The class of each entry, int64 (N,), 0 where there are no classes."""
        number = {name: i for i, name in enumerate(self.class_names or ())}
        return np.array([number.get(entry.label or "", 0) for entry in self.entries], np.int64)

    @property
    def has_val(self) -> bool:
        """Whether the data have a validation part as well as a test part."""
        return {"val", "test"} <= {entry.split for entry in self.entries}

    def part(self, split: str) -> np.ndarray:
        """Indexes of the entries in one split.

        Args:
            split: "train", "val" or "test". Where the data have only one of the last two, it is
                for testing.

        Raises:
            EmptySplit: nothing is in it.
        """
        named: dict[str, tuple[str, ...]] = {name: (name,) for name in SPLITS}
        if not self.has_val:
            named |= {"val": (), "test": ("val", "test")}
        if split == "val" or any(entry.split for entry in self.entries):
            chosen = np.array([entry.split in named[split] for entry in self.entries], bool)
        elif self.split_by == CLASS and self.class_names is not None:
            names = self.class_names
            held_out = choose_pictures(names, None, TEST_SHARE)
            chosen = held_out[self.labels()] == (split == "test")
        else:
            names, classes = [entry.name for entry in self.entries], self.labels()
            chosen = choose_pictures(names, classes, TEST_SHARE) == (split == "test")
        if not chosen.any():
            raise nothing_in(split, self.location)
        return np.flatnonzero(chosen)


class EmptySplit(DataError):
    """There are no pictures in a split, as where the data name no validation part."""


def nothing_in(split: str, location: str) -> EmptySplit:
    """The error for a split without pictures."""
    hint = "dataset.split(0.1) takes a part of those to train on" if split == "val" else ""
    rule = "there are no pictures in this part of the data"
    return EmptySplit(OP, rule, {"data": location, "split": split}, hint)


def add_entry(entries: dict[str, Entry], entry: Entry, listing: Listing, where: str) -> None:
    """Add an entry, or its captions to those that the picture has already.

    Args:
        entries: by the picture's name.
        entry: the new one.
        listing: for findings.
        where: for findings, such as "line 3".
    """
    known = entries.setdefault(entry.name, entry)
    if known is entry:
        return
    known.captions += entry.captions
    if (known.label, known.split) != (entry.label, entry.split):
        listing.note(
            "two classes", "pictures get another class or split than before",
            [f"{where} ({entry.name})"], serious=True,
        )  # fmt: skip


def finish(listing: Listing, entries: dict[str, Entry]) -> Listing:
    """The listing with these entries, without missing pictures and empty or repeated captions."""
    missing = [name for name in entries if not listing.files.has(name)]
    listing.note(
        "missing pictures", "pictures are not there", missing,
        Hint("paths are relative to the file that names them; leave them out with {skip_missing=}",
             skip_missing=True),
        serious=True,
    )  # fmt: skip
    gone = set(missing)
    empty, repeated, none = [], [], []
    for name, entry in entries.items():
        texts = [text.strip() for text in entry.captions]
        full = [text for text in texts if text]
        kept = list(dict.fromkeys(full))
        if len(full) < len(texts):
            empty.append(name)
        if len(kept) < len(full):
            repeated.append(name)
        if not kept:
            none.append(name)
        elif name not in gone:
            entry.captions = kept
            listing.entries.append(entry)
    listing.note("empty captions", "pictures have an empty caption, which is left out", empty)
    listing.note(
        "repeated captions", "pictures have a caption several times, which counts once", repeated
    )
    listing.note("no captions", "pictures without a caption are left out", none)
    unlabelled = [entry.name for entry in listing.entries if entry.label is None]
    if unlabelled and len(unlabelled) < len(listing.entries):
        listing.note("no class", "pictures have no class, but others do", unlabelled, serious=True)
    without = [entry.name for entry in listing.entries if not entry.split]
    if without and len(without) < len(listing.entries):
        hint = "train, val and test are splits, also as names of folders"
        listing.note("no split", "pictures have no split, but others do", without, hint, True)
    listing.findings = merged(listing.findings)
    if not listing.entries and not any(finding.serious for finding in listing.findings):
        listing.findings.append(Finding("nothing", "no pictures with captions", serious=True))
    return listing


def merged(findings: list[Finding]) -> list[Finding]:
    """One finding of each kind, with the names of all."""
    names: dict[str, list[str]] = {}
    for one in findings:
        names.setdefault(one.kind, []).extend(one.names)
    first = {one.kind: one for one in reversed(findings)}
    return [
        Finding(kind, first[kind].rule, all_names, first[kind].hint, first[kind].serious)
        for kind, all_names in names.items()
    ]


def as_split(text: str) -> str:
    """ "train", "val" or "test" for what data call their parts, "" for anything else."""
    for split, words in SPLITS.items():
        if text.strip().lower() in words:
            return split
    return ""


def decode_lines(content: bytes, listing: Listing, where: str) -> str | None:
    """UTF-8 text with or without a byte order mark; None, with a finding, for anything else."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "it is UTF-16; " if utf16 else ""
        listing.note(
            "not UTF-8", "files are not UTF-8 text",
            [f"{where} (line {line}, byte {error.start})"],
            hint + "save it as UTF-8", serious=True,
        )  # fmt: skip
        return None


def read_captions(files: FileTree, name: str, listing: Listing) -> list[str]:
    """The captions of a text file, one a line; a single empty one where there are none."""
    text = decode_lines(files.read(name), listing, name) or ""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line for line in lines if line.strip()] or [""]
