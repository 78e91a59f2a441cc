"""The loop: scale by scale, iteration by iteration.

    for each scale: the picture so far, enlarged
        for each iteration: losses, gradient, a step
        grey spots? once more from there

Each scale begins with what the one before it made. Coarse strokes are laid out at the small scales,
where a layer sees more of the picture and an iteration takes a quarter of the time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from apps.shared.photo import Photo
from apps.style.interrupt import Interrupt
from apps.style.optimize.objective import Objective
from apps.style.optimize.plan import Plan, Scale
from apps.style.optimize.progress import LossProgress
from apps.style.optimize.run import Run, Snapshot
from apps.style.optimize.steps import AdamSteps
from apps.style.optimize.watch import grey_spots, has_grey_spots, with_noise
from minidl.device import to_device
from minidl.errors import NonFiniteError
from minidl.nn import Parameter
from minidl.tensor import Tensor

RESTARTS = 3  # of one scale; after that it ends where it is
STILL = 0.8  # of the grey parts; if more are grey after another try, the losses want them so
SAVE_EVERY = 20.0  # seconds
SAVE_SHARE = 0.05  # of the time, at most, goes into saving

Size = tuple[int, int]


class Interrupted(Exception):
    """Ctrl-C was pressed, seen where the state of the run is whole."""


@dataclass
class Task:
    """What the loop works on.

    Args:
        objective_at: makes what is minimised for a picture of some height and width.
        start_at: makes the first picture, an array (1, 3, H, W) of 0..255; gets the size and the
            run's random numbers.
        reference_at: the content picture as such an array, in which grey is meant; None where
            there is none.
        state: file for the state of an unfinished run; None for none.
        meta: what that file holds beside the state.
        pixels: of objectives whose memory or time does not grow as the pixels do: size -> how many
            pixels' features are in memory at once, and how many an evaluation computes, in pixels
            of the first size that was evaluated. For the estimate.
        grey_is_meant: everywhere, as where the style is grey.
        restored: puts back what is not to change in a picture of some size, with which a scale or
            another try begins; by default all of it may change.
    """

    objective_at: Callable[[Size], Objective]
    start_at: Callable[[Size, np.random.Generator], Any]
    reference_at: Callable[[Size], Any] | None = None
    state: Path | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    pixels: Callable[[Size], tuple[int, float]] | None = None
    grey_is_meant: bool = False
    restored: Callable[[Any, Size], Any] = lambda picture, size: picture


@dataclass
class Outcome:
    """What came of a run.

    Args:
        picture: of the size of the plan's last scale, also where the run ended earlier.
        losses: of the picture, by part as in the history. (Those of the last iteration are of its
            iterate, shifted, or of a trial of a line search.)
        history: for each iteration: "iteration", the losses by part as "<part>_loss".
        snapshots: for the report.
        restarts: what was begun afresh, in words.
        seconds: of the whole run.
        iterations: how many were made.
        interrupted: whether Ctrl-C ended it.
    """

    picture: Photo
    losses: dict[str, float]
    history: list[dict[str, Any]]
    snapshots: list[Snapshot]
    restarts: list[str]
    seconds: float
    iterations: int
    interrupted: bool

    def figures(self) -> dict[str, Any]:
        """What --json tells of a run."""
        return {
            "losses": self.losses, "iterations": self.iterations, "seconds": self.seconds,
            "restarts": self.restarts, "interrupted": self.interrupted,
        }  # fmt: skip


def optimize(
    plan: Plan,
    task: Task,
    note: Callable[[str], None],
    run: Run | None = None,
    interrupt: Interrupt | None = None,
) -> Outcome:
    """Optimise a picture.

    Args:
        plan: scales, iterations, optimizer.
        task: what to minimise, and where to begin.
        note: called with a line of text for people.
        run: one to go on with; by default a new one.
        interrupt: one that is in use already, where several pictures are made in a row.

    Returns:
        the picture, and how it came about; also after Ctrl-C, once an iteration was made.

    Raises:
        NonFiniteError: the losses are not finite, also at smaller rates.
        KeyboardInterrupt: Ctrl-C before the first iteration, or a second time.
    """
    run = run or Run(plan)
    loop = Loop(plan, task, note, run)
    asked = Interrupt(note) if interrupt is None else nullcontext(interrupt)
    with asked as loop.interrupt, LossProgress(plan, run, note) as loop.progress:
        try:
            loop.run_scales()
            interrupted = False
        except Interrupted:
            interrupted = True
    if interrupted and not run.history:
        raise KeyboardInterrupt("interrupted before the first iteration; nothing was written")
    found = loop.objective.evaluate(Parameter(run.steps.picture()))
    losses = {f"{name}_loss": value for name, value in found.items()}
    picture = Photo.from_tensor(Tensor(run.steps.picture())).resized(*plan.size)
    return Outcome(
        picture, losses, run.history, run.snapshots, run.restarts, run.seconds, len(run.history),
        interrupted,
    )  # fmt: skip


class Loop:
    """optimize() with what it needs at hand; see there."""

    interrupt: Interrupt
    progress: LossProgress
    objective: Objective

    def __init__(self, plan: Plan, task: Task, note: Callable[[str], None], run: Run):
        self.plan, self.task, self.note, self.run = plan, task, note, run
        self.clock = self.saved_at = time.perf_counter()
        self.saving = 0.0  # seconds that the last save took

    def run_scales(self) -> None:
        while True:
            scale = self.plan.scales[self.run.scale]
            if not self.run.is_going_on:
                self.run.begin(self.first_picture(scale))
                if self.run.scale == 0:
                    self.run.snapshot()
            self.run.is_going_on = False
            self.objective = self.task.objective_at(scale.size)
            self.run_scale(scale, self.objective)
            if self.run.scale + 1 == len(self.plan.scales):
                return
            self.run.next_scale()

    def first_picture(self, scale: Scale) -> Any:
        """Where a scale begins: the start, or what the scale before it made, enlarged."""
        if self.run.scale == 0:
            return self.task.start_at(scale.size, self.run.rng)
        made = Photo.from_tensor(Tensor(self.run.steps.picture()))
        return self.task.restored(made.resized(*scale.size).tensor().data, scale.size)

    def run_scale(self, scale: Scale, objective: Objective) -> None:
        """The iterations of a scale that are left, and another try where it went wrong."""
        run = self.run
        while True:
            while run.iteration < scale.iterations and not run.steps.is_finished:
                if run.steps.is_stuck:
                    break
                self.iterate(objective)
            spots = self.find_spots(scale)
            share = float(spots.mean()) if has_grey_spots(spots) else 0.0
            if not share or run.restarts_here >= RESTARTS or share > STILL * run.grey:
                break
            self.restart_from_noise(scale, spots, share)
        if run.steps.is_stuck and run.iteration < scale.iterations:
            self.note(f"L-BFGS got no further; scale {run.scale + 1} ends with its iteration "
                      f"{run.iteration} of {scale.iterations}")  # fmt: skip
        if not run.snapshots or run.snapshots[-1].iteration != len(run.history):
            run.snapshot()

    def iterate(self, objective: Objective) -> None:
        """One step of the optimizer, and what follows."""
        run = self.run
        run.steps.advance(objective, run.iteration, self.report)
        run.iteration += 1
        now = time.perf_counter()
        run.seconds += now - self.clock
        self.clock = now
        self.look_after(run.history[-1])
        if len(run.history) % self.plan.snapshots == 0:
            run.snapshot()
        if self.interrupt.asked and not self.is_over():
            self.save()
            raise Interrupted
        if now - self.saved_at > max(SAVE_EVERY, self.saving / SAVE_SHARE):
            self.save()

    def is_over(self) -> bool:
        """Whether that was the last iteration of all."""
        run, scale = self.run, self.plan.scales[self.run.scale]
        ends = run.iteration >= scale.iterations or run.steps.is_finished or run.steps.is_stuck
        return ends and scale is self.plan.scales[-1]

    def report(self, losses: dict[str, float]) -> None:
        """Keep and show the losses of an iteration."""
        number = len(self.run.history) + 1
        named = {f"{name}_loss": value for name, value in losses.items()}
        self.run.history.append({"iteration": number} | named)
        self.progress.losses(losses)

    # --- when it goes wrong ---------------------------------------------------------------------

    def look_after(self, entry: dict[str, Any]) -> None:
        """Start afresh where the losses are not finite, or the optimizer is stuck.

        Args:
            entry: the last of the history.
        """
        run = self.run
        if not all(map(math.isfinite, entry.values())):
            self.start_slower()
        elif run.steps.is_stuck and run.restarts_here < RESTARTS:
            steps = run.steps
            self.restart("L-BFGS got no further; it starts again without its memory")
            run.begin(steps.picture())
            for name in ("best", "lowest", "first"):  # they stay the measure
                setattr(run.steps, name, getattr(steps, name))

    def start_slower(self) -> None:
        """From the last picture with finite losses, by Adam with half the rate."""
        run = self.run
        if run.restarts_here >= RESTARTS:
            raise NonFiniteError(
                "style", "the losses are not finite", {}, "smaller weights, or a smaller --lr"
            )
        steps, who, slower = run.steps, "Adam", 0.5
        picture = steps.picture()
        if isinstance(steps, AdamSteps):
            picture, who, slower = steps.finite, "it", steps.slower / 2
        self.restart(f"the losses are not finite; {who} goes on with half the rate")
        run.begin_adam(picture, slower)

    def restart_from_noise(self, scale: Scale, spots: np.ndarray, share: float) -> None:
        """The iterations of a scale once more, by Adam, with noise where the picture is grey."""
        run = self.run
        slower = getattr(run.steps, "slower", 1.0)
        self.restart(
            f"{100 * share:.0f} % of the picture stayed grey; those parts start again from noise"
            + ("" if isinstance(run.steps, AdamSteps) else ", by Adam")
        )
        picture = with_noise(to_device(run.steps.picture(), "cpu"), spots, run.rng)
        run.begin_adam(self.task.restored(picture, scale.size), slower)
        run.iteration, run.grey = 0, share

    def restart(self, why: str) -> None:
        self.run.restarts_here += 1
        self.run.restarts.append(
            f"scale {self.run.scale + 1}, iteration {len(self.run.history)}: {why}"
        )
        self.note(self.run.restarts[-1])

    def find_spots(self, scale: Scale) -> np.ndarray:
        """Blocks of the picture that are grey and should not be."""
        reference = self.task.reference_at
        if self.task.grey_is_meant:
            return np.zeros((0, 0), bool)
        picture = to_device(self.run.steps.picture(), "cpu")
        return grey_spots(picture, None if reference is None else reference(scale.size))

    # --- state ----------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the state of the run, if it has a file."""
        if self.task.state is not None:
            start = time.perf_counter()
            self.run.save(self.task.state, self.task.meta)
            self.saved_at = time.perf_counter()
            self.saving = self.saved_at - start
