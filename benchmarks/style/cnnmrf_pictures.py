"""What `minidl style cnnmrf` makes of pictures: losses, correlations, seconds, a small sheet.

    python -m benchmarks.style.cnnmrf_pictures [--pictures FOLDER]

The sheet shows pictures of the scikit-image wheel, with and without a content, and what a few
options change. With --pictures, a folder with `content` and `style` in it (by default
$MINIDL_DATA/style), the losses of these pairs are told as well.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from apps.shared.photo import Photo
from apps.shared.pictures import Picture
from apps.shared.sheet import draw_sheet
from benchmarks.results import RESULTS, provenance, table, write_section
from benchmarks.style.gatys import PAIRS
from benchmarks.style.sheets import save_small, wheel

SIZE, SMALL = 384, 256  # of the pairs, and of the sheet
CONTENT, STYLE, TEXTURE = "chelsea.png", "coffee.png", "brick.png"
SHEET = RESULTS.parent / "pictures" / "style-cnnmrf.jpg"

# What is changed -> pictures, options.
VARIANTS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "the defaults": ([CONTENT, STYLE], {}),
    "stride 1": ([CONTENT, STYLE], {"stride": 1}),
    "3 rotations, 3 scales": ([CONTENT, STYLE], {"rotations": 3, "patch_scales": 3}),
    "gradient: reference": ([CONTENT, STYLE], {"gradient": "reference"}),
    "a quarter of the content": ([CONTENT, STYLE], {"content_weight": 0.125}),
    "one resolution": ([CONTENT, STYLE], {"scales": 1}),
    "L-BFGS": ([CONTENT, STYLE], {"optimizer": "lbfgs"}),
    "without content": ([STYLE], {}),
    "without content, brick": ([TEXTURE], {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", help="Folder with `content` and `style` in it.")
    write(parser.parse_args().pictures)


def write(pictures: str | None = None) -> None:
    """Make the pictures, and write the section and the sheet."""
    folder = Path(pictures or os.path.join(os.environ.get("MINIDL_DATA", ""), "style"))
    rows, panels = [], []
    made([wheel(CONTENT), wheel(STYLE)], SMALL, iterations=1)  # compiles
    for name, (files, options) in VARIANTS.items():
        photo, cells = made([wheel(file) for file in files], SMALL, **options)
        rows.append([name, *cells])
        panels.append(Picture(photo.bytes, name))
        print(rows[-1], flush=True)
    save_small(draw_sheet(panels, columns=3, cell=190), SHEET)
    text = [
        f"{CONTENT} in patches of {STYLE}, {SMALL} pixels, three resolutions with SqueezeNet. "
        "Losses are weighted, those of patches divided by the energy of features of 0; the "
        "correlation of patches with their matches is a mean, for the first and the last layer; "
        "both are those of the finished picture. Seconds do not include compiling.",
        table(["changed", *COLUMNS], rows),
        f"![The same pictures]({SHEET.relative_to(RESULTS.parent)})",
        pairs_text(folder),
        "All by `python -m benchmarks.style.cnnmrf_pictures`. "
        + provenance("minidl", "numpy", "numba", "scikit-image"),
    ]
    body = "\n\n".join(part for part in text if part)
    write_section("style.cnnmrf_pictures", "Neural style: CNNMRF's pictures", body)


COLUMNS = ["patches", "content", "correlation", "iterations", "CPU s"]


def made(files: list[str], size: int, **options: Any) -> tuple[Photo, list[str]]:
    """The picture that the command makes, and the cells of its row."""
    from apps.style.cnnmrf.synthesis import synthesise
    from apps.style.resume import Order

    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "made.png")
        given = {"pictures": files, "size": size, **options}
        figures = synthesise(Order(given, out))
        photo = Photo.read(out)
    losses, alike = figures["losses"], list(figures["correlation"].values())
    content = f"{losses['content_loss']:.3f}" if "content_loss" in losses else "-"
    return photo, [
        f"{losses['patches_loss']:.3f}", content, f"{alike[0]:.2f} to {alike[-1]:.2f}",
        str(figures["iterations"]), f"{time.process_time() - start:.1f}",
    ]  # fmt: skip


def pairs_text(folder: Path) -> str:
    """The same of the pictures in a folder; "" without them."""
    rows = []
    for content in PAIRS[0]:
        for style in PAIRS[1]:
            files = [folder / "content" / f"{content}.jpg", folder / "style" / f"{style}.jpg"]
            if all(file.exists() for file in files):
                rows.append([f"{content} x {style}", *made([str(f) for f in files], SIZE)[1]])
                print(rows[-1], flush=True)
    return table([f"{SIZE} pixels", *COLUMNS], rows) if rows else ""


if __name__ == "__main__":
    main()
