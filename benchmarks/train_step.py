"""A training step of minidl and of PyTorch, side by side.

    python -m benchmarks.train_step [--models lenet5,vgg16 ...] [--json] [--quick] [--write]

Forward, backward and update (SGD with momentum; Adam for dcgan64) on the same weights and the same
batch, two threads each, in alternation (benchmarks/timing.py); PyTorch in both memory formats, and
the ratio is against its faster one. `max_error` is the largest difference of the weights after
three steps, as a part of the largest weight of its tensor (for vgg16-style, of the picture);
`torch_error` is that of PyTorch's two formats among each other, which shows how much of it is the
network's own: a deep one makes a lot of a last digit. dcgan64 is judged without its biases: those
before a batch norm have no gradient but rounding, of which Adam makes whole steps.

`gflops` counts operations as plain sums of products have them (benchmarks/steps.py), `share` is of
what NumPy's matrix product reaches on this machine. Memory is the peak of each process after it has
warmed up.

--write puts the table into RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from benchmarks.results import provenance, table, write_section
from benchmarks.step_cases import CASES, Case
from benchmarks.steps import FORMATS, operations, step_of
from benchmarks.timing import Worker, alternate, serve

STEPS_OF_ERROR = 3
COLUMNS = {
    "network": "model", "ratio": "ratio", "NCHW": "ratio_nchw",
    "channels last": "ratio_channels_last", "ms": "ms", "PyTorch ms": "torch_ms",
    "GFLOP/s": "gflops", "share": "share", "largest error": "max_error",
    "PyTorch's own": "torch_error", "MB": "peak_mb", "PyTorch MB": "torch_peak_mb",
    "pairs": "pairs", "spoiled": "spoiled",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--against", default="torch", choices=["torch"])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--quick", action="store_true", help="5 pairs in place of 20")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        side, name = options.worker
        serve(step_of(side, CASES[name])[0])
        return
    names = [name for word in options.models for name in word.split(",") if name]
    for name in names:
        if name not in CASES:
            parser.error(f"no such model: {name}. There are {', '.join(CASES)}")
    peak = product_peak()
    rows = []
    for name in names:
        rows.append(measure(name, 5 if options.quick else 20, peak))
        print(json.dumps(rows[-1]) if options.json else describe(rows[-1]), flush=True)
    if options.write:
        write(rows, peak)


def measure(name: str, pairs: int, peak: float) -> dict[str, Any]:
    """All figures of one network."""
    case = CASES[name]
    workers = [
        Worker("-m", "benchmarks.train_step", "--worker", side, name)
        for side in ("minidl", *FORMATS)
    ]
    timings = alternate(workers, pairs)
    peaks = [worker.peak_mb() for worker in workers]
    for worker in workers:
        worker.close()
    if not timings.seconds[0]:
        raise SystemExit(f"{name}: other programs spoiled all {timings.spoiled} rounds; try later")
    ratios = {format_: timings.ratio(i, 0) for i, format_ in enumerate(FORMATS, 1)}
    seconds = timings.median(0)
    flops = operations(case) / seconds
    max_error, torch_error = errors(case)
    return {
        "model": name,
        "ratio": round(min(ratios.values()), 3),
        **{f"ratio_{format_}": round(ratio, 3) for format_, ratio in ratios.items()},
        "ms": round(1e3 * seconds, 2),
        "torch_ms": round(1e3 * min(timings.median(1), timings.median(2)), 2),
        "items_per_second": round(case.shape[1 if name == "lstm" else 0] / seconds, 1),
        "gflops": round(flops / 1e9, 1),
        "share": round(flops / peak, 2),
        "pairs": len(timings.seconds[0]),
        "spoiled": timings.spoiled,
        "max_error": float(f"{max_error:.2g}"),
        "torch_error": float(f"{torch_error:.2g}"),
        "peak_mb": peaks[0],
        "torch_peak_mb": min(peaks[1:]),
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


def product_peak(size: int = 2048) -> float:
    """FLOP/s of NumPy's matrix product, the best of five: what this machine can do."""
    a = np.ones((size, size), np.float32)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def describe(figures: dict[str, Any]) -> str:
    return (
        f"{figures['model']}: {figures['ratio']:.2f} x as fast as torch "
        f"({figures['ms']:.1f} against {figures['torch_ms']:.1f} ms; nchw "
        f"{figures['ratio_nchw']:.2f}, channels last {figures['ratio_channels_last']:.2f}), "
        f"{figures['items_per_second']:.1f}/s, {figures['gflops']} GFLOP/s "
        f"({figures['share']:.2f} of a matrix product's), error {figures['max_error']:.1g} "
        f"(torch's own {figures['torch_error']:.1g}), peak {figures['peak_mb']} against "
        f"{figures['torch_peak_mb']} MB, {figures['pairs']} pairs, {figures['spoiled']} spoiled"
    )


def write(rows: list[dict[str, Any]], peak: float) -> None:
    body = (
        "PyTorch's time divided by minidl's, the median over pairs; above 1 minidl is faster. "
        "`ratio` is against PyTorch's faster memory format. Operations are counted as plain sums "
        "of products; the largest error is of the weights after three steps, PyTorch's own that "
        "between its two formats.\n\n"
        + table(list(COLUMNS), [[row[key] for key in COLUMNS.values()] for row in rows])
        + f"\n\nNumPy's matrix product reaches {peak / 1e9:.0f} GFLOP/s here. All by `python "
        f"-m benchmarks.train_step --write`. {provenance('minidl', 'numpy', 'numba', 'torch')}"
    )
    write_section("train_step", "A training step against PyTorch", body)


if __name__ == "__main__":
    main()
