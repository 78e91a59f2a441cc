"""Patch matching of CNNMRF against PyTorch.

    python -m benchmarks.style.cnnmrf [--cases ...] [--json] [--quick] [--write]

A case is feature maps of C channels with so many positions, matched with maps of the same size:
patches of 3x3, the largest normalised cross-correlation. PyTorch does it as the paper says, by a
convolution whose kernels are the style's patches; these are laid out and normalised beforehand,
which minidl does anew each time. In alternation, two threads each (benchmarks/timing.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minidl
from benchmarks.compare import (
    MEASURED,
    SPEED,
    against_torch,
    compare,
    options_of,
    rounds_in_words,
    run_comparison,
    write_comparison,
)
from benchmarks.steps import FORMATS, THREADS
from minidl.nn import functional as F

SIDES = ("minidl", *FORMATS)
PATCH = 3
# name -> channels, positions per side, stride. relu3_1 of a VGG, fire3 of SqueezeNet.
CASES = {
    "relu3_1": (256, 64, 1),
    "relu3_1-stride-2": (256, 65, 2),  # an odd number: nothing is left at the edge
    "fire3": (128, 61, 1),
}
GOAL = 1.0


def main(arguments: list[str] | None = None) -> None:
    run_comparison(
        options_of(__doc__, "cases", CASES), CASES,
        lambda side, name: matching_of(side, name)[0], measure, describe, write_rows, arguments,
    )  # fmt: skip


def write() -> None:
    """Measure all cases and write the section."""
    main(["--write"])


def measure(name: str, quick: bool) -> dict[str, Any]:
    compared = compare("style.cnnmrf", SIDES, name, quick)
    ratios = compared.ratios()
    ours, theirs = (matching_of(side, name)[1]() for side in SIDES[:2])
    return {
        "case": name,
        "ratio": round(min(ratios.values()), 2),
        "goal": GOAL,
        **{f"ratio_{side}": round(ratio, 2) for side, ratio in ratios.items()},
        "ms": round(compared.ms, 1),
        "same": round(100 * float((ours == theirs).mean()), 2),
        "mb": compared.peaks[0],
        "mb_torch": min(compared.peaks[1:]),
        **compared.rounds(),
    }


def maps(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features of two pictures as a ReLU leaves them; neighbours are alike, as in pictures."""
    channels, positions, _ = CASES[name]
    rng, size = np.random.default_rng(0), positions + PATCH - 1
    noise = rng.standard_normal((2, channels, size + 2, size + 2), np.float32)
    rows = noise[:, :, :-2] + noise[:, :, 1:-1] + noise[:, :, 2:]
    smooth = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    x, style = np.maximum(smooth, 0)
    return x[None], style[None]


def matching_of(side: str, name: str) -> tuple[Callable, Callable]:
    """A function that matches, and one that returns the indices."""
    return our_matching(name) if side == "minidl" else torch_matching(name, side)


def our_matching(name: str) -> tuple[Callable, Callable]:
    minidl.set_num_threads(THREADS)
    x, style = (
        minidl.tensor(array.transpose(0, 2, 3, 1)).permute(0, 3, 1, 2) for array in maps(name)
    )
    stride = CASES[name][2]

    def run():
        return F.match_patches(x, style, PATCH, stride).indices

    return run, lambda: run().numpy().ravel()


def torch_matching(name: str, memory_format: str) -> tuple[Callable, Callable]:
    import torch

    torch.set_num_threads(THREADS)
    x, style = map(torch.from_numpy, maps(name))
    (channels, _, stride), unfold = CASES[name], torch.nn.functional.unfold
    patches = unfold(style, PATCH, stride=stride)[0].T
    kernels = (patches / patches.norm(dim=1, keepdim=True)).reshape(-1, channels, PATCH, PATCH)
    if memory_format == "channels_last":
        x = x.contiguous(memory_format=torch.channels_last)
        kernels = kernels.contiguous(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode():
            return torch.nn.functional.conv2d(x, kernels, stride=stride).argmax(dim=1)

    return run, lambda: run().numpy().ravel()


def describe(row: dict[str, Any]) -> str:
    return (
        f"{row['case']}: {against_torch(row)}, {row['ms']:.1f} ms, {row['same']} % of the matches "
        f"the same, {row['mb']} MB (torch {row['mb_torch']}), {rounds_in_words(row)}"
    )


def write_rows(rows: list[dict[str, Any]], words: list[str]) -> None:
    columns = {
        "maps": "case", **SPEED, "ms": "ms", "same matches, %": "same", "MB": "mb",
        "MB of PyTorch": "mb_torch", **MEASURED,
    }  # fmt: skip
    about = (
        f"Each patch of {PATCH}x{PATCH} of some feature maps and the most similar one of others of "
        "the same size: relu3_1 with 64x64 positions and 256 channels (stride 1 and 2), fire3 of "
        "a picture of 256 px. PyTorch convolves with the normalised patches and takes argmax. Its "
        "time in the faster memory format, and in each, divided by minidl's, medians over rounds; "
        "above 1 minidl is faster. With stride 1, minidl multiplies pixels and adds up the "
        "products of patches, a ninth of the multiplications. MB is the peak of the process."
    )
    title = "Style: CNNMRF's patch matching against PyTorch"
    write_comparison("style.cnnmrf", title, "cases", words, about, columns, rows)


if __name__ == "__main__":
    main()
