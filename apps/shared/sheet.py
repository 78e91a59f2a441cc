"""A sheet of pictures with captions as one picture file, for a program that is asked for a file.

Every cell is as large as the others: a square for the picture, below it the caption and, smaller
and paler, the second line, wrapped to the width of the cell. Pictures that are right or wrong have
a tick or a cross and a bar of another colour above the caption.
"""

from __future__ import annotations

import io
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from apps.shared.pictures import Filmstrip, Picture
from minidl.errors import ArgumentError
from minidl.io.atomic import write_atomically

CELL = 160  # pixels of the side of a picture
GAP = 16
TEXT, SMALL = 14, 12  # pixels of the letters
LINES = 5  # of a text; what is longer ends with three dots
BAR = 4
PAPER, INK, SOFT, EMPTY = "#ffffff", "#1b2330", "#566072", "#f2f4f7"
RIGHT, WRONG = "#0060aa", "#c24f00"
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf",
         "arial.ttf", "Helvetica.ttc")  # fmt: skip


def write_sheet(
    path: str | Path,
    pictures: Sequence[Picture],
    op: str,
    title: str = "",
    quality: int = 92,
    **layout: Any,
) -> None:
    """Write a sheet, whole or not at all.

    Args:
        path: of the file; its ending says whether it is a PNG or a JPEG.
        pictures: at least one.
        op: who writes, for errors.
        title: a line above the pictures.
        quality: of a JPEG, up to 95.
        layout: columns and cell as of draw_sheet.

    Raises:
        ArgumentError: another ending, or no pictures.
        CheckpointError: the file cannot be written.
    """
    form = sheet_format(path, op)
    if not pictures:
        raise ArgumentError(op, "a sheet needs at least one picture", {"path": str(path)})
    stream = io.BytesIO()
    options = {"optimize": True} if form == "PNG" else {"quality": quality, "optimize": True}
    draw_sheet(pictures, title, **layout).save(stream, format=form, **options)
    write_atomically(path, stream.getvalue(), op)


def write_filmstrip(path: str | Path, strip: Filmstrip, op: str, cell: int = CELL) -> None:
    """Write the frames side by side; where each is a sheet, a row per frame.

    Args:
        path, op, cell: as of write_sheet.
        strip: of at least one frame; its title stands above the pictures.

    Raises:
        ArgumentError, CheckpointError: as write_sheet.
    """
    pictures = []
    for frame in strip.frames:
        first, *others = frame.pictures
        if strip.single:
            pictures.append(replace(first, caption=frame.caption, second=frame.second))
        else:  # the time of a row is told by its first picture
            pictures += [replace(first, second=frame.caption), *others]
    columns = len(strip.frames) if strip.single else max(len(f.pictures) for f in strip.frames)
    write_sheet(path, pictures, op, strip.title, columns=columns, cell=cell)


