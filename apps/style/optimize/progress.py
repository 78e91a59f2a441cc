"""How a run is going: scale and iteration, the losses by part, the time left."""

from __future__ import annotations

from collections.abc import Callable

from apps.style.optimize.plan import Plan
from apps.style.optimize.run import Run
from apps.style.progress import Pace, Progress
from minidl.training.callbacks.progress import figure

LATELY = 10  # iterations whose pace tells the time left


class LossProgress(Progress):
    """`with LossProgress(...) as progress:` progress.losses(losses) after each iteration.

    Args:
        plan, run: what is shown.
        note: called with a line of text, where the output is no terminal.
    """

    def __init__(self, plan: Plan, run: Run, note: Callable[[str], None]):
        super().__init__(note)
        self.plan, self.run = plan, run

    def __enter__(self) -> LossProgress:
        super().__enter__()
        self.pace = Pace(LATELY)  # of a pixel
        return self

    def losses(self, losses: dict[str, float]) -> None:
        """An iteration is over."""
        height, width = self.plan.scales[self.run.scale].size
        self.pace.learn(height * width, is_first=self.run.iteration < 2)
        done, total = self.run.done + 1, self.plan.iterations
        scale = f"scale {self.run.scale + 1}/{len(self.plan.scales)} ({width}x{height})"
        parts = "  ".join(f"{name} {figure(name, value)}" for name, value in losses.items())
        text = f"{parts}  {self.pace.left(self.pixels_left())}"
        self.show(done, total, scale, text, f"{scale}  iteration {done}/{total}  {text}")

    def pixels_left(self) -> int:
        """Of all iterations to come."""
        pixels = 0
        for number, scale in enumerate(self.plan.scales):
            height, width = scale.size
            done = self.run.iteration + 1 if number == self.run.scale else 0
            if number >= self.run.scale:
                pixels += (scale.iterations - done) * height * width
        return pixels
