"""README's picture of drawn sentences: six of Oxford-102, and a walk from one sentence to another.

    python -m benchmarks.draw_pictures [--network flowers] [--output FILE]

writes .github/images/draw.jpg.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from apps.draw.interpolation import along_line
from apps.draw.sampling import Artist, load_artist
from apps.shared.pictures import Picture
from apps.shared.sheet import write_sheet
from benchmarks.results import RESULTS
from minidl.data.flowers import OXFORD_SENTENCES

IMAGE = RESULTS.parent.parent / ".github" / "images" / "draw.jpg"
ENDS = (
    "a small red flower with five round petals and a yellow center on a gray background",
    "a large blue flower with eight round petals and a black center on a gray background",
)
SEED = 1
COPIES = 4  # pictures of a sentence, two by two
CELL = 128  # pixels, a multiple of those of a picture and of two
QUALITY = 70  # of the JPEG


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="flowers", help="name, run folder or file; flowers")
    parser.add_argument("--output", type=Path, default=IMAGE, help="the .jpg to write")
    options = parser.parse_args()
    artist = load_artist(options.network)
    pictures = [*sentences(artist), *walk(artist, len(OXFORD_SENTENCES))]
    layout = {"columns": len(OXFORD_SENTENCES), "cell": CELL}
    write_sheet(options.output, pictures, "draw_pictures", quality=QUALITY, **layout)
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


def sentences(artist: Artist) -> list[Picture]:
    """A tile of pictures for each of the sentences."""
    found = []
    for i, text in enumerate(OXFORD_SENTENCES):
        drawn = artist.draw(artist.embed([text] * COPIES), artist.noise(COPIES, SEED + i))
        rows = [np.concatenate(row, 1) for row in (drawn[:2], drawn[2:])]
        found.append(Picture(np.concatenate(rows), text))
    return found


def walk(artist: Artist, n: int) -> list[Picture]:
    """Pictures on the way from one sentence to another, with the same noise."""
    ends = artist.embed(ENDS)
    drawn = artist.draw(along_line(*ends, n), np.repeat(artist.noise(1, SEED), n, 0))
    captions = [ENDS[0], *[""] * (n - 2), ENDS[1]]
    return [Picture(one, caption) for one, caption in zip(drawn, captions)]


if __name__ == "__main__":
    main()
