"""How a run is going: on a terminal a bar with the losses by part and the time left.

Elsewhere a line every few seconds. While Numba compiles, both say so.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from apps.style.optimize.plan import Plan
from apps.style.optimize.run import Run
from minidl.training.callbacks.progress import COMPILING, clock, figure, is_compiling, make_bar

LINE_EVERY = 10.0  # seconds
LATELY = 10  # iterations whose pace tells the time left


class Progress:
    """`with Progress(...) as progress:` progress.show(losses) after each iteration.

    Args:
        plan, run: what is shown.
        note: called with a line of text, where the output is no terminal.
    """

    def __init__(self, plan: Plan, run: Run, note: Callable[[str], None]):
        self.plan, self.run, self.note = plan, run, note
        self.bar = None
        self.waiter: threading.Timer | None = None

    def __enter__(self) -> Progress:
        self.started = self.last = self.said = time.perf_counter()
        self.per_pixel: float | None = None  # seconds of an iteration, per pixel
        if sys.stderr.isatty():
            from rich.console import Console

            self.bar = make_bar(Console(stderr=True))
            self.bar.start()
            self.task = self.bar.add_task("", total=self.plan.iterations, text="")
        else:
            self.waiter = threading.Timer(2.0, self.say_compiling)
            self.waiter.daemon = True
            self.waiter.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.waiter is not None:
            self.waiter.cancel()
        if self.bar is not None:
            self.bar.stop()

    def say_compiling(self) -> None:
        if is_compiling():
            self.note(COMPILING)

    def show(self, losses: dict[str, float]) -> None:
        """An iteration is over."""
        now = time.perf_counter()
        self.learn_pace(now - self.last)
        self.last = now
        text = f"{self.losses_text(losses)}  {clock(self.seconds_left())} left"
        done = self.run.done + 1
        if self.bar is not None:
            self.bar.update(self.task, completed=done, description=self.scale_text(), text=text)
        elif now - self.said > LINE_EVERY:
            self.said = now
            self.note(f"{self.scale_text()}  iteration {done}/{self.plan.iterations}  {text}")

    def learn_pace(self, seconds: float) -> None:
        height, width = self.plan.scales[self.run.scale].size
        pace = seconds / (height * width)
        if self.per_pixel is None or self.run.iteration < 2:  # the first ones compile
            self.per_pixel = pace
        self.per_pixel += (pace - self.per_pixel) / LATELY

    def seconds_left(self) -> float:
        """From the pace of late, and the pixels of the scales to come."""
        pixels = 0
        for number, scale in enumerate(self.plan.scales):
            height, width = scale.size
            done = self.run.iteration + 1 if number == self.run.scale else 0
            if number >= self.run.scale:
                pixels += (scale.iterations - done) * height * width
        return max(pixels, 0) * (self.per_pixel or 0.0)

    def scale_text(self) -> str:
        height, width = self.plan.scales[self.run.scale].size
        return f"scale {self.run.scale + 1}/{len(self.plan.scales)} ({width}x{height})"

    def losses_text(self, losses: dict[str, float]) -> str:
        return "  ".join(f"{name} {figure(name, value)}" for name, value in losses.items())
