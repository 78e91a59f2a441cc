"""The time of a run, divided among its operations.

An operation is counted whole, with its arrays' way through memory. What remains "between the
operations" records and walks the graph, looks after layers and makes batches.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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
