"""The stamps of the paint program Tux Paint: photographs and drawings, each with a sentence.

    animals/birds/cardinal.png     animals/birds/cardinal.txt: "A cardinal.", then translations

They are in Debian's package tuxpaint-stamps-default, under the GPL. A stamp is cut out: what is
around it is transparent, so it is laid on the middle of a white square. Drawings that are there as
SVG alone are left out, for they would have to be painted first.
"""

from __future__ import annotations

import re
from pathlib import Path

from minidl.data.cache import cache_folder
from minidl.data.captioned.listing import OP, Entry, Listing, decode_lines, finish
from minidl.data.captioned.places import find
from minidl.data.files import FolderFiles
from minidl.errors import DataError

NAME = "tuxpaint"
PACKAGE = "tuxpaint-stamps-default"
FOLDER = "stamps"
INSTALLED = Path("/usr/share/tuxpaint/stamps")
TRANSLATION = re.compile(r"\w+(@\w+)?\.utf8=")  # "de.utf8=Ein Kardinal."


def read_tuxpaint(data_dir: str | Path | None = None) -> Listing:
    """The stamps with their English sentences.

    Args:
        data_dir: first place to look for the folder `stamps`; then $MINIDL_DATA, the cache folder,
            /usr/share/datasets, and where Debian's package puts it.

    Raises:
        DataError: the stamps are not there.
    """
    files = FolderFiles(find_stamps(data_dir), OP)
    listing = Listing(files, files.location, squared=True)
    entries: dict[str, Entry] = {}
    lonely, drawings = [], []
    for name in files.names:
        stem, _, ending = name.rpartition(".")
        if ending == "svg" and not files.has(stem + ".png"):
            drawings.append(name)
        elif ending == "png" and files.has(stem + ".txt"):
            text = decode_lines(files.read(stem + ".txt"), listing, stem + ".txt")
            entries[name] = Entry(name, [english(text or "")])
        elif ending == "png":
            lonely.append(name)
    listing.note("SVG", "drawings are SVG files, which are left out", drawings)
    listing.note("no text file", "pictures have no .txt file and are left out", lonely)
    return finish(listing, entries)


def find_stamps(data_dir: str | Path | None) -> Path:
    """The folder with the stamps."""
    found = find(NAME, (FOLDER,), data_dir)
    if found is None and not INSTALLED.is_dir():
        raise DataError(
            OP, f"the stamps of Tux Paint, data set {NAME}, are not on this machine",
            {"missing": str(INSTALLED)},
            f"apt install {PACKAGE} (161 MB), or put its folder {FOLDER} into "
            f"{cache_folder() / NAME}, or into a folder of your own: --data-dir DIR, data_dir=, or "
            "$MINIDL_DATA",
        )  # fmt: skip
    return found or INSTALLED


def english(text: str) -> str:
    """The first line of a stamp's text, "" where the translations begin at once.

    >>> english("A cardinal.\\nde.utf8=Ein Kardinal.\\n")
    'A cardinal.'
    """
    first = text.split("\n")[0].strip()
    return "" if TRANSLATION.match(first) else first
