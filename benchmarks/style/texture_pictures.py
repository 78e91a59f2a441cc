"""Pictures of textures: windows of several sizes, and everything else that the command does.

    python -m benchmarks.style.texture_pictures

writes the sheets style-texture.jpg and super-resolution.jpg in benchmarks/pictures, and the picture
of the README. What is synthesised comes from scikit-image's pictures.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from apps.shared.photo import Photo, psnr, to_bytes
from apps.shared.pictures import Picture
from apps.shared.sheet import draw_sheet
from apps.style.super_resolution import mrf
from apps.style.super_resolution.enlarge import cubic, shrunk
from apps.style.super_resolution.examples import examples_for
from apps.style.super_resolution.settings import Settings as Enlargement
from apps.style.texture.efros_leung import EfrosLeung
from apps.style.texture.material import stack
from apps.style.texture.quilting import Quilting
from apps.style.texture.task import transfer_guides
from benchmarks.results import RESULTS
from benchmarks.style.sheets import save_small

FOLDER = RESULTS.parent / "pictures"
WINDOW_SHEET = FOLDER / "style-texture.jpg"
ENLARGED_SHEET = FOLDER / "super-resolution.jpg"
README = RESULTS.parents[1] / ".github" / "images" / "texture.jpg"
WINDOWS = (5, 9, 15, 23)
SIZE = 128
TEXTURES = {"ihc": (300, 100), "brick": (100, 100), "grass": (0, 0), "gravel": (0, 0)}


def main() -> None:
    write()


def write() -> None:
    """Make all pictures."""
    save_small(draw_sheet(window_panels(), columns=len(WINDOWS) + 2, cell=128), WINDOW_SHEET)
    save_small(draw_sheet(readme_panels(), columns=4, cell=192), README)
    save_small(draw_sheet(enlarged_panels(), columns=3, cell=256), ENLARGED_SHEET)


def picture(name: str) -> np.ndarray:
    """(H, W, 3) in 0..1: one that lies in scikit-image's wheel."""
    from skimage import data

    (file,) = Path(data.__file__).parent.glob(f"{name}.*[gp]")
    return Photo.read(file).pixels


def sample(name: str, side: int) -> np.ndarray:
    """A square of a texture."""
    y, x = TEXTURES[name]
    return picture(name)[y : y + side, x : x + side]


def grown(synthesis: EfrosLeung | Quilting) -> np.ndarray:
    """The finished picture, uint8."""
    while synthesis.step():
        pass
    return to_bytes(synthesis.canvas.image)


def window_panels() -> list[Picture]:
    """A row for each texture: the sample, and what windows of several sizes make of it."""
    panels = []
    for name, side in (("brick", 96), ("ihc", 96), ("gravel", 96)):
        pixels = sample(name, side)
        material = stack([pixels])
        panels.append(Picture(to_bytes(pixels), name, f"{side}x{side}"))
        for window in WINDOWS:
            start = time.perf_counter()
            made = grown(EfrosLeung(material, (SIZE, SIZE), window))
            panels.append(Picture(made, f"window {window}", f"{time.perf_counter() - start:.1f} s"))
            print(name, window, panels[-1].second, flush=True)
        start = time.perf_counter()
        made = grown(Quilting(material, (SIZE, SIZE), 24))
        panels.append(Picture(made, "quilting, 24", f"{time.perf_counter() - start:.1f} s"))
    return panels


def readme_panels() -> list[Picture]:
    """What the README tells of: more of a texture, a hole, tiles, texture transfer."""
    brick, tissue = sample("brick", 96), sample("ihc", 96)
    wall = grown(EfrosLeung(stack([brick]), (SIZE, SIZE), 15))
    tile = grown(Quilting(stack([sample("gravel", 96)]), (80, 80), 24, seed=3, tileable=True))
    face = Photo(picture("astronaut")[:256, 96:352])
    guides, guide = transfer_guides([Photo(tissue)], face, [192, 192])
    transferred = grown(Quilting(stack([tissue], guides), (192, 192), 18, guide=guide, passes=3))
    damaged, filled = with_hole()
    return [
        Picture(to_bytes(brick), "bricks, 96x96"),
        Picture(wall, "more of them, 128x128"),
        Picture(np.tile(tile, (2, 2, 1)), "a tile of gravel, laid four times"),
        Picture(to_bytes(tissue), "a texture"),
        Picture(damaged, "a hole"),
        Picture(filled, "and its filling"),
        Picture(face.bytes, "a picture"),
        Picture(transferred, "and in that texture"),
    ]


def with_hole() -> tuple[np.ndarray, np.ndarray]:
    """A part of a picture with a hole, and what fills it."""
    pixels = picture("gravel")[:128, :128]
    hole = np.zeros(pixels.shape[:2], bool)
    hole[48:78, 52:90] = True
    material = stack([pixels], known=[~hole])
    number = np.arange(hole.size).reshape(hole.shape)
    filled = grown(EfrosLeung(material, hole.shape, 7, source=np.where(hole, -1, number)))
    return to_bytes(np.where(hole[..., None], 1.0, pixels)), filled


def enlarged_panels() -> list[Picture]:
    """A small picture by cubic interpolation, by its own patches, and what it was."""
    truth, small = shrunk(Photo(picture("astronaut")[20:180, 160:320]), 2)
    settings = Enlargement()
    examples = examples_for(small.pixels, settings)
    made = mrf.enlarged(small.pixels, examples, settings)
    plain = cubic(small.pixels, truth.size)
    return [
        Picture(to_bytes(pixels), caption, f"{psnr(pixels, truth.pixels):.2f} dB")
        for pixels, caption in ((plain, "cubic interpolation"), (made, "patches of its own"))
    ] + [Picture(truth.bytes, "what it was")]


if __name__ == "__main__":
    main()
