"""Emoji with their names, as pictures with captions: "grinning face", "tulip", "hot beverage".

The pictures are those of Debian's font fonts-noto-color-emoji, 136x128 pixels on white, the names
are those of Unicode in lower case. Characters that newer fonts draw and this Python's Unicode does
not name yet are not in it, nor are pictures of several characters, such as families and flags.

Each name belongs to one picture, so those of test pictures were never seen in training. What can be
learned is what names share: faces, hands, clocks, colors of hearts. Nobody can guess that a plant
is called "tulip" who has seen no other one.
"""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path
from typing import Any

from minidl.data.cache import cache_folder
from minidl.data.captioned.listing import OP, Entry, Listing, finish
from minidl.data.captioned.places import find
from minidl.data.files import FileTree, file_stamp, read_file
from minidl.errors import DataError

NAME = "emoji"
PACKAGE = "fonts-noto-color-emoji"
FONT = "NotoColorEmoji.ttf"
INSTALLED = Path("/usr/share/fonts/truetype/noto") / FONT
SIZE = 109  # the only one that a font of bitmaps has; it gives 136x128 pixels
WIDTH, HEIGHT = 136, 128
BLOCKS = (range(0x20, 0x3400), range(0x1F000, 0x1FC00))  # of Unicode, in which there are emoji


class GlyphFiles(FileTree):
    """The characters of a font as a tree of PNG files, which are painted when they are read.

    Args:
        path: of the font.

    Raises:
        DataError: no font of bitmaps in color.
    """

    def __init__(self, path: Path):
        self.path, self.location, self.folders = path, str(path), []
        self.font = open_font(path)
        found = [c for block in BLOCKS for c in map(chr, block) if self.draws(c)]
        self.characters = {f"U+{ord(character):04X}": character for character in found}
        self.names = sorted(self.characters)

    def draws(self, character: str) -> bool:
        """Whether a character has a name, and a picture in the font."""
        if not unicodedata.name(character, ""):
            return False
        _, top, _, bottom = self.font.getbbox(character)
        return bottom > top

    def read(self, name: str) -> bytes:
        from PIL import Image, ImageDraw

        picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
        draw = ImageDraw.Draw(picture)
        draw.text((0, 0), self.characters[name], font=self.font, embedded_color=True)
        stream = io.BytesIO()
        picture.save(stream, "PNG", compress_level=1)
        return stream.getvalue()

    def stamp(self, name: str) -> str:
        return f"{file_stamp(self.path, OP)} {name}"

    def describe(self, name: str) -> str:
        return f"{self.location}, {name}"


def read_emoji(data_dir: str | Path | None = None) -> Listing:
    """The emoji with their names.

    Args:
        data_dir: first place to look for the font; then $MINIDL_DATA, the cache folder,
            /usr/share/datasets, and where Debian's package puts it.

    Raises:
        DataError: the font is not there, or another one.
    """
    files = GlyphFiles(find_font(data_dir))
    listing = Listing(files, files.location)
    names = {name: unicodedata.name(files.characters[name]).lower() for name in files.names}
    return finish(listing, {name: Entry(name, [text]) for name, text in names.items()})


def find_font(data_dir: str | Path | None) -> Path:
    """The file of the font."""
    found = find(NAME, (FONT,), data_dir)
    if found is None and not INSTALLED.is_file():
        raise DataError(
            OP, f"the font of the data set {NAME} is not on this machine",
            {"missing": str(INSTALLED)},
            f"apt install {PACKAGE} (10 MB), or put its file {FONT} into {cache_folder() / NAME}, "
            "or into a folder of your own: --data-dir DIR, data_dir=, or $MINIDL_DATA",
        )  # fmt: skip
    return found or INSTALLED


def open_font(path: Path) -> Any:
    """The font at the size of its bitmaps.

    It is opened by its content, because Pillow would take a font of the same name from elsewhere in
    place of a damaged one.
    """
    from PIL import ImageFont

    content = io.BytesIO(read_file(path, OP))
    try:
        font = ImageFont.truetype(content, SIZE, layout_engine=ImageFont.Layout.BASIC)
        tulip = font.getbbox("\N{TULIP}")
    except OSError as error:
        tulip, why = None, f" ({error})"
    else:
        why = ""
    if tulip != (0, 0, WIDTH, HEIGHT):
        raise DataError(
            OP, f"not a font with pictures of {WIDTH}x{HEIGHT} pixels{why}", {"file": str(path)},
            f"that of Debian's {PACKAGE} has them",
        )  # fmt: skip
    return font
