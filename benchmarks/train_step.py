"""A training step of minidl and of PyTorch, side by side.

    python -m benchmarks.train_step [--models lenet5,vgg16 ...] [--json] [--quick] [--write]

Forward, backward and update (SGD with momentum; Adam for the GANs) on the same weights and the same
batch, two threads each, in alternation (benchmarks/timing.py); PyTorch in both memory formats, and
the ratio is against its faster one. `max_error` is the largest difference of the weights after
three steps, as a part of the largest weight of its tensor (for vgg16-style, of the picture);
`torch_error` is that of PyTorch's two formats among each other, which shows how much of it is the
network's own: a deep one makes a lot of a last digit. dcgan64 is judged without its biases: those
before a batch norm have no gradient but rounding, of which Adam makes whole steps.

`goal` is the ratio that minidl wants to reach. `gflops` counts operations as plain sums of products
have them (benchmarks/steps.py), `share` is of what NumPy's matrix product reaches on this machine.
Memory is the peak of each process after it has warmed up. For a network that misses its goal, one
run more says where the time goes (benchmarks/breakdown.py).

--write puts the table into RESULTS.md, and the ratios into benchmarks/curves/train_step.svg; with
--models, a table without a picture into a section of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.bars import Group, write_bars
from benchmarks.breakdown import profile_of
from benchmarks.compare import compare, measure_all, names_of, options_of, serve_worker
from benchmarks.machine import copy_bandwidth, product_peak
from benchmarks.results import RESULTS, provenance, table, write_section
from benchmarks.step_cases import CASES, Case
from benchmarks.steps import FORMATS, operations, step_of

STEPS_OF_ERROR = 3
GOALS = {
    "lenet5": 3.0, "alexnet": 1.0, "googlenet": 1.1, "vgg16": 1.7, "vgg16-style": 2.0,
    "resnet18": 1.3, "resnet50": 1.0, "resnet20-cifar": 1.5, "lstm": 1.0, "dcgan64": 1.0,
    "squeezenet": 1.0, "efficientnet-lite0": 1.0, "gan-small": 1.3,
}  # fmt: skip
"""The ratio that minidl wants to reach."""

TRIED = {
    "lenet5": (
        "Six and sixteen channels are few for a vector, so a vector holds pictures, and "
        "the sums run at half of a matrix product's speed at best. Loops of 0.1 to 0.6 ms have one "
        "thread: a second takes 0.1 to 0.2 ms to wake, and won a tenth on an idle machine, nothing "
        "in a training with its data loader, and took twice as long beside another program. "
        "Tried: pictures side by side in vectors, the optimizer, ReLU and its gradient in one pass."
    ),
    "vgg16-style": (
        "One picture has few tiles for the weights of the deep layers, which are transformed anew "
        "in each step though none learns here; to keep them transformed would take four times "
        "their memory. Panels of output channels for deep layers, weights turned in registers for "
        "the gradient and a gradient of the picture without columns are in."
    ),
    "resnet20-cifar": (
        "Convolutions of 16 to 64 channels have too few for Winograd's transforms to be small "
        "beside the products; batch norm, ReLU and additions read and write all maps. Tried: "
        "smaller blocks of tiles, pixels fetched a row of tiles ahead, batch norm's sums in "
        "float32, strided and first convolutions without columns, longer waits of the second "
        "thread between two loops (faster on an idle machine, and paid for beside other programs). "
        "Not done: batch norm and ReLU in one pass, which would save one in four of their ways "
        "through memory."
    ),
    "gan-small": (
        "Layers of 3 to 128 channels on 32 to 4 pixels, each for 32 pictures at a time: to bring "
        "tiles into Winograd's form and back takes as long as their products, and the rest of the "
        "step, 160 operations on small arrays, nearly as long as its convolutions. Tried: 4x4 "
        "windows phase by phase, the four of a gradient in one call, blocks without empty rows, "
        "quads of few colours, scale and shift of the conditional norm in the norm's own pass, "
        "sigma from the power iteration, its gradient in one pass, linear layers with two threads "
        "(3 % on an idle machine, and three times as long beside another program)."
    ),
}
"""For networks that may miss their goal: what holds them up, and what was tried."""

PICTURE = RESULTS.parent / "curves" / "train_step.svg"
COLUMNS = {
    "network": "model", "ratio": "ratio", "goal": "goal", "NCHW": "ratio_nchw",
    "channels last": "ratio_channels_last", "ms": "ms", "PyTorch ms": "torch_ms",
    "GFLOP/s": "gflops", "share": "share", "largest error": "max_error",
    "PyTorch's own": "torch_error", "MB": "peak_mb", "PyTorch MB": "torch_peak_mb",
    "rounds": "rounds", "spoiled": "spoiled",
}  # fmt: skip


def main() -> None:
    parser = options_of(__doc__, "models", CASES)
    parser.add_argument("--against", default="torch", choices=["torch"])
    options = parser.parse_args()
    if serve_worker(options, lambda side, name: step_of(side, CASES[name])[0]):
        return
    names, peak = names_of(parser, options, CASES), product_peak()
    rows = measure_all(names, lambda name, quick: measure(name, quick, peak), describe, options)
    if options.write:
        write(rows, peak)


def measure(name: str, quick: bool, peak: float) -> dict[str, Any]:
    """All figures of one network; where the time goes, in words, if it misses its goal."""
    case = CASES[name]
    compared = compare("train_step", ("minidl", *FORMATS), name, quick)
    ratios = compared.ratios()
    ratio, n_operations = min(ratios.values()), operations(case)
    flops = n_operations / compared.ms * 1e3
    max_error, torch_error = errors(case)
    profile = profile_of(step_of("minidl", case)[0]) if ratio < GOALS[name] else None
    return {
        "model": name,
        "ratio": round(ratio, 3),
        "goal": GOALS[name],
        **{f"ratio_{format_}": round(ratio, 3) for format_, ratio in ratios.items()},
        "ms": round(compared.ms, 2),
        "torch_ms": round(1e3 * min(compared.timings.median(1), compared.timings.median(2)), 2),
        "items_per_second": round(case.shape[1 if name == "lstm" else 0] / compared.ms * 1e3, 1),
        "gflops": round(flops / 1e9, 1),
        "share": round(flops / peak, 2),
        **compared.rounds(),
        "max_error": float(f"{max_error:.2g}"),
        "torch_error": float(f"{torch_error:.2g}"),
        "peak_mb": compared.peaks[0],
        "torch_peak_mb": min(compared.peaks[1:]),
        "where": profile and profile.sentence(n_operations, peak, copy_bandwidth()),
    }


def errors(case: Case) -> list[float]:
    """How far minidl, and PyTorch in its other format, are from PyTorch after some steps."""
    states = []
    for side in ("minidl", *reversed(FORMATS)):
        step, learned = step_of(side, case)
        for _ in range(STEPS_OF_ERROR):
            step()
        states.append(learned())
    *others, expected = states
    return [
        max(
            np.abs(other[name] - x).max() / np.abs(x).max()
            for name, x in expected.items()
            if not (case.gan and name.endswith("bias"))
        )
        for other in others
    ]


def describe(figures: dict[str, Any]) -> str:
    return (
        f"{figures['model']}: {figures['ratio']:.2f} x as fast as torch "
        f"({figures['ms']:.1f} against {figures['torch_ms']:.1f} ms; nchw "
        f"{figures['ratio_nchw']:.2f}, channels last {figures['ratio_channels_last']:.2f}), "
        f"{figures['items_per_second']:.1f}/s, {figures['gflops']} GFLOP/s "
        f"({figures['share']:.2f} of a matrix product's), error {figures['max_error']:.1g} "
        f"(torch's own {figures['torch_error']:.1g}), peak {figures['peak_mb']} against "
        f"{figures['torch_peak_mb']} MB, {figures['rounds']} rounds, {figures['spoiled']} spoiled"
    )


def write(rows: list[dict[str, Any]], peak: float) -> None:
    """The section of RESULTS.md; one of its own for some models alone."""
    models = [row["model"] for row in rows]
    part = [] if models == list(CASES) else models
    if not part:
        bars = [
            Group(row["model"], (row["ratio_channels_last"], row["ratio_nchw"])) for row in rows
        ]
        title = "A training step: PyTorch's time over minidl's"
        write_bars(PICTURE, title, ("PyTorch channels last", "PyTorch NCHW"), bars)
    body = (
        "PyTorch's time divided by minidl's, the median over rounds; above 1 minidl is faster. "
        "`ratio` is against PyTorch's faster memory format. Operations are counted as plain sums "
        "of products; the largest error is of the weights after three steps, PyTorch's own that "
        "between its two formats.\n\n"
        + ("" if part else "![ratios as bars](curves/train_step.svg)\n\n")
        + table(list(COLUMNS), [[row[key] for key in COLUMNS.values()] for row in rows])
        + "".join(
            f"\n\n**{row['model']}** misses its goal of {row['goal']}. {row['where']} "
            f"{TRIED.get(row['model'], '')}".rstrip()
            for row in rows
            if row["where"]
        )
        + f"\n\nNumPy's matrix product reaches {peak / 1e9:.0f} GFLOP/s here. All by `python "
        f"-m benchmarks.train_step{' --models ' if part else ''}{','.join(part)} --write`. "
        f"{provenance('minidl', 'numpy', 'numba', 'torch')}"
    )
    title = "A training step against PyTorch"
    if part:
        write_section(f"train_step {' '.join(part)}", f"{title}: {', '.join(part)}", body)
    else:
        write_section("train_step", title, body)


if __name__ == "__main__":
    main()
