"""Work that is done step by step, each of which leaves a whole state: run to its end or to Ctrl-C,
with snapshots for the report, and resumed to the same bits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from apps.shared.options import OptionError
from apps.shared.pictures import LARGE, Filmstrip, Frame, Picture
from minidl.errors import CheckpointError
from minidl.io.checkpoint import CheckpointContent, save_checkpoint
from minidl.nn import Module
from minidl.tensor import Tensor

SAVE_EVERY = 10.0  # seconds
SNAPSHOTS = 12


class Steps(Protocol):
    """What is done step by step."""

    @property
    def done(self) -> int:
        """How much of it is done."""

    @property
    def total(self) -> int:
        """How much there is."""

    def step(self) -> bool:
        """Do a little; False if there was nothing left."""

    def snapshot(self) -> np.ndarray:
        """What there is to be seen so far, uint8 (H, W, C)."""

    def state(self) -> dict[str, Any]:
        """Everything that decides how it goes on; arrays and JSON values."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where state() was taken."""


Kind = TypeVar("Kind", bound=Steps)


@dataclass
class StepRun(Generic[Kind]):
    """Steps under way.

    Attributes:
        steps: what is run.
        state_file: where its state is kept while it is unfinished; None: nowhere.
        identity: what a state must belong to: the settings, and a fingerprint of the pictures.
        snapshots: (how much is done, the picture then) at a dozen moments, in this process.
        seconds: of all steps, in this process and before.
        resumed_at: how much was done when the run was resumed, from 0 to 1.
    """

    steps: Kind
    state_file: Path | None
    identity: dict[str, Any]
    snapshots: list[tuple[float, np.ndarray]] = field(default_factory=list)
    seconds: float = 0.0
    resumed_at: float = 0.0
    part: int = 0  # of SNAPSHOTS that are done

    def go(self, show: Callable[[int, int], None], stopping: Callable[[], bool]) -> bool:
        """Step by step to the end.

        Args:
            show: told after each step how much of how much is done.
            stopping: whether to stop before the next step.

        The state is saved at the end, too: it is kept until the picture is written.

        Returns:
            whether it came to its end.
        """
        steps = self.steps
        start = saved = time.perf_counter()
        before, finished = self.seconds, steps.done == steps.total
        while not finished and not stopping():
            finished = not steps.step() or steps.done == steps.total
            self.take_snapshot()
            show(steps.done, steps.total)
            now = time.perf_counter()
            self.seconds = before + now - start
            if now - saved > SAVE_EVERY and not finished:
                self.save()
                saved = time.perf_counter()
        self.save()
        return finished

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return self.steps.done / max(1, self.steps.total)

    # --- for the report -------------------------------------------------------------------------

    def take_snapshot(self) -> None:
        """One for each part of a dozen."""
        part = int(self.share * SNAPSHOTS)
        if part > self.part:
            self.part = part
            self.snapshots.append((self.share, self.steps.snapshot()))

    def filmstrip(self, title: str) -> Filmstrip | None:
        """The snapshots; the title is that of all of them."""
        if self.resumed_at:
            title = f"The last {100 * (1 - self.resumed_at):.0f} %, made since the run was resumed"
        frames = []
        for share, image in self.snapshots:
            done = f"{100 * share:.0f} %"
            frames.append(Frame(done, [Picture(image, f"{done} done", at_most=LARGE)]))
        return Filmstrip(title, frames) if frames else None

    # --- its state ------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the state, whole or not at all."""
        if self.state_file is None:
            return
        state = {
            name: Tensor(value) if isinstance(value, np.ndarray) else value
            for name, value in self.steps.state().items()
        }
        run = {"state": state, "seconds": self.seconds, "identity": self.identity}
        save_checkpoint(self.state_file, Module(), run=run)

    def load(self, saved: CheckpointContent) -> None:
        """Go on from a state.

        Raises:
            OptionError: it belongs to other settings or pictures.
            CheckpointError: it is of something else.
        """
        run = saved.run
        if not isinstance(run, dict) or not {"state", "seconds", "identity"} <= set(run):
            raise CheckpointError(
                "resume", "the file is no state of this command", {"state": str(self.state_file)}
            )
        self.check_identity(run["identity"])
        state = {n: v.data if isinstance(v, Tensor) else v for n, v in run["state"].items()}
        self.steps.load_state(state)
        self.seconds = float(run["seconds"])
        self.resumed_at, self.part = self.share, int(self.share * SNAPSHOTS)

    def check_identity(self, stored: dict[str, Any]) -> None:
        """The run to resume is this one.

        Raises:
            OptionError: it had other settings, or read other pictures.
        """
        hint = "repeat its options, or start anew without --resume"
        names = self.identity.keys() | stored.keys()
        for name in sorted(names, key=lambda name: (name == "fingerprint", name)):
            values = {"stored": stored.get(name, "none"), "given": self.identity.get(name, "none")}
            if values["stored"] == values["given"]:
                continue
            if name == "fingerprint":
                raise OptionError("the run to resume read other pictures", values, hint)
            flag = f"--{name.replace('_', '-')}"
            raise OptionError(f"the run to resume had another value of {flag}", values, hint)
