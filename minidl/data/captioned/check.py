"""Everything that is wrong with one's own pictures and captions, before hours are spent on them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minidl.data.captioned.dataset import PictureFiles
from minidl.data.captioned.findings import Finding, shorten
from minidl.data.captioned.listing import Listing
from minidl.data.captioned.sources import DRAWN, list_captioned
from minidl.data.pictures import with_progress
from minidl.data.text import tokenize
from minidl.errors import DataError

ALPHABET = frozenset(
    "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+=<>()[]{} "
)  # of Reed et al. (2016)
LONGEST = 201  # characters that their encoder reads
SMALLEST_SIDE = 64  # pixels; no smaller ones are drawn
ELONGATED = 2.0
FEWEST = 64  # a batch
OFTEN = 4  # captions that a word must be in for Vinyals et al. (2016) to learn it


@dataclass
class Report:
    """What a check found.

    Args:
        facts: name and text of what the data are, for any reader.
        findings: what is wrong or should be known, the serious ones first.
    """

    facts: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def serious(self) -> bool:
        """Whether nothing can be learned before something is put right."""
        return any(finding.serious for finding in self.findings)

    def without(self, kinds: Collection[str]) -> Report:
        """The report for someone to whom some facts and kinds of findings do not matter.

        Args:
            kinds: names of facts, and kinds of findings.
        """
        facts = {name: text for name, text in self.facts.items() if name not in kinds}
        return Report(facts, [one for one in self.findings if one.kind not in kinds])


def check_captioned(source: str | Path, data_dir: str | Path | None = None) -> Report:
    """All that is wrong with pictures and captions. Every picture is decoded.

    Args:
        source: name or path as in open_captioned.
        data_dir: as there.

    Returns:
        facts and findings.

    Raises:
        DataError: the data are not there at all, or of no known kind.
    """
    if source in DRAWN:
        return Report({"pictures": "drawn when they are needed"})
    listing = list_captioned(source, data_dir)
    facts: dict[str, str] = {}
    if listing.entries:
        facts["pictures"] = f"{len(listing.entries):,}"
        facts["captions"] = caption_facts(listing)
        prints = check_pictures(listing, facts)
        check_captions(listing)
        check_classes(listing, facts)
        check_split(listing, prints, facts)
    return Report(facts, sorted(listing.findings, key=lambda finding: not finding.serious))


# --- pictures ---------------------------------------------------------------------------------


def check_pictures(listing: Listing, facts: dict[str, str]) -> dict[str, str]:
    """Decode all pictures.

    Returns:
        picture -> hash of its pixels, of those that could be decoded.
    """
    names = [entry.name for entry in listing.entries]
    pictures = PictureFiles(listing.files, names, squared=listing.squared)
    prints, sizes, broken, blank = {}, {}, [], []
    for i in with_progress(range(len(names)), "decoding pictures", least=500):
        try:
            picture = pictures[i]
        except DataError as error:
            broken.append(f"{names[i]} ({error.rule})")
            continue
        sizes[names[i]] = picture.shape[:2]
        digest = hashlib.sha256(str(picture.shape).encode() + picture.tobytes())
        prints[names[i]] = digest.hexdigest()
        if (picture == picture[0, 0]).all():
            blank.append(names[i])
    listing.note(
        "unreadable pictures", "pictures cannot be decoded", broken,
        "remove them, or their lines", serious=True,
    )  # fmt: skip
    listing.note("blank pictures", "pictures are of a single color", blank)
    small = [f"{n} ({w}x{h})" for n, (h, w) in sizes.items() if min(h, w) < SMALLEST_SIDE]
    listing.note(
        "small pictures", f"pictures have a side below {SMALLEST_SIDE} pixels", small,
        "where larger ones are needed, they are enlarged, and blurred by that",
    )  # fmt: skip
    long = [f"{n} ({w}x{h})" for n, (h, w) in sizes.items() if max(h, w) >= ELONGATED * min(h, w)]
    listing.note(
        "elongated pictures", "pictures are twice as long as wide or longer", long,
        "only the square in the middle is seen",
    )  # fmt: skip
    if sizes:
        sides = np.array(list(sizes.values()))
        (low, left), (high, right) = sides.min(0), sides.max(0)
        facts["sizes"] = f"{span(left, right)} pixels wide, {span(low, high)} high"
    return prints


# --- captions ---------------------------------------------------------------------------------


def caption_facts(listing: Listing) -> str:
    """How many captions, different ones, and words there are."""
    texts = [text for entry in listing.entries for text in entry.captions]
    split = [tokenize(text) for text in dict.fromkeys(texts)]
    lengths = [len(words) for words in split]
    captions = Counter(word for words in split for word in set(words))
    once = sum(count == 1 for count in captions.values())
    often = sum(count >= OFTEN for count in captions.values())
    return (
        f"{len(texts):,}, {len(split):,} of them different, with {len(captions):,} words, "
        f"{once:,} of which occur in one caption alone and {often:,} in {OFTEN} or more; "
        f"each is {span(min(lengths), max(lengths))} words long"
    )


def span(fewest: int, most: int) -> str:
    """Both numbers, or one where they are equal."""
    return f"{fewest:,} to {most:,}" if fewest < most else f"{most:,}"


def check_captions(listing: Listing) -> None:
    """What is odd about the captions as texts, and about which picture has which."""
    users: dict[str, list[str]] = {}
    for entry in listing.entries:
        for text in entry.captions:
            users.setdefault(text, []).append(entry.name)
    listing.note(
        "no words", "captions are without a word",
        (repr(text) for text in users if not tokenize(text)),
        "what reads words learns nothing from them",
    )  # fmt: skip
    listing.note(
        "file names", "captions are the name of their picture",
        (names[0] for text, names in users.items() if is_file_name(text, names)),
    )  # fmt: skip
    listing.note(
        "long captions", f"captions have more than {LONGEST} characters",
        (f"{names[0]} ({len(text)})" for text, names in users.items() if len(text) > LONGEST),
        "char-cnn-rnn reads the beginning alone, word-lstm all of them",
    )  # fmt: skip
    odd = Counter(sign for text in users for sign in text.lower() if sign not in ALPHABET)
    listing.note(
        "odd characters", "characters are not in the alphabet of char-cnn-rnn",
        (f"{sign!r} ({count:,} times)" for sign, count in odd.most_common()),
        "it leaves them out, word-lstm does not",
    )  # fmt: skip
    if len(users) == 1 and len(listing.entries) > 1:
        rule = f"all pictures have the same caption: {shorten(list(users))}"
        listing.findings.append(Finding("one caption", rule, serious=True))
    elif len(users) < len(listing.entries):
        shared = sorted(users.items(), key=lambda item: (-len(item[1]), item[0]))
        common = [f"{len(names):,} x {text!r}" for text, names in shared if len(names) > 1]
        listing.note(
            "shared captions", "captions belong to several pictures", common,
            "they tell groups of pictures apart, not the pictures",
        )  # fmt: skip


def is_file_name(text: str, pictures: list[str]) -> bool:
    """Whether a caption is what one of its pictures is called."""
    stems = {name.split("/")[-1] for name in pictures}
    return text in stems or text in {stem.rpartition(".")[0] for stem in stems}


# --- classes and split ------------------------------------------------------------------------


def check_classes(listing: Listing, facts: dict[str, str]) -> None:
    """Whether there are classes enough for wrong pictures."""
    names = listing.class_names
    if names is None:
        facts["classes"] = "none: each picture is a class of its own"
        return
    counts = np.bincount(listing.labels(), minlength=len(names))
    pictures = span(int(counts.min()), int(counts.max()))
    facts["classes"] = f"{len(names):,}, of {pictures} pictures each"
    if len(names) == 1:
        listing.findings.append(
            Finding(
                "one class", f"all pictures are of one class, {names[0]}", (),
                "a wrong picture for a caption is of another class (cls, cls-int): leave the class "
                "out, and each picture is one of its own", True,
            )
        )  # fmt: skip
    single = [name for name, count in zip(names, counts) if count == 1]
    listing.note("single pictures", "classes have one picture", single if len(names) > 1 else [])


def check_split(listing: Listing, prints: dict[str, str], facts: dict[str, str]) -> None:
    """Whether there is enough to learn from, and nothing of it in the test."""
    groups: dict[str, list[str]] = {}
    for name, digest in prints.items():
        groups.setdefault(digest, []).append(name)
    twins = [" = ".join(names) for names in groups.values() if len(names) > 1]
    listing.note(
        "duplicate pictures", "pictures are there several times", twins,
        "give all captions to one of them",
    )  # fmt: skip
    parts = {}
    for split in ("train", "val", "test") if listing.has_val else ("train", "test"):
        try:
            parts[split] = {listing.entries[i].name for i in listing.part(split)}
        except DataError:
            rule = f"there are no pictures to {split} on"
            listing.findings.append(Finding(f"no {split} part", rule, serious=split == "train"))
            parts[split] = set()
    words = {"train": "to train on", "val": "to validate on", "test": "to test on"}
    facts["split"] = ", ".join(f"{len(parts[s]):,} {words[s]}" for s in parts)
    facts["words to test on"] = new_words(listing, parts)
    leaks = [
        " = ".join(names) for names in groups.values()
        if sum(not part.isdisjoint(names) for part in parts.values()) > 1
    ]  # fmt: skip
    listing.note(
        "leaks", "the same pictures are in several parts of the data", leaks,
        "what is measured on them is better than on pictures never seen",
    )  # fmt: skip
    if 0 < len(parts["train"]) < FEWEST:
        rule = f"there are {len(parts['train'])} pictures to train on, fewer than a batch"
        hint = "take a smaller --batch-size, and more pictures"
        listing.findings.append(Finding("few pictures", rule, (), hint))


def new_words(listing: Listing, parts: dict[str, set[str]]) -> str:
    """How many words of the test part nothing can be learned about.

    Args:
        listing: all pictures and captions.
        parts: "train" and "test" -> names of the pictures in it.
    """
    said: dict[str, set[str]] = {"train": set(), "test": set()}
    for entry in listing.entries:
        for split, words in said.items():
            if entry.name in parts[split]:
                words.update(word for text in entry.captions for word in tokenize(text))
    new = said["test"] - said["train"]
    return f"{len(said['test']):,}, {len(new):,} of them in no caption to train on"
