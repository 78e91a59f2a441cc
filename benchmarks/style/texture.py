"""Textures and super-resolution: seconds, and pictures in figures.

    python -m benchmarks.style.texture [--quick] [--write]

With --write the pictures of the section are made as well. The search for windows is timed in
alternation with the same in NumPy, by processor time, which other programs on the machine disturb
least; the whole synthesis by the clock as well. Pictures are those of scikit-image.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import minidl
from apps.shared.photo import Photo, psnr
from apps.style.super_resolution import mrf
from apps.style.super_resolution.enlarge import cubic, shrunk
from apps.style.super_resolution.examples import LIGHT, examples_for, gather
from apps.style.super_resolution.patches import interpolated
from apps.style.super_resolution.settings import Settings
from apps.style.texture.efros_leung import EfrosLeung, gaussian
from apps.style.texture.material import Material, stack
from apps.style.texture.quilting import Quilting
from benchmarks.results import provenance, table, write_section
from benchmarks.style.texture_pictures import TEXTURES, picture, sample
from benchmarks.style.texture_pictures import write as make_sheets
from minidl import Tensor
from minidl.ops.window_search import WindowSearch

WINDOW, SAMPLE, SIZE, PATCH = 15, 64, 128, 24
PLACES = 40
COMPARED = ("astronaut", "chelsea", "coffee")  # of super-resolution; a part of each
EXAMPLES = ("motorcycle_left", "rocket", "gravel", "brick")
PART = 512

WINDOWS = """Windows of several sizes, 128 x 128 pixels from 96 x 96. A window of 5 pixels sees that
mortar is straight and bricks are grey; at 15 bricks have a size. What is larger than the window
stays unknown: how bricks of one row lie above those of another.

