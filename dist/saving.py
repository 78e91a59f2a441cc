"""Checkpoints as the coordinator sees to them: their parts come, or cannot be had.

Which one is asked for, and how it gets into the manifest, is in manifest.py.
"""

from __future__ import annotations

from minidl_dist.decisions import DRAIN, FINISHED, Decisions
from minidl_dist.messages import (
    CLAIM,
    FENCED,
    GENERATIONS,
    Exit,
    Load,
    Saved,
    Stored,
)

STATE_LATE = 5.0  # seconds to wait for the run's state of a step that is over


class Saving(Decisions):
    """A part of the coordinator."""

    def saved(self, sender: str, saved: Saved) -> None:
        """A shard is on a disk, or not. One that will be in no checkpoint is deleted."""
        if saved.file != f"shard-{saved.generation}-{saved.step}-{sender}":
            return
        if saved.generation // GENERATIONS > self.manifest.token:  # of a newer coordinator
            return
        is_new = saved.generation == self.generation and saved.step > self.manifest.step
        asked, given_up = self.checkpoints.asked, self.checkpoints.given_up
        may_be_last = is_new and saved.step == given_up >= self.steps.step
        if not may_be_last and (not is_new or saved.step not in (asked, self.until)):
            if not saved.error:
                self.effects += self.checkpoints.remove({saved.file})
            return
        if not saved.error:
            self.checkpoints.collection.add(saved)
        elif saved.step == asked != self.until:
            self.give_up(f"{sender}: {saved.error}")
            return
        self.keep(saved.step, saved.error)

    def keep(self, step: int, error: str = "") -> None:
        """A part of a checkpoint is there, or cannot be written.

        Training goes on with the checkpoints that there are; only at the end there is a limit.
        """
        self.effects += self.checkpoints.complete(step, self.states, self.now)
        if error and step == self.until and (self.ended or self.draining):
            if self.checkpoints.failing_for(self.now) > DRAIN:
                why = f"the last checkpoint could not be saved: {error}"
                self.note(why, alarm=True, step=step)
                # Where the training is over, its results may go elsewhere.
                self.end(*((why, 1) if self.draining else (FINISHED, 0)))

    def stored(self, event: Stored) -> None:
        """A file of ours is on the disk, or not."""
        if event.error and (event.tag == CLAIM or event.error == FENCED):
            self.effects.append(Exit(1, f"the manifest cannot be written: {event.error}"))
            return
        before, is_older = self.manifest.step, self.checkpoints.is_older
        step, effects = self.checkpoints.stored(event, self.now)
        self.effects += effects
        if event.error:
            self.note("cannot save", alarm=True, file=event.name, error=event.error)
            self.keep(self.until if step is None else step, event.error)
        elif event.tag == CLAIM:
            self.effects.append(Load("manifest", "claimed"))
        elif event.tag == "finish":
            self.end(FINISHED, 0)
        elif self.manifest.step > before:
            self.note("checkpoint", step=self.manifest.step)
            if is_older:
                self.roll_back("there is a newer checkpoint, begun before the rollback")
            self.decide()
            self.effects += self.checkpoints.complete_all(self.states, self.now)

    def keep_states(self) -> None:
        """Of the current step on, and of the one that is to be saved."""
        step, asked = self.steps.step, self.checkpoints.asked
        self.states = {s: blob for s, blob in self.states.items() if s >= step or s == asked}

    # --- what goes wrong ------------------------------------------------------------------------

    def look_at_saving(self) -> None:
        """Give up the step to save if nobody has the run's state any more; say if it takes long."""
        step = self.checkpoints.asked
        if self.steps is None or not 0 <= step < self.steps.step or step == self.until:
            return
        if step in self.states:
            self.late_since = None
        elif self.late_since is None:
            self.late_since = self.now
        elif self.now - self.late_since > STATE_LATE:
            self.give_up("the state of the run did not come")
        if step + self.job.save_every <= self.steps.step and self.slow < step:
            self.slow = step
            self.note("checkpoints are left out: a disk is slow", alarm=True, step=step)

    def give_up(self, why: str) -> None:
        """The step to save cannot be had; the next one is asked for."""
        self.note("a checkpoint is given up", step=self.checkpoints.asked, why=why)
        self.checkpoints.give_up()
        self.late_since = None
        self.decide()

    def fall_back(self, file: str, error: str) -> None:
        """The newest checkpoint cannot be read: the one before."""
        self.note("a checkpoint cannot be read", alarm=True, file=file, error=error)
        self.manifest.checkpoints.pop()
        if not self.manifest.checkpoints:
            self.end(f"no checkpoint can be read: {file}: {error or 'it is not there'}", 1)
        self.roll_back("a checkpoint cannot be read")
