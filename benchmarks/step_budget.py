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
from typing import Any

import minidl
from minidl import nn
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


@dataclass
class Subject:
    """What is counted: run(*prepare()), without prepare."""

    run: Callable
    prepare: Callable[[], tuple[Any, ...]] = tuple


def count_steps(run: Callable, prepare: Callable[[], tuple[Any, ...]] = tuple) -> Steps:
    """Count the steps of run(*prepare()), after a first call that imports what is not yet there."""
    run(*prepare())
    arguments = prepare()
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
        run(*arguments)
    finally:
        sys.settrace(before)
    return steps


ELEMENTWISE = Steps(calls=12, lines=40, depth=6)
CONVOLUTION = Steps(calls=25, lines=100, depth=6)
BUDGETS = {
    "x + y": ELEMENTWISE,
    "x * 2": ELEMENTWISE,
    "x / y": ELEMENTWISE,
    "x ** 2": ELEMENTWISE,
    "x.exp()": ELEMENTWISE,
    "x.relu()": ELEMENTWISE,
    "linear": Steps(11, 55, 4),
    "linear, backward": Steps(30, 233, 5),
    "conv2d": CONVOLUTION,
    "conv2d, backward": Steps(34, 295, 5),
    "batch_norm": Steps(29, 134, 4),
    "batch_norm, backward": Steps(38, 249, 5),
    "cross_entropy": Steps(30, 125, 6),
    "cross_entropy, backward": Steps(24, 132, 6),
    "lstm": Steps(38, 181, 4),
    "lstm, backward": Steps(35, 351, 5),
    "nn.Linear(6, 4)(x)": Steps(15, 69, 6),
    "nn.Conv2d(3, 4, 3, 2, 1)(x)": CONVOLUTION,
    "nn.BatchNorm2d(3)(x)": Steps(42, 195, 6),
    "nn.LSTM(3, 4)(x)": Steps(72, 324, 6),
    "SGD.step()": Steps(5, 28, 3),
    "Adam.step()": Steps(7, 44, 4),
    "RMSprop.step()": Steps(6, 39, 3),
    "Adagrad.step()": Steps(5, 23, 3),
}


def subjects() -> dict[str, Subject]:
    """What is counted, under the names of BUDGETS: a batch of 2, and 5 steps of the LSTM."""
    x, y = minidl.randn(2, 3, 6, 6, requires_grad=True), minidl.randn(2, 3, 6, 6)
    return {
        "x + y": Subject(lambda: x + y),
        "x * 2": Subject(lambda: x * 2),
        "x / y": Subject(lambda: x / y),
        "x ** 2": Subject(lambda: x**2),
        "x.exp()": Subject(lambda: x.exp()),
        "x.relu()": Subject(lambda: x.relu()),
        **functions(x),
        **modules(x),
        **optimizers(),
    }


def functions(x: minidl.Tensor) -> dict[str, Subject]:
    """Forward, and backward from a result."""
    w, b = minidl.randn(4, 3, 3, 3, requires_grad=True), minidl.zeros(4, requires_grad=True)
    matrix = minidl.randn(4, 6, requires_grad=True)
    scale, shift = minidl.ones(3, requires_grad=True), minidl.zeros(3, requires_grad=True)
    means, variances = minidl.zeros(3), minidl.ones(3)
    scores, classes = minidl.randn(5, 4, requires_grad=True), minidl.tensor([0, 3, 1, 1, 2])
    steps, state = minidl.randn(5, 2, 3, requires_grad=True), minidl.zeros(2, 4)
    w_ih, w_hh = minidl.randn(16, 3, requires_grad=True), minidl.randn(16, 4, requires_grad=True)
    calls = {
        "linear": lambda: functional.linear(x, matrix, b),
        "conv2d": lambda: functional.conv2d(x, w, b, 2, 1),
        "batch_norm": lambda: functional.batch_norm(x, means, variances, scale, shift, True),
        "cross_entropy": lambda: functional.cross_entropy(scores, classes),
        "lstm": lambda: minidl.ops.lstm(steps, state, state, w_ih, w_hh)[0],
    }
    found = {}
    for name, call in calls.items():
        found[name] = Subject(call)
        found[f"{name}, backward"] = Subject(
            lambda y, gy: y.backward(gy), lambda call=call: with_gradient(call())
        )
    return found


def with_gradient(y: minidl.Tensor) -> tuple[minidl.Tensor, minidl.Tensor]:
    return y, minidl.ones(*y.shape)


def modules(x: minidl.Tensor) -> dict[str, Subject]:
    """Forward."""
    linear, lstm, steps = nn.Linear(6, 4), nn.LSTM(3, 4), minidl.randn(5, 2, 3)
    conv2d, batch_norm = nn.Conv2d(3, 4, kernel_size=3, stride=2, padding=1), nn.BatchNorm2d(3)
    return {
        "nn.Linear(6, 4)(x)": Subject(lambda: linear(x)),
        "nn.Conv2d(3, 4, 3, 2, 1)(x)": Subject(lambda: conv2d(x)),
        "nn.BatchNorm2d(3)(x)": Subject(lambda: batch_norm(x)),
        "nn.LSTM(3, 4)(x)": Subject(lambda: lstm(steps)),
    }


def optimizers() -> dict[str, Subject]:
    """The second step, on one parameter."""
    rules = {
        "SGD": {"momentum": 0.9}, "Adam": {}, "RMSprop": {"momentum": 0.9}, "Adagrad": {},
    }  # fmt: skip
    found = {}
    for name, options in rules.items():
        w = minidl.ones(3, 4, requires_grad=True)
        w.grad = minidl.ones(3, 4)
        found[f"{name}.step()"] = Subject(getattr(minidl.optim, name)([w], **options).step)
    return found


def main() -> None:
    print(f"{'expression':<30}{'calls':>12}{'lines':>12}{'depth':>12}")
    with minidl.use_cpu_kernels("reference"):
        for name, subject in subjects().items():
            steps = count_steps(subject.run, subject.prepare)
            cells = [
                f"{getattr(steps, what)} of {getattr(BUDGETS[name], what)}"
                for what in ("calls", "lines", "depth")
            ]
            print(f"{name:<30}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