![Textures by windows of several sizes](pictures/style-texture.jpg)"""
ENLARGED = "![A face, enlarged by interpolation and by patches](pictures/super-resolution.jpg)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="little of everything, to try it")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    parser.add_argument("--searches", type=int, metavar="ROUNDS", help="the searches alone")
    options = parser.parse_args()
    if options.searches:
        print(searches(options.searches))
    elif options.write:
        write(options.quick)
    else:
        print(measured(options.quick))


def write(quick: bool = False) -> None:
    """Measure all, make the sheets, and write the section."""
    make_sheets()
    body = measured(quick)
    text = f"{body}\n\nBy `python -m benchmarks.style --parts texture`. " + provenance(
        "minidl", "numpy", "numba", "scikit-image", "pillow"
    )
    write_section("style.texture", "Neural style: textures and super-resolution", text)


def measured(quick: bool) -> str:
    """The section without its provenance."""
    parts = [
        on_one_core(2 if quick else 7), syntheses(quick), WINDOWS, enlargements(quick), ENLARGED,
    ]  # fmt: skip
    return "\n\n".join(parts)


# --- the search ---------------------------------------------------------------------------------


def on_one_core(rounds: int) -> str:
    """searches() in a process of its own: NumPy's products are told there to use one core."""
    one = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "MKL", "OMP", "NUMBA")}
    command = [sys.executable, "-m", "benchmarks.style.texture", "--searches", str(rounds)]
    done = subprocess.run(
        command, env=os.environ | one, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def searches(rounds: int) -> str:
    """The kernel against the same in NumPy, twice, on the windows of a real synthesis."""
    material = stack([sample("ihc", SAMPLE)])
    synthesis = EfrosLeung(material, (SIZE, SIZE), WINDOW)
    while synthesis.done < synthesis.total // 2:
        synthesis.step()
    synthesis.start_pass()
    places = synthesis.todo[:PLACES]
    picture, known = synthesis.canvas.picture, synthesis.canvas.known
    weights = np.repeat(gaussian(WINDOW)[None].astype(np.float32), 3, axis=0)

    def search_by(kernels: str) -> Callable:
        with minidl.use_cpu_kernels(kernels):
            search = WindowSearch(Tensor(material.planes), Tensor(weights))
        return lambda: [search.candidates(picture, known, [place])[0] for place in places]

    ours, reference = search_by("numba"), search_by("reference")
    products = ProductSearch(material.planes, weights)

    def by_products() -> list:
        return [products.candidates(picture, known, place) for place in places]

    same = all(np.array_equal(a, b) for pair in zip(ours(), reference()) for a, b in zip(*pair))
    alike = np.mean([np.array_equal(a[0], b) for a, b in zip(ours(), by_products())])
    ways = ours, by_products, reference
    seconds = [[processor_seconds(way) for way in ways] for _ in range(rounds)]
    each = [statistics.median(column) / len(places) * 1e6 for column in zip(*seconds)]
    fast, plain = (statistics.median(row[i] / row[0] for row in seconds) for i in (1, 2))
    goal = "reached" if fast >= 20 else "missed"
    return (
        f"One search, a window of {WINDOW} x {WINDOW} pixels in colour against all of a sample of "
        f"{SAMPLE} x {SAMPLE}: {each[0]:.0f} microseconds of one core. The fastest NumPy that we "
        f"know, |a|^2 - 2 ab + |b|^2 as products with a matrix of all windows of the sample, "
        f"takes {each[1]:,.0f}, {fast:.1f} times as long (goal 20: {goal}); differences, squared "
        f"and summed pixel by pixel, which is the reference kernel, {each[2]:,.0f}, {plain:.0f} "
        f"times as long (medians of {rounds} rounds). Candidates and errors are "
        f"{'those' if same else 'NOT THOSE'} of the reference, to the last bit; products "
        f"round differently, and find the same candidates in {100 * alike:.0f} % of the searches."
    )


class ProductSearch:
    """The search as NumPy does it fastest: two products of a vector and a matrix.

    Args:
        planes: (P, H, W), the sample.
        weights: (P, R, S).
    """

    def __init__(self, planes: np.ndarray, weights: np.ndarray):
        windows = np.lib.stride_tricks.sliding_window_view(planes, weights.shape)[0]
        self.shape, self.width = windows.shape[:2], planes.shape[2]
        self.windows = np.ascontiguousarray(windows.reshape(-1, weights.size))
        self.squares, self.weights = self.windows**2, weights

    def candidates(self, picture: np.ndarray, known: np.ndarray, place: list[int]) -> np.ndarray:
        """The positions y W + x of the windows with at most 1.1 times the smallest error."""
        _, R, S = self.weights.shape
        here = (slice(None), slice(place[0], place[0] + R), slice(place[1], place[1] + S))
        window, counted = picture[here].ravel(), (self.weights * known[here]).ravel()
        errors = self.squares @ counted - 2 * (self.windows @ (counted * window))
        errors += (counted * window**2).sum()
        y, x = np.divmod(np.flatnonzero(errors <= 1.1 * errors.min()), self.shape[1])
        return y * self.width + x


def processor_seconds(function: Callable) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


# --- whole pictures -----------------------------------------------------------------------------


def syntheses(quick: bool) -> str:
    """Seconds of both methods for each texture."""
    rows = []
    for name in list(TEXTURES)[: 1 if quick else None]:
        material = stack([sample(name, SAMPLE)])
        pixels = [timed(EfrosLeung, material, WINDOW) for _ in range(3)]
        patches = [timed(Quilting, material, PATCH) for _ in range(3)]
        rows.append([name, *best(pixels), *best(patches)])
    load = os.getloadavg()[0]
    columns = ["sample", "efros-leung, s", "processor s", "quilting, s", "processor s"]
    return (
        f"{SIZE} x {SIZE} pixels in colour from {SAMPLE} x {SAMPLE}, window {WINDOW}, and by "
        f"quilting with patches of {PATCH}: seconds by the clock and of the processors, the "
        f"fastest of three runs (goal 10 s, aim 3 s). Load average meanwhile: {load:.1f}, for "
        f"{len(os.sched_getaffinity(0))} cores.\n\n" + table(columns, rows)
    )


def timed(method: type, material: Material, window: int) -> tuple[float, float]:
    """Seconds by the clock and of the processors until a synthesis is finished."""
    start, busy = time.perf_counter(), time.process_time()
    synthesis = method(material, (SIZE, SIZE), window)
    while synthesis.step():
        pass
    return time.perf_counter() - start, time.process_time() - busy


def best(runs: list[tuple[float, float]]) -> list[str]:
    return [f"{min(column):.2f}" for column in zip(*runs)]


# --- super-resolution ---------------------------------------------------------------------------


def enlargements(quick: bool) -> str:
    """PSNR on pictures that were shrunk to half their size: none of them is among the examples."""
    others = [picture(name) @ LIGHT[0].astype(np.float32) for name in EXAMPLES]
    ways = {
        "nearest": Settings(candidates=1, agreement=0.0),
        "mrf": Settings(),
        "mrf, own scales": Settings(),
    }
    rows = []
    for name in COMPARED[: 1 if quick else None]:
        truth, small = shrunk(Photo(picture(name)[:PART, :PART]), 2)
        plain = np.moveaxis(small.pixels, 2, 0)
        plain = np.stack([interpolated(plane, truth.size) for plane in plain], axis=2)
        row = [name, psnr(cubic(small.pixels, truth.size), truth.pixels), psnr(plain, truth.pixels)]
        for way, settings in ways.items():
            if way == "mrf, own scales":
                examples = examples_for(small.pixels, settings)
            else:
                examples = gather(others, settings.most_examples, np.random.default_rng(0))
            made = mrf.enlarged(small.pixels, examples, settings)
            row.append(psnr(made, truth.pixels))
        rows.append([row[0], *(f"{value:.2f}" for value in row[1:])])
    columns = ["picture", "cubic", "and back-projection", *ways]
    return (
        f"Super-resolution by 2, PSNR in dB on at most {PART} x {PART} pixels of each picture; "
        f"examples are {', '.join(EXAMPLES)}, or the small picture itself at its own scales. "
        "Nearest takes the best example at each place, mrf lets 16 of them be chosen by "
        "belief propagation; both end with back-projection. Patches make edges sharp that "
        "interpolation leaves soft; where they are wrong, the mean squared error grows.\n\n"
        + table(columns, rows)
    )


if __name__ == "__main__":
    main()
