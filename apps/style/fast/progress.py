"""How training is going: on a terminal a bar with the losses by part and the time left.

Elsewhere a line every half minute. While Numba compiles, both say so.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from apps.style.fast.settings import TrainSettings
from minidl.training.callbacks.progress import clock, figure, make_bar

LINE_EVERY = 30.0  # seconds
LATELY = 30  # steps that the losses shown are a mean of, and whose pace tells the time left


class Progress:
    """`with Progress(...) as progress:` progress.show(step, losses) after each step.

    Args:
        settings: of the run.
        note: called with a line of text, where the output is no terminal.
    """

    def __init__(self, settings: TrainSettings, note: Callable[[str], None]):
        self.settings, self.note = settings, note
        self.bar: Any = None
        self.per_pixel: float | None = None  # seconds of a step, per pixel of a square
        self.losses: dict[str, float] = {}

    def __enter__(self) -> Progress:
        self.said = self.last = time.perf_counter()
        if sys.stderr.isatty():
            from rich.console import Console

            self.bar = make_bar(Console(stderr=True))
            self.bar.start()
            self.task = self.bar.add_task("", total=self.settings.iterations, text="")
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def show(self, step: int, losses: dict[str, float]) -> None:
        """Steps up to this number, counted from 1, are over."""
        now = time.perf_counter()
        self.learn(step, now - self.last, losses)
        self.last = now
        size = self.settings.size_at(step - 1)
        parts = "  ".join(f"{name} {figure(name, value)}" for name, value in self.losses.items())
        text = f"{parts}  {clock(self.seconds_left(step))} left"
        squares = f"{size}x{size} px"
        if self.bar is not None:
            self.bar.update(self.task, completed=step, description=squares, text=text)
        elif now - self.said > LINE_EVERY:
            self.said = now
            self.note(f"step {step:,}/{self.settings.iterations:,} ({squares})  {text}")

    def learn(self, step: int, seconds: float, losses: dict[str, float]) -> None:
        """Means of pace and losses in which the last steps count."""
        pace = seconds / self.settings.size_at(step - 1) ** 2
        share = 1 / LATELY
        self.per_pixel = pace if self.per_pixel is None else self.per_pixel
        self.per_pixel += share * (pace - self.per_pixel)
        for name, value in losses.items():
            before = self.losses.get(name, value)
            self.losses[name] = before + share * (value - before)

    def seconds_left(self, step: int) -> float:
        settings = self.settings
        small = max(0, settings.small_steps - step)
        large = settings.iterations - max(step, settings.small_steps)
        pixels = small * settings.small_size**2 + large * settings.size**2
        return pixels * (self.per_pixel or 0.0)
