"""The same captions, drawn again and again while a run learns.

After every so many steps the average of the generator draws them with the same noise; the pictures
are a file of the folder samples/, named by the step. They depend on the weights alone, so a run
that goes on writes those after its checkpoint once more, and the same. After each epoch the
diversity of the pictures of one caption, and that across captions, are among its metrics.

    step-000500.png        one row of tiles, a caption each: COPIES x COPIES pictures by its noise
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from apps.draw.diversity import RealSpread, mean_spread, spread
from apps.draw.run import SAMPLES
from apps.draw.sampling import draw
from minidl.callbacks import AverageWeights, Callback
from minidl.io.atomic import write_atomically
from minidl.nn import Module

COPIES = 2  # pictures on each side of a tile
SEED = 20_160_605  # of the noise, the same in all runs


@dataclass
class FixedSamples:
    """What is drawn again and again.

    Args:
        captions: of the tiles; "" of a plain GAN, which is given none.
        embeddings: of the captions, (captions, D); None likewise.
        noise: numbers of noise.
    """

    captions: list[str]
    embeddings: np.ndarray | None
    noise: int

    def drawn_by(self, generator: Module) -> np.ndarray:
        """Pictures by a generator in evaluation mode, uint8 (captions, COPIES^2, S, S, 3)."""
        copies = COPIES * COPIES
        random = np.random.default_rng(SEED)
        noise = random.standard_normal((len(self.captions) * copies, self.noise), np.float32)
        text = None if self.embeddings is None else np.repeat(self.embeddings, copies, 0)
        pictures = draw(generator, text, noise)
        return pictures.reshape(len(self.captions), copies, *pictures.shape[1:])


class Samples(Callback):
    """Draws them, writes them, measures their diversity.

    Args:
        folder: of the run.
        fixed: what to draw.
        every: steps.
        average: of the generator, called before this callback.
        real: how different real pictures are, in which diversity is measured.
    """

    order = -10  # before those that show, save and watch the metrics, and the alarm
    watches = True

    def __init__(
        self, folder: Path, fixed: FixedSamples, every: int, average: AverageWeights,
        real: RealSpread,
    ):  # fmt: skip
        self.folder, self.fixed, self.every = folder / SAMPLES, fixed, every
        self.average, self.real = average, real

    def on_fit_start(self, run) -> None:
        self.folder.mkdir(exist_ok=True)
        for path in sample_files(self.folder.parent):
            if step_of(path) > run.step:
                path.unlink()  # drawn after the checkpoint: it will come again
        if run.step == 0:
            self.write(run)

    def on_step_end(self, run) -> None:
        if run.step % self.every == 0:
            self.write(run)

    def write(self, run) -> None:
        strip = as_png(as_strip(self.pictures()))
        write_atomically(self.folder / f"step-{run.step:06}.png", strip)

    def on_epoch_end(self, run) -> None:
        if self.real.across:  # else all real pictures are the same
            run.metrics |= self.diversities()

    def diversities(self) -> dict[str, float]:
        """Of pictures of one caption and, where there are several captions, across them."""
        pictures = self.pictures()
        if self.fixed.embeddings is None:  # none of the pictures has a caption
            every = pictures.reshape(-1, *pictures.shape[2:])
            return {"diversity": spread(every) / self.real.across}
        found = {"diversity": mean_spread(list(pictures)) / self.real.of_one_caption}
        if len(pictures) > 1:
            found["diversity_across"] = spread(pictures[:, 0]) / self.real.across
        return found

    def pictures(self) -> np.ndarray:
        """What the average draws now."""
        assert self.average.average is not None, "the run has started"
        return self.fixed.drawn_by(self.average.average)


def sample_files(folder: Path) -> list[Path]:
    """The files of a run, in the order of their steps."""
    return sorted((folder / SAMPLES).glob("step-*.png"), key=step_of)


def step_of(path: Path) -> int:
    """The step after which a file was drawn."""
    return int(path.stem.partition("-")[2])


def as_strip(pictures: np.ndarray) -> np.ndarray:
    """(captions, COPIES^2, S, S, 3) as one row of tiles, (COPIES S, captions COPIES S, 3)."""
    n, _, size, _, _ = pictures.shape
    tiles = pictures.reshape(n, COPIES, COPIES, size, size, 3)
    return tiles.transpose(1, 3, 0, 2, 4, 5).reshape(COPIES * size, n * COPIES * size, 3)


def tiles_of(path: Path) -> list[np.ndarray]:
    """The tiles of a file, each uint8 (COPIES S, COPIES S, 3)."""
    from PIL import Image

    with Image.open(path) as file:
        strip = np.asarray(file.convert("RGB"))
    return np.split(strip, strip.shape[1] // strip.shape[0], 1)


def as_png(picture: np.ndarray) -> bytes:
    """A picture as the content of a file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, "PNG", optimize=True)
    return stream.getvalue()
