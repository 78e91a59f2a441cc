"""Textures and super-resolution: seconds, and pictures in figures.

    python -m benchmarks.style_texture [--quick] [--write]

The search for windows is timed in alternation with the same in NumPy, by processor time, which
other programs on the machine disturb least; the whole synthesis by the clock as well. Pictures are
those of scikit-image.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

import minidl
from apps.shared.photo import Photo
from apps.style.super_resolution import mrf
from apps.style.super_resolution.enlarge import cubic, psnr, shrunk
from apps.style.super_resolution.patches import interpolated
from apps.style.super_resolution.settings import Settings
from apps.style.texture.efros_leung import EfrosLeung, gaussian
from apps.style.texture.material import Material, stack
from apps.style.texture.quilting import Quilting
from benchmarks.results import provenance, table, write_section
from benchmarks.style_texture_pictures import TEXTURES, picture, sample
from benchmarks.style_texture_pictures import write as make_sheets
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
    options = parser.parse_args()
    body = measured(options.quick)
    print(body)
    if options.write:
        write_body(body)


def write() -> None:
    """Measure all, make the sheets, and write the section."""
    make_sheets()
    write_body(measured(quick=False))


def write_body(body: str) -> None:
    text = f"{body}\n\nBy `python -m benchmarks.style_texture --write`. " + provenance(
        "minidl", "numpy", "numba", "scikit-image", "pillow"
    )
    write_section("style_texture", "Neural style: textures and super-resolution", text)


def measured(quick: bool) -> str:
    """The section without its provenance."""
    parts = [
        searches(2 if quick else 7), syntheses(quick), WINDOWS, enlargements(quick), ENLARGED,
    ]  # fmt: skip
    return "\n\n".join(parts)


# --- the search ---------------------------------------------------------------------------------


def searches(rounds: int) -> str:
    """The kernel against the same in NumPy, on the windows of a real synthesis."""
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

    ours, theirs = search_by("numba"), search_by("reference")
    same = all(np.array_equal(a, b) for pair in zip(ours(), theirs()) for a, b in zip(*pair))
    seconds = [(processor_seconds(ours), processor_seconds(theirs)) for _ in range(rounds)]
    ratio = statistics.median(b / a for a, b in seconds)
    each = [statistics.median(column) / len(places) * 1e6 for column in zip(*seconds)]
    goal = "reached" if ratio >= 20 else "missed"
    return (
        f"One search, a window of {WINDOW} x {WINDOW} pixels in colour against all of a sample of "
        f"{SAMPLE} x {SAMPLE}: {each[0]:.0f} microseconds of one core, the same in NumPy "
        f"{each[1]:,.0f}, {ratio:.0f} times as long (goal 20: {goal}; median of {rounds} rounds). "
        f"Candidates and errors are {'the same bits' if same else 'NOT THE SAME'}."
    )


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
    others = [picture(name) @ mrf.LIGHT[0].astype(np.float32) for name in EXAMPLES]
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
                examples = mrf.examples_for(small.pixels, settings)
            else:
                examples = mrf.gather(others, settings.most_examples, np.random.default_rng(0))
            made = mrf.enlarged(small.pixels, examples, settings, lambda done, total: None)
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
