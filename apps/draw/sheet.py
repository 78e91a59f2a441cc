"""`minidl draw sample`: a sheet of pictures with their sentences.

The pictures of one sentence stand under it in rows; of several sentences each has a tile of its
pictures with the sentence below. On a walk the sentences are below its ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from apps.draw.interpolation import along_line, along_sphere
from apps.draw.sampling import Artist, load_artist
from apps.shared.options import OptionError
from apps.shared.output_file import OutputFile
from apps.shared.pictures import Picture
from apps.shared.sheet import FORMATS, write_sheet

LARGEST = 4096  # pictures
CELL, COLUMNS, GAP = 160, 8, 4  # pixels of a picture on the sheet, pictures in a row, pixels


@dataclass(frozen=True)
class Wish:
    """What is to be drawn.

    Args:
        captions: sentences.
        n: pictures of each, or on the way.
        seed: of the noise.
        interpolate: a sentence to walk to, or None.
        interpolate_noise: whether to walk from one noise to another.

    Raises:
        OptionError: what contradicts itself, or is too much.
    """

    captions: list[str]
    n: int = 8
    seed: int = 0
    interpolate: str | None = None
    interpolate_noise: bool = False

    def __post_init__(self) -> None:
        for text in self.texts:
            if not text.strip():
                raise OptionError("a caption needs at least one word", {"CAPTION": text})
        if self.n * len(self.captions) > LARGEST:
            raise OptionError(f"a sheet has at most {LARGEST:,} pictures", {"-n": self.n})
        if self.is_walk and len(self.captions) > 1:
            raise OptionError(
                "a walk begins at one caption", {"captions": len(self.captions)}, "give one caption"
            )
        if self.is_walk and self.n < 2:
            raise OptionError("a walk has at least 2 pictures", {"-n": self.n})

    @property
    def texts(self) -> list[str]:
        """The captions, and the sentence to walk to."""
        return [*self.captions, *([] if self.interpolate is None else [self.interpolate])]

    @property
    def is_walk(self) -> bool:
        """Whether the pictures lie between two."""
        return self.interpolate is not None or self.interpolate_noise


def draw_sheet(
    source: str, wish: Wish, output: str, overwrite: bool, note: Callable[[str], None]
) -> dict[str, Any]:
    """Draw and write; what --json prints.

    Args:
        source: of the generator, see load_artist.
        wish: what to draw.
        output: the file.
        overwrite: whether one that is there may be replaced.
        note: called with lines for the user.
    """
    file = OutputFile(output, overwrite, FORMATS, op="draw sample")
    artist = load_artist(source)
    unknown = artist.unknown(wish.texts)
    if artist.reader is not None and unknown:
        kind = artist.reader.unit + ("" if len(unknown) == 1 else "s")
        note(f"not known to the network, read as <unk>: the {kind} {', '.join(unknown)}")
    if artist.text is None:
        note("this is a plain GAN, which was trained without sentences: what it draws is by chance")
    pictures = draw_wish(artist, wish)
    write_pictures(file, artist.settings.size, wish, pictures)
    return {"sheet": output, "pictures": len(pictures), "unknown": unknown, "seed": wish.seed}


def write_pictures(file: OutputFile, size: int, wish: Wish, pictures: list[Picture]) -> None:
    """Lay the pictures out and write them; `size` is that of a picture."""
    op, columns, cell = "draw sample", min(wish.n, COLUMNS), size * max(1, CELL // size)
    if wish.is_walk:
        write_sheet(file.path, pictures, op, columns=columns, cell=cell)
    elif len(wish.captions) == 1:
        bare = [replace(one, caption="") for one in pictures]
        write_sheet(file.path, bare, op, wish.captions[0], columns=columns, cell=cell)
    else:
        groups = [pictures[i : i + wish.n] for i in range(0, len(pictures), wish.n)]
        tiles = [Picture(tile([one.image for one in g]), g[0].caption) for g in groups]
        write_sheet(file.path, tiles, op, cell=tiles[0].image.shape[1])


def tile(images: list[np.ndarray]) -> np.ndarray:
    """Pictures as one, in rows about as many as columns, enlarged pixel by pixel.

    Args:
        images: uint8 (S, S, 3), at least one.
    """
    side = math.ceil(math.sqrt(len(images)))
    size = images[0].shape[0]
    scale = max(1, (2 * CELL) // (side * size))
    step = size * scale + GAP
    page = np.full(
        (step * math.ceil(len(images) / side) - GAP, step * side - GAP, 3), 255, np.uint8
    )
    for i, image in enumerate(images):
        top, left = step * (i // side), step * (i % side)
        large = image.repeat(scale, 0).repeat(scale, 1)
        page[top : top + size * scale, left : left + size * scale] = large
    return page


def draw_wish(artist: Artist, wish: Wish) -> list[Picture]:
    """The pictures, with their sentences for captions."""
    n = wish.n
    if not wish.is_walk:
        texts = [text for text in wish.captions for _ in range(n)]
        noise = artist.noise(len(texts), wish.seed)
        return [Picture(one, text) for one, text in zip(drawn(artist, texts, noise), texts)]
    first, last = artist.noise(2, wish.seed)
    noise = along_sphere(first, last, n) if wish.interpolate_noise else np.repeat([first], n, 0)
    start, end = wish.captions[0], wish.interpolate or wish.captions[0]
    ends = artist.embed([start, end])
    way = None if ends is None else along_line(ends[0], ends[1], n)
    captions = [start if i == 0 else end if i == n - 1 else "" for i in range(n)]
    if wish.interpolate is None:
        captions = [start] + [""] * (n - 1)
    return [Picture(one, text) for one, text in zip(artist.draw(way, noise), captions)]


def drawn(artist: Artist, texts: list[str], noise: np.ndarray) -> np.ndarray:
    """Pictures of sentences; a sentence that comes several times is read once."""
    known = list(dict.fromkeys(texts))
    embeddings = artist.embed(known)
    place = {text: i for i, text in enumerate(known)}
    rows = None if embeddings is None else embeddings[[place[text] for text in texts]]
    return artist.draw(rows, noise)
