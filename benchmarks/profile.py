"""Where the time of a training step or a forward pass goes, and what it could be at best.

    python -m benchmarks.profile lenet5 [--inference]

Prints the time in each kind of operation, and two floors: the operations of plain sums at the speed
of a matrix product, and the bytes that the operations are given and return at the speed of a copy.
Operations are counted whole, with their arrays' way through memory; "between them" is what records
and walks the graph, looks after layers and makes batches.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.step_cases import CASES
from minidl.function import Function
from minidl.optim import Optimizer

SECONDS = 2.0  # of runs
WARM_UP = 3
SHOWN = 6  # kinds of operations in a sentence


@dataclass
class Profile:
    """Of one run: seconds, those of each kind of operation, and the bytes these move."""

    seconds: float
    parts: dict[str, float]
    moved: int

    def sentence(self, flops: float, peak: float, bandwidth: float) -> str:
        """Times and floors in words; peak in FLOP/s, bandwidth in bytes/s."""
        shares = {name: round(100 * t / self.seconds) for name, t in self.parts.items()}
        largest = sorted(shares.items(), key=lambda item: -item[1])[:SHOWN]
        shares = ", ".join(f"{name} {share} %" for name, share in largest if share > 0)
        between = 1 - sum(self.parts.values()) / self.seconds
        return (
            f"Of {1e3 * self.seconds:.1f} ms: {shares}; between the operations "
            f"{100 * between:.0f} %. Floors: {flops / 1e9:.2f} GFLOP at the speed of a matrix "
            f"product, {1e3 * flops / peak:.1f} ms; {self.moved / 1e6:.0f} MB that operations are "
            f"given and return, {1e3 * self.moved / bandwidth:.1f} ms at that of a copy."
        )


def main() -> None:
    from benchmarks.inference import forward_of
    from benchmarks.steps import operations, step_of
    from benchmarks.train_step import product_peak

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=CASES)
    parser.add_argument("--inference", action="store_true", help="a forward pass in evaluation")
    options = parser.parse_args()
    case = CASES[options.model]
    if options.inference and case.gan:
        parser.error(f"{options.model} is two networks: there is no forward pass of it")
    run = (forward_of if options.inference else step_of)("minidl", case)[0]
    profile = profile_of(run)
    for name, seconds in sorted(profile.parts.items(), key=lambda item: -item[1]):
        print(f"{name:30} {1e3 * seconds:9.2f} ms  {100 * seconds / profile.seconds:5.1f} %")
    flops = operations(case, forward_only=options.inference)
    print(profile.sentence(flops, product_peak(), copy_bandwidth()))


def profile_of(run: Callable[[], Any]) -> Profile:
    """Run it for a while, with a clock around every operation."""
    for _ in range(WARM_UP):
        run()
    parts, moved, runs = defaultdict(float), [0], 0
    with clocks(parts, moved):
        start = time.perf_counter()
        while runs == 0 or time.perf_counter() - start < SECONDS:
            run()
            runs += 1
        seconds = (time.perf_counter() - start) / runs
    return Profile(seconds, {name: t / runs for name, t in parts.items()}, moved[0] // runs)


@contextmanager
def clocks(parts: dict[str, float], moved: list[int]) -> Iterator[None]:
    """Inside, operations and optimizers add their seconds to parts, and bytes to moved[0]."""
    methods = [(kind, name) for kind in kinds_of(Function) for name in ("forward", "backward")]
    methods += [(kind, "step") for kind in kinds_of(Optimizer)]
    replaced = [(kind, name, kind.__dict__[name]) for kind, name in methods if name in vars(kind)]
    depth = [0]  # a step of one class may call that of another

    def with_clock(label: str, function: Callable) -> Callable:
        def method(self, *arguments, **keywords):
            depth[0] += 1
            start = time.perf_counter()
            try:
                result = function(self, *arguments, **keywords)
            finally:
                depth[0] -= 1
            if depth[0] == 0:
                parts[label] += time.perf_counter() - start
                moved[0] += bytes_of(arguments) + bytes_of(result)
            return result

        return method

    try:
        for kind, name, function in replaced:
            label = "optimizer" if name == "step" else f"{kind.__name__} {name}"
            setattr(kind, name, with_clock(label, function))
        yield
    finally:
        for kind, name, function in replaced:
            setattr(kind, name, function)


def kinds_of(base: type) -> set[type]:
    """A class and all that are made from it."""
    return {base}.union(*map(kinds_of, base.__subclasses__()))


def bytes_of(arrays: Any) -> int:
    if isinstance(arrays, tuple | list):
        return sum(map(bytes_of, arrays))
    return getattr(arrays, "nbytes", 0)


def copy_bandwidth(size: int = 2**25) -> float:
    """Bytes per second that a copy of a large array reads and writes, the best of five."""
    x, y = np.ones(size, np.float32), np.ones(size, np.float32)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(y, x)
        best = min(best, time.perf_counter() - start)
    return 2 * x.nbytes / best


if __name__ == "__main__":
    main()
