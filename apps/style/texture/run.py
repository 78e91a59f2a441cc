"""A synthesis from its first step to its last: how long it will take, how far it is, and what is
left of it after Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from apps.shared.options import OptionError
from apps.style.texture.efros_leung import EfrosLeung
from apps.style.texture.quilting import Quilting
from minidl.errors import CheckpointError
from minidl.io.checkpoint import load_checkpoint, save_checkpoint
from minidl.nn import Module
from minidl.tensor import Tensor

Synthesis = EfrosLeung | Quilting
SAVE_EVERY = 10.0  # seconds
SNAPSHOTS = 12
TRIAL = 0.2  # seconds of steps from which the time is estimated
LEAST = 8  # of them, however long they take


# --- before -------------------------------------------------------------------------------------


def expected_seconds(trial: Synthesis, left: float) -> float:
    """Time a few steps in the middle of a synthesis.

    What lies around them is the sample, mirrored: the search does not find it as it is, which would
    be fast.

    Args:
        trial: a synthesis before its first step, which is used up.
        left: how many searches are to come.
    """
    material, (H, W) = trial.canvas.material, trial.canvas.size
    height, width = material.copied.shape
    rows, columns = np.arange(H) % height, width - 1 - np.arange(W) % width
    source = rows[:, None] * width + columns
    usable = np.flatnonzero(material.copied)
    elsewhere = np.random.default_rng(0).choice(usable, (H, W))
    trial.skip_to_middle(np.where(material.copied.flat[source], source, elsewhere))
    steps, start = [], time.perf_counter()
    while time.perf_counter() - start < TRIAL or len(steps) < LEAST:
        begin, before = time.perf_counter(), trial.searched
        if not trial.step():
            break
        steps.append((time.perf_counter() - begin, trial.searched - before))
    if len(steps) > LEAST // 2:
        steps = sorted(steps)[:-2]  # two may have compiled: for one thread, and for several
    return sum(seconds for seconds, _ in steps) / max(1, sum(n for _, n in steps)) * left


def spoken(value: Any) -> Any:
    return "none" if value is None else value


# --- during -------------------------------------------------------------------------------------


@dataclass
class Run:
    """A synthesis under way.

    Attributes:
        synthesis: what is run.
        state_file: where its state is kept while it is unfinished; None: nowhere.
        identity: what a state must belong to: the settings, and a fingerprint of the samples.
        snapshots: (how much is done, the picture then) at a dozen moments, in this process.
        seconds: of all steps, in this process and before.
        resumed_at: how much was done when the run was resumed, from 0 to 1.
    """

    synthesis: Synthesis
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

        The state is saved at the end, too: it is kept until the picture is written (forget).

        Returns:
            whether it came to its end.
        """
        synthesis = self.synthesis
        start = saved = time.perf_counter()
        before, finished = self.seconds, synthesis.done == synthesis.total
        while not finished and not stopping():
            finished = not synthesis.step() or synthesis.done == synthesis.total
            self.take_snapshot()
            show(synthesis.done, synthesis.total)
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
        return self.synthesis.done / max(1, self.synthesis.total)

    def take_snapshot(self) -> None:
        """One for each part of a dozen."""
        part = int(self.share * SNAPSHOTS)
        if part > self.part:
            self.part = part
            image = np.round(self.synthesis.canvas.image * 255).astype(np.uint8)
            self.snapshots.append((self.share, image))

    # --- its state ------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the state, whole or not at all."""
        if self.state_file is None:
            return
        state = {
            name: Tensor(value) if isinstance(value, np.ndarray) else value
            for name, value in self.synthesis.state().items()
        }
        run = {"state": state, "seconds": self.seconds, "identity": self.identity}
        save_checkpoint(self.state_file, Module(), run=run)

    def load(self) -> None:
        """Go on from the state.

        Raises:
            OptionError: there is none, or it belongs to other settings or samples.
            CheckpointError: it is damaged.
        """
        if self.state_file is None or not self.state_file.exists():
            raise OptionError(
                "there is nothing to resume", {"state": str(self.state_file)},
                "leave --resume out",
            )  # fmt: skip
        run = load_checkpoint(self.state_file).run
        if not isinstance(run, dict) or not {"state", "seconds", "identity"} <= set(run):
            raise CheckpointError(
                "style texture", "the file is no state of this command",
                {"state": str(self.state_file)},
            )  # fmt: skip
        self.check_identity(run["identity"])
        state = {n: v.data if isinstance(v, Tensor) else v for n, v in run["state"].items()}
        self.synthesis.load_state(state)
        self.seconds = float(run["seconds"])
        self.resumed_at, self.part = self.share, int(self.share * SNAPSHOTS)

    def check_identity(self, stored: dict[str, Any]) -> None:
        """The run to resume is this one.

        Raises:
            OptionError: it had other settings, or read other pictures.
        """
        hint = "repeat its options, or start anew without --resume"
        for name in sorted(self.identity.keys() | stored.keys()):
            here, there = self.identity.get(name), stored.get(name)
            if name != "fingerprint" and here != there:
                flag = f"--{name.replace('_', '-')}"
                values = {"stored": spoken(there), "given": spoken(here)}
                raise OptionError(f"the run to resume had another value of {flag}", values, hint)
        if stored.get("fingerprint") != self.identity["fingerprint"]:
            raise OptionError(
                "the run to resume had other samples, masks or guides",
                {"stored": stored.get("fingerprint"), "given": self.identity["fingerprint"]}, hint,
            )  # fmt: skip

    def forget(self) -> None:
        """The state goes when what was made is written."""
        if self.state_file is not None:
            self.state_file.unlink(missing_ok=True)
