"""The steps a debugger takes from a call to its arithmetic: `python -m benchmarks.step_budget`.

minidl is meant to be stepped through, so the way from `x + y` to NumPy's addition must stay
short. The counts below are what `step` in pdb would visit inside minidl, under the reference
kernels; tests/house/test_step_budget.py holds them to their budgets.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import minidl
from minidl.nn import functional

LIBRARY = str(Path(minidl.__file__).parent)
KERNELS = str(Path(minidl.kernels.__file__).parent / "reference")


@dataclass
class Steps:
    """Function calls entered, lines visited, and how deep the calls nest; inside minidl only.

    A kernel's own helpers add to calls and lines but not to the depth, which says how far away
    the arithmetic is.
    """

    calls: int = 0
    lines: int = 0
    depth: int = 0

    def within(self, budget: Steps) -> bool:
        return (
            self.calls <= budget.calls and self.lines <= budget.lines and self.depth <= budget.depth
        )


def count_steps(function: Callable) -> Steps:
    """Count the steps of function(), after a first call that imports what is imported lazily."""
    function()
    steps = Steps()
    depth = 0

    def trace(frame, event, argument):
        nonlocal depth
        if not frame.f_code.co_filename.startswith(LIBRARY):
            return None
        if event == "call":
            depth += 1
            steps.calls += 1
            if not frame.f_back.f_code.co_filename.startswith(KERNELS):
                steps.depth = max(steps.depth, depth)
        elif event == "line":
            steps.lines += 1
        elif event == "return":
            depth -= 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return steps


ELEMENTWISE = Steps(calls=12, lines=40, depth=6)
CONVOLUTION = Steps(calls=25, lines=100, depth=6)


def subjects() -> dict[str, tuple[Callable, Steps]]:
    """What is counted: name -> (function, budget)."""
    x, y = minidl.randn(2, 3, 6, 6, requires_grad=True), minidl.randn(2, 3, 6, 6)
    layer = minidl.nn.Conv2d(3, 4, kernel_size=3, stride=2, padding=1)
    return {
        "x + y": (lambda: x + y, ELEMENTWISE),
        "x * 2": (lambda: x * 2, ELEMENTWISE),
        "x / y": (lambda: x / y, ELEMENTWISE),
        "x ** 2": (lambda: x**2, ELEMENTWISE),
        "x.exp()": (lambda: x.exp(), ELEMENTWISE),
        "x.relu()": (lambda: x.relu(), ELEMENTWISE),
        "conv2d(x, w, b, 2, 1)": (
            lambda: functional.conv2d(x, layer.weight, layer.bias, 2, 1), CONVOLUTION,
        ),
        "nn.Conv2d(3, 4, 3, 2, 1)(x)": (lambda: layer(x), CONVOLUTION),
    }  # fmt: skip


def main() -> None:
    print(f"{'expression':<30}{'calls':>12}{'lines':>12}{'depth':>12}")
    with minidl.use_cpu_kernels("reference"):
        for name, (function, budget) in subjects().items():
            steps = count_steps(function)
            cells = [
                f"{getattr(steps, what)} of {getattr(budget, what)}"
                for what in ("calls", "lines", "depth")
            ]
            print(f"{name:<30}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
