"""What the network that comes with minidl draws, beside what Gatys' way makes of the same pictures.

    python -m benchmarks.style.fast_pictures [--pictures FOLDER] [--model FILE] [--size 448]

It writes a section of RESULTS.md with losses and seconds, and a sheet of small pictures to
benchmarks/pictures. The photographs are of the scikit-image wheel. The network that comes with
minidl was trained on others (SEEN); of another network the section does not say so. With
--pictures, a folder with `content` and `style` in it, those are told as well. The style picture is
needed from there, too: without it nothing is written.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

import minidl
from apps.shared.photo import Photo
from apps.shared.pictures import Picture
from apps.shared.sheet import draw_sheet
from apps.shared.trained_transform import load_fast
from apps.style.fast.perception import Perception
from apps.style.fast.settings import CONTENT_LAYERS, STYLE_LAYERS, Weights
from apps.style.fast.stylize import stylized
from apps.style.gatys.settings import Settings
from apps.style.loss_network import LossNetwork
from benchmarks.results import RESULTS, provenance, table, write_section
from benchmarks.style.gatys import make
from benchmarks.style.sheets import save_small, wheel

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png")
SEEN = (
    "Flowers-17, CIFAR-10 and of scikit-image brick, coins, grass, gravel, hubble_deep_field, ihc, "
    "motorcycle_left, motorcycle_right and retina: none of the photographs here"
)
MODEL, STYLE_PICTURE = "starry-night", "starry_night.jpg"
SIZE = 448
SHEET = RESULTS.parent / "pictures" / "style-fast.jpg"


@dataclass
class Row:
    """A photograph and what both ways make of it: pictures, (content, style) losses, seconds."""

    name: str
    pictures: tuple[Photo, Photo, Photo]
    losses: list[tuple[float, float]]
    seconds: tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", help="Folder with `content` and `style` in it.")
    parser.add_argument("--model", default=MODEL, help=f"A file of fast-train; {MODEL}.")
    parser.add_argument("--size", type=int, default=SIZE, help=f"Of the longer side; {SIZE}.")
    options = parser.parse_args()
    write(options.pictures, options.model, options.size)


def write(pictures: str | None = None, model: str = MODEL, size: int = SIZE) -> None:
    """Write the section. Without `pictures` the folder is $MINIDL_DATA/style, if it is there."""
    folder = Path(pictures or os.path.join(os.environ.get("MINIDL_DATA", ""), "style"))
    style = folder / "style" / STYLE_PICTURE
    if not style.is_file():
        print(f"{style} is not there: nothing is written")
        return
    photos = [wheel(name) for name in PHOTOS]
    photos += sorted(map(str, (folder / "content").glob("*.jpg")))
    rows = [compare(photo, str(style), model, size) for photo in photos]
    write_sheet(rows[: len(PHOTOS)])
    write_section("style.fast_pictures", "Fast neural style beside Gatys", text(rows, size, model))


def compare(photo: str, style: str, model: str, size: int) -> Row:
    """One photograph by both ways."""
    picture, net = Photo.read(photo).fitted(size), load_fast(model).net
    stylized(net, picture)  # compiles
    start = time.perf_counter()
    drawn = stylized(net, picture)
    seconds = time.perf_counter() - start
    made = make(Settings(content=photo, styles=[style], size=size))
    target = Photo.read(style).fitted(size).tensor()
    weights = Weights(1.0, 1.0, 0.0, CONTENT_LAYERS["squeezenet"], STYLE_LAYERS["squeezenet"])
    lens = Perception(LossNetwork("squeezenet"), weights, target)
    shown = picture, drawn, made.photo
    found = []
    for one in shown:
        with minidl.no_grad():
            parts = lens.losses(one.tensor(), picture.tensor())
        found.append((parts["content"].item(), parts["style"].item()))
    return Row(Path(photo).stem, shown, found, (seconds, made.seconds))


def text(rows: list[Row], size: int, model: str) -> str:
    """The section."""
    columns = ["picture", "style: photo", "fast", "Gatys", "content: fast", "Gatys ",
               "seconds: fast", "Gatys  "]  # fmt: skip
    lines = [
        [
            row.name,
            *(f"{style:.2f}" for _, style in row.losses),
            *(f"{content:.2f}" for content, _ in row.losses[1:]),
            *(f"{seconds:.1f}" for seconds in row.seconds),
        ]
        for row in rows
    ]
    about = load_fast(model).meta
    seen = SEEN if model == MODEL else ", ".join(about["settings"]["data"])
    return (
        f"`minidl style fast {model}` and `minidl style gatys` on photographs of {size} pixels. "
        f"The network learned in {about['steps']:,} steps, with squares of "
        f"{about['settings']['size']} pixels, from {seen}. Losses are those of SqueezeNet with "
        f"norm target, unweighted: of style (the sum over five layers) and of content.\n\n"
        f"![Photographs, the network's drawings, Gatys' pictures](pictures/{SHEET.name})\n\n"
        + table(columns, lines)
        + "\n\n"
        + provenance("minidl", "numpy", "numba", "scikit-image")
    )


def write_sheet(rows: list[Row]) -> None:
    """Photograph, drawing and Gatys' picture, a row each."""
    captions = "photograph", "minidl style fast", "minidl style gatys"
    cells = [
        Picture(photo.bytes, caption, at_most=200)
        for row in rows
        for photo, caption in zip(row.pictures, captions)
    ]
    save_small(draw_sheet(cells, columns=3, cell=200), SHEET)


if __name__ == "__main__":
    main()