def sheet_format(path: str | Path, op: str) -> str:
    """The format that a file's ending asks for; call it before the work, to refuse early.

    Raises:
        ArgumentError: it asks for none that sheets have.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise ArgumentError(
            op, f"a sheet is a file that ends in {', '.join(FORMATS)}", {"path": str(path)}
        )
    return FORMATS[ending]


def draw_sheet(
    pictures: Sequence[Picture], title: str = "", columns: int | None = None, cell: int = CELL
) -> Any:
    """Pictures with their captions in rows.

    Args:
        pictures: in order, row by row.
        title: a line above them.
        columns: how many in a row; by default as many as make the sheet a little wider than high.
        cell: pixels of the side of a picture. Smaller pictures are enlarged pixel by pixel.

    Returns:
        PIL.Image in RGB.
    """
    from PIL import Image, ImageDraw

    columns = columns or min(len(pictures), math.ceil(math.sqrt(1.3 * len(pictures))))
    rows = math.ceil(len(pictures) / columns)
    captions = [caption_lines(picture, cell) for picture in pictures]
    texts = max((sum(line.height for line in lines) for lines in captions), default=0)
    below = BAR + 4 + texts if any(captions) or any(p.right is not None for p in pictures) else 0
    width, height = GAP + columns * (cell + GAP), GAP + rows * (cell + below + GAP)
    heading = wrap(title, TEXT + 4, width - 2 * GAP, INK)
    top = sum(line.height for line in heading) + GAP if heading else 0
    page = Image.new("RGB", (width, height + top), PAPER)
    pen = ImageDraw.Draw(page)
    write_lines(pen, heading, GAP, GAP)
    for i, (picture, lines) in enumerate(zip(pictures, captions)):
        row, column = divmod(i, columns)
        x, y = GAP + column * (cell + GAP), top + GAP + row * (cell + below + GAP)
        paste(page, picture.image, x, y, cell)
        if picture.right is not None:
            draw_mark(pen, picture.right, x, y + cell, cell)
        write_lines(pen, lines, x, y + cell + BAR + 4)
    return page


def paste(page: Any, image: np.ndarray, x: int, y: int, cell: int) -> None:
    """A picture in the middle of its square, as large as it fits."""
    from PIL import Image

    page.paste(EMPTY, (x, y, x + cell, y + cell))
    pixels = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    picture = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGBA")
    scale = cell / max(picture.size)
    how = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    picture = picture.resize([max(1, round(side * scale)) for side in picture.size], how)
    at = x + (cell - picture.width) // 2, y + (cell - picture.height) // 2
    page.paste(picture, at, picture)


def draw_mark(pen: Any, right: bool, x: int, y: int, cell: int) -> None:
    """A bar below the picture, and a tick or cross in the picture's corner."""
    colour = RIGHT if right else WRONG
    pen.rectangle((x, y, x + cell - 1, y + BAR - 1), fill=colour)
    left, top = x + cell - 22, y - 22
    pen.rectangle((left, top, x + cell - 1, y), fill=colour)
    strokes = [[(5, 11), (9, 16), (17, 6)]] if right else [[(6, 6), (16, 16)], [(16, 6), (6, 16)]]
    for stroke in strokes:
        pen.line([(left + a, top + b) for a, b in stroke], fill=PAPER, width=2)


# --- captions -----------------------------------------------------------------------------------


@dataclass
class Line:
    """A line of text: what, in which font and colour, and how high it is."""

    text: str
    font: Any
    colour: str
    height: int


def caption_lines(picture: Picture, width: int) -> list[Line]:
    """The caption and the second line of a picture, wrapped."""
    return [*wrap(picture.caption, TEXT, width, INK), *wrap(picture.second, SMALL, width, SOFT)]


def wrap(text: str, size: int, width: int, colour: str) -> list[Line]:
    """Break a text into lines of at most `width` pixels, also within a word that is too long."""
    text, font = printable(" ".join(text.split()), size)
    lines, line = [], ""
    for word in text.split():
        for piece in pieces(word, font, width):
            longer = f"{line} {piece}" if line else piece
            if line and font.getlength(longer) > width:
                lines.append(line)
                longer = piece
            line = longer
    lines += [line] if line else []
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"{lines[LINES - 1][:-3].rstrip()}..."]
    return [Line(line, font, colour, round(1.35 * size)) for line in lines]


def pieces(word: str, font: Any, width: int) -> list[str]:
    """A word, cut where it is wider than the cell."""
    found, piece = [], ""
    for letter in word:
        if piece and font.getlength(piece + letter) > width:
            found.append(piece)
            piece = ""
        piece += letter
    return [*found, piece]


def write_lines(pen: Any, lines: list[Line], x: int, y: int) -> None:
    for line in lines:
        pen.text((x, y), line.text, font=line.font, fill=line.colour)
        y += line.height


def printable(text: str, size: int) -> tuple[str, Any]:
    """A text and a font that has its letters.

    Pillow's own font has little more than ASCII, but gives the same sheet on every machine. Other
    texts get a font of the system; without one they lose their accents, and what is not ASCII then
    becomes "?".
    """
    from PIL import ImageFont

    text = text.encode(errors="backslashreplace").decode()  # bytes of a name that are no UTF-8
    own = ImageFont.load_default(size)
    if all(letter.isascii() or has_letter(own, letter) for letter in set(text)):
        return text, own
    for name in FONTS:
        try:
            return text, ImageFont.truetype(name, size)
        except OSError:
            continue  # not installed
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return plain.encode("ascii", "replace").decode(), own


def has_letter(font: Any, letter: str) -> bool:
    """Whether a font draws the letter as something else than the box of a missing one."""
    found, missing = font.getmask(letter), font.getmask("\uffff")
    return found.size != missing.size or bytes(found) != bytes(missing)
