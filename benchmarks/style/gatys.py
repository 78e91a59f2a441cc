"""Style transfer by Gatys et al.: seconds, memory in tiles, and what each option changes.

    python -m benchmarks.style.gatys [--pictures FOLDER]

It writes two sections of RESULTS.md, and a sheet of small pictures to benchmarks/pictures. The
pictures are those of the scikit-image wheel; with --pictures, a folder with `content` and `style`
in it, the losses of these pairs are told as well.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from apps.shared.photo import Photo
from apps.shared.pictures import Picture
from apps.shared.sheet import draw_sheet
from apps.style.gatys.pictures import Pictures
from apps.style.gatys.settings import WEIGHTS, Settings
from apps.style.gatys.tiles import make_objective
from apps.style.gatys.transfer import FROM_NOISE, make_task
from apps.style.loss_network import LossNetwork
from apps.style.needs import PeakMemory
from apps.style.optimize.estimate import ARRAYS
from apps.style.optimize.loop import optimize
from apps.style.optimize.plan import make_plan
from benchmarks.results import RESULTS, provenance, table, write_section
from benchmarks.style.sheets import save_small, wheel
from minidl.nn import Parameter

CONTENT, STYLE = "chelsea.png", "coffee.png"
SIZE = 448  # of the picture whose time is told
SMALL = 256  # of those whose options are compared: it takes a third of the time
SHEET = RESULTS.parent / "pictures" / "style-ablation.jpg"
TILES = (1024, 2048, 4096)
PAIRS = ("chicago", "hoovertowernight"), ("starry_night", "composition_vii", "wave")

# What is changed -> the options.
VARIANTS: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "another seed": {"seed": 1},
    "one scale": {"scales": 1},
    "no average of iterates": {"average": 0.0},
    "no random shifts": {"shift": 0},
    "no total variation": {"tv_weight": 0.0},
    "ten times the total variation": {"tv_weight": 2e-3},
    "a fifth of the content": {"content_weight": 0.01},
    "five times the content": {"content_weight": 0.25},
    "from noise": {"init": "noise"} | FROM_NOISE,
    "average pooling": {"pool": "avg"},
    "L2 pooling": {"pool": "l2"},
    "the style at half its size": {"style_size": SMALL // 2},
    "the style at twice its size": {"style_size": 2 * SMALL},
    "norm: paper": {"loss_norm": "paper"},
    "norm: port": {"loss_norm": "port"},
    "L-BFGS": {"optimizer": "lbfgs"},
    "colours: luma": {"colors": "luma"},
    "colours: match": {"colors": "match"},
    "VGG-16 (vgg16-hed)": {"net": "vgg16"},
}  # fmt: skip


@dataclass
class Made:
    """A picture and how it came about."""

    photo: Photo
    losses: dict[str, float]
    seconds: float
    cpu_seconds: float
    iterations: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", help="Folder with `content` and `style` in it.")
    parser.add_argument("--tile", type=int, help="Measure one evaluation of this size, and end.")
    options = parser.parse_args()
    if options.tile:
        print(tile_megabytes(options.tile))
        return
    write(options.pictures)


def write(pictures: str | None = None) -> None:
    """Write both sections. Without `pictures` the folder is $MINIDL_DATA/style, if it is there."""
    folder = Path(pictures or os.path.join(os.environ.get("MINIDL_DATA", ""), "style"))
    write_section("style.gatys", "Neural style: Gatys", speed_text(folder))
    write_section("style.ablation", "Neural style: what the options change", ablation_text())


# --- one picture --------------------------------------------------------------------------------


def make(settings: Settings) -> Made:
    """The picture that `minidl style gatys` makes; the time is that of the optimisation, without
    the estimate before it, reading and writing."""
    net, found = LossNetwork(settings.net, settings.weights, settings.pool), Pictures(settings)
    plan = make_plan(settings, found.size, net.receptive_field(settings.layers()))
    task = make_task(net, settings, found)
    start, cpu = time.perf_counter(), time.process_time()
    outcome = optimize(plan, task, lambda text: None)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    losses = {name.removesuffix("_loss"): value for name, value in outcome.losses.items()}
    return Made(found.finished(outcome.picture), losses, seconds, cpu, outcome.iterations)


# --- seconds, memory ----------------------------------------------------------------------------


def speed_text(folder: Path) -> str:
    settings = Settings(content=wheel(CONTENT), styles=[wheel(STYLE)], size=SIZE)
    make(settings)  # compiles
    runs = [make(settings) for _ in range(3)]
    seconds, cpu = (
        statistics.median(getattr(run, name) for run in runs) for name in ("seconds", "cpu_seconds")
    )
    text = [
        f"`minidl style gatys {CONTENT} {STYLE} --size {SIZE}`, {runs[0].iterations} iterations in "
        f"two scales with SqueezeNet, after the kernels were compiled: {seconds:.1f} s, "
        f"{cpu:.1f} s of processor time (medians of 3) for the optimisation; the command also "
        "reads, estimates and writes.",
        "Memory of a square picture with `--tile 512`: what one evaluation of losses and gradient "
        "adds to the process (measured), and the arrays as large as the picture that stay, as "
        f"the command counts them: {ARRAYS['adam']} of 12 bytes a pixel.",
        table(["pixels", "MB of an evaluation", "MB that stay (counted)"], [
            [f"{side}x{side}", f"{measured(side):,.0f}", f"{staying(side):,.0f}"]
            for side in TILES
        ]),
        pairs_text(folder),
        "By `python -m benchmarks.style --parts gatys`. "
        + provenance("numpy", "numba", "scikit-image"),
    ]  # fmt: skip
    return "\n\n".join(part for part in text if part)


def staying(side: int) -> float:
    """Megabytes of the arrays as large as the picture."""
    return 12 * ARRAYS["adam"] * side**2 / 1e6


def measured(side: int) -> float:
    """tile_megabytes in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.style.gatys", "--tile", str(side)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def tile_megabytes(side: int) -> float:
    """By how much the process grows in one evaluation in tiles: features of a tile, and the
    gradient, which is as large as the picture."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "large.png")
        Photo(np.random.default_rng(0).random((side, side, 3), np.float32)).save(path)
        settings = Settings(content=path, styles=[wheel(STYLE)], size=side, tile=512,
                            style_size=512, tv_weight=0.0)  # fmt: skip
        found = Pictures(settings)
    net = LossNetwork()
    small = make_objective(net, settings, found, (512, 512))
    small.evaluate(Parameter(found.start_at((512, 512), np.random.default_rng(0))))  # compiles
    objective = make_objective(net, settings, found, (side, side))
    x = Parameter(found.start_at((side, side), np.random.default_rng(0)))
    minidl.empty_cache()
    with PeakMemory() as peak:
        objective.evaluate(x)
    return peak.bytes / 1e6


def pairs_text(folder: Path) -> str:
    """Losses and seconds of the pictures in a folder; "" without them."""
    rows = []
    for content in PAIRS[0]:
        for style in PAIRS[1]:
            files = [folder / "content" / f"{content}.jpg", folder / "style" / f"{style}.jpg"]
            if not all(file.exists() for file in files):
                continue
            made = make(Settings(content=str(files[0]), styles=[str(files[1])], size=SIZE))
            rows.append([
                f"{content} x {style}", f"{made.losses['content'] / WEIGHTS['target'][0]:.3f}",
                f"{made.losses['style']:.3f}", f"{made.cpu_seconds:.1f}",
            ])  # fmt: skip
    if not rows:
        return ""
    columns = [f"{SIZE} pixels", "content loss", "style loss", "seconds of processor time"]
    return "Losses divided by the target's size, unweighted:\n\n" + table(columns, rows)


# --- options ------------------------------------------------------------------------------------


def ablation_text() -> str:
    """The table of variants; the sheet is written on the way."""
    base = Settings(content=wheel(CONTENT), styles=[wheel(STYLE)], size=SMALL)
    judge, rows = Judge(base), {}
    for name, options in VARIANTS.items():
        made = make(Settings(content=wheel(CONTENT), styles=[wheel(STYLE)], size=SMALL, **options))
        rows[name] = judge.row(made)
        print(name, *rows[name].texts(), flush=True)
    panels = [Picture(row.photo.bytes, name) for name, row in rows.items()]
    save_small(draw_sheet(panels, columns=5, cell=120), SHEET)
    columns = ["changed", "content", "style", "fine grain", "distance", "CPU s", "how"]
    default, seed = rows["the defaults"], rows["another seed"]
    return "\n\n".join([
        f"{CONTENT} in the style of {STYLE}, {SMALL} pixels. Content and style are the losses of "
        "the finished picture as the defaults measure them, divided by the target's size and "
        "unweighted: 0 is the content itself, or a picture whose Gram matrices are the style's. "
        "Fine grain is the share of the picture's variance that a blur of 3x3 pixels takes away, "
        "in percent. The distance from the picture of the defaults is the root mean squared "
        "difference of pixels, of 255; that of another seed tells how much of it is chance. The "
        "last column puts that into words.",
        table(columns, [
            [name, *row.texts(), row.words(default, seed)] for name, row in rows.items()
        ]),
        f"![The same pictures]({SHEET.relative_to(RESULTS.parent)})",
        "By `python -m benchmarks.style --parts gatys`. "
        + provenance("numpy", "numba", "scikit-image"),
    ])  # fmt: skip


@dataclass
class Row:
    """What is told of a variant.

    Args:
        photo: the picture.
        content, style: unweighted losses.
        grain: percent of the variance that is gone after a blur.
        distance: from the picture of the defaults, of 255.
        cpu_seconds: that it took.
    """

    photo: Photo
    content: float
    style: float
    grain: float
    distance: float
    cpu_seconds: float

    def texts(self) -> list[str]:
        values = (self.content, self.style, self.grain, self.distance, self.cpu_seconds)
        return [f"{value:.{digits}f}" for value, digits in zip(values, (2, 3, 2, 1, 1))]

    def words(self, default: Row, seed: Row) -> str:
        """How the picture differs from that of the defaults, where it is clear; `seed` is the row
        of another seed."""
        if self is default or self is seed:
            return ""
        found = ["no more than another seed"] if self.distance < 1.1 * seed.distance else []
        for name, low, high, less, more in (
            ("content", 0.8, 1.2, "nearer to the content", "further from the content"),
            ("style", 0.75, 1.5, "nearer to the style", "further from the style"),
            ("grain", 0.7, 1.4, "smoother", "grainier"),
        ):
            ratio = getattr(self, name) / getattr(default, name)
            found += [less] if ratio < low else [more] if ratio > high else []
        return ", ".join(found) or "another picture, as good by these measures"


class Judge:
    """Measures finished pictures with the losses of the defaults, the first of which is theirs."""

    def __init__(self, settings: Settings):
        found = Pictures(settings)
        self.objective = make_objective(LossNetwork(), settings, found, found.size)
        self.first: Photo | None = None

    def row(self, made: Made) -> Row:
        self.first = self.first or made.photo
        found = self.objective.evaluate(Parameter(made.photo.tensor().data))
        away = 255 * float(np.sqrt(np.mean((made.photo.pixels - self.first.pixels) ** 2)))
        content = found["content"] / self.objective.content_weight
        grain = fine_grain(made.photo)
        return Row(made.photo, content, found["style"], grain, away, made.cpu_seconds)


def fine_grain(photo: Photo) -> float:
    """Percent of the variance that is gone after a blur of 3x3 pixels."""
    p = photo.pixels
    blurred = sum(p[i : p.shape[0] - 2 + i, j : p.shape[1] - 2 + j]
                  for i in range(3) for j in range(3)) / 9  # fmt: skip
    return 100 * float(np.mean((p[1:-1, 1:-1] - blurred) ** 2) / p.var())


if __name__ == "__main__":
    main()
