"""A training step of minidl and of PyTorch, side by side.

    python -m benchmarks.train_step [--models lenet5 vgg16 ...] [--json] [--quick] [--write]

Forward, backward and update (SGD with momentum) on the same weights and the same batch, two threads
each, in alternation (benchmarks/timing.py); PyTorch in both memory formats, and the ratio is
against its faster one. `max_error` is the largest difference of the weights after three steps, as a
part of the largest weight of its tensor; for vgg16-style, of the picture.

--write puts the table into RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import minidl
from benchmarks.results import provenance, table, write_section
from benchmarks.step_cases import CASES, Case
from benchmarks.timing import Worker, alternate, serve
from minidl import optim
from minidl.nn import functional

THREADS = 2
LR, MOMENTUM = 1e-3, 0.9
STEPS_OF_ERROR = 3
FORMATS = ("nchw", "channels_last")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--against", default="torch", choices=["torch"])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--quick", action="store_true", help="5 pairs in place of 20")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(step_of(*options.worker)[0])
        return
    peak_flops = product_peak()
    rows = []
    for name in options.models:
        figures = measure(name, 5 if options.quick else 20)
        rows.append(figures)
        print(json.dumps(figures) if options.json else describe(figures), flush=True)
    if options.write:
        write(rows, peak_flops)


def measure(name: str, pairs: int) -> dict[str, Any]:
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
    figures = {
        "model": name,
        "ratio": round(min(ratios.values()), 3),
        **{f"ratio_{format_}": round(ratio, 3) for format_, ratio in ratios.items()},
        "ms": round(1e3 * seconds, 2),
        "torch_ms": round(1e3 * min(timings.median(1), timings.median(2)), 2),
        "items_per_second": round(case.shape[1 if name == "lstm" else 0] / seconds, 1),
        "pairs": len(timings.seconds[0]),
        "spoiled": timings.spoiled,
        "max_error": float(f"{error(case):.2g}"),
        "peak_mb": peaks[0],
        "torch_peak_mb": min(peaks[1:]),
    }
    return figures


def step_of(side: str, name: str) -> tuple[Callable, Callable]:
    """A side of the comparison: "minidl", or PyTorch in a memory format."""
    case = CASES[name]
    arrays = batch(case)
    return our_step(case, *arrays) if side == "minidl" else torch_step(case, *arrays, side)


def batch(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Input and labels, the same every time."""
    rng = np.random.default_rng(0)
    return rng.standard_normal(case.shape, np.float32), rng.integers(0, max(1, case.classes),
                                                                     case.shape[0])  # fmt: skip


def our_net(case: Case) -> Any:
    minidl.manual_seed(0)
    return case.build()


def our_step(case: Case, x: np.ndarray, labels: np.ndarray) -> tuple[Callable, Callable]:
    """A function that makes a step, and one that returns what has been learned."""
    minidl.set_num_threads(min(THREADS, os.cpu_count() or 1))
    net, target = our_net(case), minidl.tensor(labels)
    picture = minidl.tensor(x, requires_grad=case.of_input)
    if case.of_input:
        for parameter in net.parameters():
            parameter.requires_grad = False
    learned = {"": picture} if case.of_input else dict(net.named_parameters())
    optimizer = optim.SGD(learned.values(), lr=LR, momentum=MOMENTUM)

    def step():
        optimizer.zero_grad()
        outputs = net(picture)
        loss_of(case, outputs, target, functional).backward()
        optimizer.step()

    return step, lambda: {name: value.data for name, value in learned.items()}


def torch_step(
    case: Case, x: np.ndarray, labels: np.ndarray, memory_format: str
) -> tuple[Callable, Callable]:
    """The same in PyTorch."""
    import torch

    torch.set_num_threads(THREADS)
    net, target = case.twin(), torch.from_numpy(labels)
    state = {name: torch.from_numpy(value.numpy().copy())
             for name, value in our_net(case).state_dict().items()}  # fmt: skip
    net.load_state_dict(state)
    picture = torch.from_numpy(x.copy())
    if memory_format == "channels_last" and x.ndim == 4:
        net = net.to(memory_format=torch.channels_last)
        picture = picture.contiguous(memory_format=torch.channels_last)
    if case.of_input:
        net.requires_grad_(False)
        picture.requires_grad_()
    learned = {"": picture} if case.of_input else dict(net.named_parameters())
    optimizer = torch.optim.SGD(learned.values(), lr=LR, momentum=MOMENTUM)

    def step():
        optimizer.zero_grad()
        outputs = net(picture)
        loss_of(case, outputs, target, torch.nn.functional).backward()
        optimizer.step()

    return step, lambda: {name: value.detach().numpy() for name, value in learned.items()}


def loss_of(case: Case, outputs: Any, target: Any, functional: Any) -> Any:
    """Cross-entropy, of the auxiliary heads with weight 0.3; or the mean of squares."""
    if not case.classes:
        outputs = outputs[0] if isinstance(outputs, tuple) else outputs
        return (outputs * outputs).mean()
    if not isinstance(outputs, tuple):
        return functional.cross_entropy(outputs, target)
    scores, *auxiliary = (functional.cross_entropy(output, target) for output in outputs)
    return scores + 0.3 * sum(auxiliary[1:], auxiliary[0])


def error(case: Case) -> float:
    """The largest difference after some steps, of the largest number of its tensor."""
    (ours, our_state), (theirs, their_state) = (
        our_step(case, *batch(case)), torch_step(case, *batch(case), FORMATS[0])
    )  # fmt: skip
    for _ in range(STEPS_OF_ERROR):
        ours()
        theirs()
    mine, expected = our_state(), their_state()
    return max(
        np.abs(mine[name] - value).max() / np.abs(value).max() for name, value in expected.items()
    )


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
        f"{figures['items_per_second']:.1f}/s, error {figures['max_error']:.1g}, peak "
        f"{figures['peak_mb']} against {figures['torch_peak_mb']} MB, {figures['pairs']} pairs, "
        f"{figures['spoiled']} spoiled"
    )


def write(rows: list[dict[str, Any]], peak_flops: float) -> None:
    columns = ["network", "ratio", "NCHW", "channels last", "ms", "PyTorch ms", "largest error",
               "MB", "PyTorch MB", "pairs", "spoiled"]  # fmt: skip
    keys = ["model", "ratio", "ratio_nchw", "ratio_channels_last", "ms", "torch_ms", "max_error",
            "peak_mb", "torch_peak_mb", "pairs", "spoiled"]  # fmt: skip
    body = (
        "PyTorch's time divided by minidl's, the median over pairs; above 1 minidl is faster. "
        "`ratio` is against PyTorch's faster memory format.\n\n"
        + table(columns, [[row[key] for key in keys] for row in rows])
        + f"\n\nNumPy's matrix product reaches {peak_flops / 1e9:.0f} GFLOP/s here. All by `python "
        f"-m benchmarks.train_step --write`. {provenance('minidl', 'numpy', 'numba', 'torch')}"
    )
    write_section("train_step", "A training step against PyTorch", body)


if __name__ == "__main__":
    main()
