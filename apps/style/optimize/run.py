"""The state of a run: all that the rest of it depends on, and its file.

A run that goes on from the file ends with the same picture, bit for bit, as one that was never
interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.shared.photo import Photo
from apps.shared.pictures import LARGE
from apps.style.optimize.plan import Plan
from apps.style.optimize.steps import STEPS, AdamSteps, LBFGSSteps
from minidl.errors import CheckpointError
from minidl.io.checkpoint import CheckpointContent, save_checkpoint
from minidl.nn import Module, Parameter
from minidl.tensor import Tensor

NEVER = 2.0  # more than all of a picture


@dataclass
class Snapshot:
    """The picture at some time, for the report.

    Args:
        scale: number of the scale, from 0.
        iteration: how many iterations were over.
        image: uint8 (H, W, 3), shrunk.
    """

    scale: int
    iteration: int
    image: np.ndarray


class Canvas(Module):
    """The picture as a parameter.

    Args:
        pixels: array (1, 3, H, W).
    """

    def __init__(self, pixels: Any):
        super().__init__()
        self.pixels = Parameter(pixels)


class Run:
    """Where a run stands.

    Args:
        plan: what is to be done.

    Attributes:
        scale, iteration: number of the scale, and how many of its iterations are over.
        canvas: the picture, once a scale has begun.
        steps: the optimizer.
        rng: of all random numbers.
        history: for each iteration its number in all scales and the losses.
        snapshots: for the report.
        restarts: what went wrong, in words, and was begun afresh.
        seconds: that the run took so far.
    """

    canvas: Canvas
    steps: AdamSteps | LBFGSSteps

    def __init__(self, plan: Plan):
        self.plan = plan
        self.scale = self.iteration = 0
        self.rng = np.random.default_rng(plan.seed)
        self.history: list[dict[str, Any]] = []
        self.snapshots: list[Snapshot] = []
        self.restarts: list[str] = []
        self.restarts_here = 0  # in this scale
        self.grey = NEVER  # share of the picture that stayed grey in the try before this one
        self.seconds = 0.0
        self.is_going_on = False  # in the middle of a scale, from a file

    @property
    def done(self) -> int:
        """How many iterations of all scales are over."""
        earlier = self.plan.scales[: self.scale]
        return sum(scale.iterations for scale in earlier) + self.iteration

    def next_scale(self) -> None:
        self.scale, self.iteration = self.scale + 1, 0
        self.restarts_here, self.grey = 0, NEVER

    def begin(self, pixels: Any, optimizer: str = "") -> None:
        """Start the optimizer at a picture, an array (1, 3, H, W)."""
        rows = pixels.transpose(0, 2, 3, 1).copy(order="C")
        pixels = rows.transpose(0, 3, 1, 2)  # channels last in memory
        self.canvas = Canvas(pixels)
        make = STEPS[optimizer or self.plan.optimizer]
        scale = self.plan.scales[self.scale]
        self.steps = make(self.canvas.pixels, self.plan, scale, self.rng)

    def begin_adam(self, pixels: Any, slower: float) -> None:
        """Start Adam at a picture, with a factor on its rate."""
        self.begin(pixels, AdamSteps.name)
        if isinstance(self.steps, AdamSteps):
            self.steps.slower = slower

    def snapshot(self) -> None:
        """Keep the picture for the report."""
        small = Photo.from_tensor(Tensor(self.steps.picture()))
        small = small.fitted(LARGE) if max(small.size) > LARGE else small
        self.snapshots.append(Snapshot(self.scale, len(self.history), small.bytes))

    # --- the file -------------------------------------------------------------------------------

    def save(self, path: Path, meta: dict[str, Any]) -> None:
        """Write the state, whole or not at all; meta is what else has to be known to go on."""
        run = {
            "scale": self.scale, "iteration": self.iteration, "restarts": self.restarts,
            "restarts_here": self.restarts_here, "grey": self.grey, "seconds": self.seconds,
            "random": self.rng.bit_generator.state, "history": self.history,
            "snapshots": [
                {"scale": s.scale, "iteration": s.iteration, "image": s.image}
                for s in self.snapshots
            ],
            "optimizer": self.steps.name, "steps": self.steps.state(),
        }  # fmt: skip
        save_checkpoint(path, self.canvas, run=run, meta=meta)

    def load(self, content: CheckpointContent) -> None:
        """Take over the state of a file.

        Raises:
            CheckpointError: it is of another picture or plan.
        """
        saved = content.run
        try:
            self.scale, self.iteration = saved["scale"], saved["iteration"]
            self.begin(content.model["pixels"].data, saved["optimizer"])
            expected = (1, 3, *self.plan.scales[self.scale].size)
            if self.canvas.pixels.shape != expected:
                raise LookupError(f"the picture is {self.canvas.pixels.shape}, not {expected}")
            self.steps.load(saved["steps"])
            self.rng.bit_generator.state = saved["random"]
            self.history, self.restarts = saved["history"], saved["restarts"]
            self.restarts_here, self.seconds = saved["restarts_here"], saved["seconds"]
            self.grey = saved["grey"]
            self.snapshots = [
                Snapshot(s["scale"], s["iteration"], s["image"].data) for s in saved["snapshots"]
            ]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                "resume", f"the file does not hold the state of this run ({error})", {},
                "leave --resume out to start afresh",
            ) from None  # fmt: skip
        self.is_going_on = True
