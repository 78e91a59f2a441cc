"""The picture of README's section "Neural style": content and style, and beside them the result.

    python -m benchmarks.style.readme

makes it by the command that stands above it there, and writes .github/images/style.jpg.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from apps.shared.photo import Photo
from apps.style.gatys.transfer import transfer
from apps.style.resume import Order
from benchmarks.results import RESULTS
from benchmarks.style.sheets import save_small, wheel

ROOT = RESULTS.parents[1]
FILE = ROOT / ".github" / "images" / "style.jpg"
HEIGHT, GAP = 300, 8  # pixels


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    write()


def write() -> None:
    """Make the picture."""
    content, style = (wheel(name) for name in pictures_of((ROOT / "README.md").read_text()))
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.png"
        transfer(Order({"content": content, "styles": [style]}, made, note=print))
        photos = [Photo.read(file) for file in (content, style, made)]
    save_small(composed(*photos), FILE)


def pictures_of(readme: str) -> tuple[str, str]:
    """The names of content and style in the first command of README's section."""
    found = re.search(r"minidl style gatys \$PICTURES/(\S+) \$PICTURES/(\S+) -o \S+\n", readme)
    if found is None:
        raise SystemExit("README.md has no command minidl style gatys with two pictures")
    return found[1], found[2]


def composed(content: Photo, style: Photo, made: Photo) -> Image.Image:
    """The two above each other, the result beside them, as high as both."""
    side = (HEIGHT - GAP) // 2
    left = [fitted(photo, side * content.width // content.height, side) for photo in
            (content, style)]  # fmt: skip
    right = fitted(made, HEIGHT * made.width // made.height, HEIGHT)
    sheet = Image.new("RGB", (left[0].width + GAP + right.width, HEIGHT), "white")
    sheet.paste(left[0], (0, 0))
    sheet.paste(left[1], (0, HEIGHT - side))
    sheet.paste(right, (left[0].width + GAP, 0))
    return sheet


def fitted(photo: Photo, width: int, height: int) -> Image.Image:
    """The middle of a photo with these proportions, at this size."""
    scale = max(width / photo.width, height / photo.height)
    image = Image.fromarray(np.ascontiguousarray(photo.over_white().bytes))
    cut = [max(0.0, (a - b / scale) / 2) for a, b in
           ((photo.width, width), (photo.height, height))]  # fmt: skip
    box = (cut[0], cut[1], photo.width - cut[0], photo.height - cut[1])
    return image.resize((width, height), Image.Resampling.LANCZOS, box=box)


if __name__ == "__main__":
    main()
