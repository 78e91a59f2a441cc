"""How training is going: the step, the losses by part, the time left."""

from __future__ import annotations

from collections.abc import Callable

from apps.style.fast.settings import TrainSettings
from apps.style.progress import Pace, Progress
from minidl.training.callbacks.progress import figure

LATELY = 30  # steps that the losses shown are a mean of, and whose pace tells the time left


class TrainProgress(Progress):
    """`with TrainProgress(...) as progress:` progress.step(step, losses) after each step.

    Args:
        settings: of the run.
        note: called with a line of text, where the output is no terminal.
    """

    def __init__(self, settings: TrainSettings, note: Callable[[str], None]):
        super().__init__(note)
        self.settings = settings
        self.losses: dict[str, float] = {}

    def __enter__(self) -> TrainProgress:
        super().__enter__()
        self.pace = Pace(LATELY)  # of a pixel of a square
        return self

    def step(self, step: int, losses: dict[str, float]) -> None:
        """Steps up to this number, counted from 1, are over."""
        size, total = self.settings.size_at(step - 1), self.settings.iterations
        self.pace.learn(size**2)
        for name, value in losses.items():
            before = self.losses.get(name, value)
            self.losses[name] = before + (value - before) / LATELY
        parts = "  ".join(f"{name} {figure(name, value)}" for name, value in self.losses.items())
        text = f"{parts}  {self.pace.left(self.pixels_left(step))}"
        squares = f"{size}x{size} px"
        self.show(step, total, squares, text, f"step {step:,}/{total:,} ({squares})  {text}")

    def pixels_left(self, step: int) -> int:
        settings = self.settings
        small = max(0, settings.small_steps - step)
        large = settings.iterations - max(step, settings.small_steps)
        return small * settings.small_size**2 + large * settings.size**2
