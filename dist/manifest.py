"""Checkpoints that a job can go on from, and the file that lists them.

A checkpoint of step t is: a shard from each server, and the state of the run at the start of t. It
exists when manifest.json names it, which is written last, when all of its files are on the disk. So
a crash at any moment leaves the checkpoints from before.

Another number of servers may go on from it: each takes from the shards the chunks that are now its.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from minidl_dist.messages import Remove, Saved, Store, Stored

KEPT = 3
PAUSE = 2.0  # seconds until something is written again, after the disk was full


@dataclass
class Checkpoint:
    """One that is complete.

    Attributes:
        step: with which the run goes on.
        files: shard -> {"sha256": its hash, "chunks": numbers of the chunks in it}.
        run, run_sha256: file of the run's state.
    """

    step: int
    files: dict[str, dict]
    run: str
    run_sha256: str

    def names(self) -> set[str]:
        return {*self.files, self.run}


@dataclass
class Manifest:
    """What manifest.json holds.

    Attributes:
        token: the fencing token of the coordinator that wrote it.
        plan: of the job, as a dict; {} before there is one.
        checkpoints: at most KEPT, the newest last.
        finished: the job is over.
    """

    token: int = 0
    plan: dict = field(default_factory=dict)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    finished: bool = False

    def to_dict(self) -> dict[str, Any]:
        checkpoints = [dict(vars(checkpoint)) for checkpoint in self.checkpoints]
        return {"format": 1, **vars(self), "checkpoints": checkpoints}

    @classmethod
    def from_dict(cls, values: dict[str, Any] | None, token: int) -> Manifest:
        """What was read, in the hands of the coordinator with this token."""
        values = values or {}
        checkpoints = [Checkpoint(**entry) for entry in values.get("checkpoints", [])]
        return cls(token, values.get("plan", {}), checkpoints, values.get("finished", False))

    @property
    def newest(self) -> Checkpoint | None:
        return self.checkpoints[-1] if self.checkpoints else None

    @property
    def step(self) -> int:
        return self.checkpoints[-1].step if self.checkpoints else -1

    def names(self) -> set[str]:
        """All files that are needed."""
        return set().union(*(checkpoint.names() for checkpoint in self.checkpoints))


class Collection:
    """Shards of checkpoints that are not complete yet, of one generation.

    Attributes:
        shards: step -> file -> what a Checkpoint says about it.
    """

    def __init__(self, chunks: int):
        self.chunks = set(range(chunks))
        self.shards: dict[int, dict[str, dict]] = {}

    def add(self, saved: Saved) -> None:
        files = self.shards.setdefault(saved.step, {})
        files[saved.file] = {"sha256": saved.sha256, "chunks": list(saved.chunks)}

    def whole(self, step: int) -> dict[str, dict] | None:
        """The shards of a step, if they hold all chunks."""
        files = self.shards.get(step, {})
        held = {chunk for facts in files.values() for chunk in facts["chunks"]}
        return files if held == self.chunks else None

    def drop(self, step: int) -> set[str]:
        """Forget steps up to this one, which is complete or given up. Returns their files."""
        names: set[str] = set()
        for old in [s for s in self.shards if s <= step]:
            names |= set(self.shards.pop(old))
        return names


class Checkpoints:
    """The manifest, and how a checkpoint gets into it: shards, then the run's state, then that.

    One step at a time is asked for. The next one is named when that is on the disk, or one of its
    parts cannot be had: so all servers save the same steps, however slow the disk of one is. The
    step at which everything ends is saved anyway.

    Attributes:
        manifest: as it is on the disk.
        asked: the step that is to be saved; -1: none.
        given_up: the last step that was asked for in vain; -1: none.
        collection: shards that are on a disk, of checkpoints that are not complete.
        writing: (step, shards) of the checkpoint that is being completed; one at a time.
        next: the manifest that will be the disk's when that is done; None before it is written.
    """

    def __init__(self) -> None:
        self.manifest = Manifest()
        self.next: Manifest | None = None
        self.asked = self.given_up = -1
        self.collection = Collection(0)
        self.writing: tuple[int, dict[str, dict]] | None = None
        self.generation, self.run = 0, ""
        self.retry_at = 0.0
        self.failing_since: float | None = None

    def forget(self, generation: int, chunks: int) -> list:
        """Effects: a generation begins. Of an older one nothing is completed any more.

        But for a manifest that is on its way to the disk: that will be there.
        """
        gone = self.collection.drop(max(self.collection.shards, default=0))
        if self.next is None:
            self.writing = None
        self.generation = generation
        self.asked = self.given_up = -1
        self.collection = Collection(chunks)
        return self.remove(gone)

    def ask(self, current: int, every: int) -> None:
        """Name the next step to save, if there is nothing to wait for.

        Args:
            current: the step in progress. Some servers may have finished it.
            every: Job.save_every.
        """
        if self.asked > self.manifest.step:
            return
        if self.manifest.step < 0 and self.given_up < 0:
            self.asked = 0  # what everything begins with
        elif every:
            after = max(current, self.manifest.step, self.given_up)
            self.asked = (after // every + 1) * every

    def give_up(self) -> None:
        """What is asked for cannot be had whole.

        Shards of it stay as long as the training may turn out to end with just this step: a server
        that has written one does not write it again.
        """
        self.given_up, self.asked = max(self.given_up, self.asked), -1

    def tidy(self, current: int) -> list:
        """Effects: delete the shards of steps that were given up, and are over."""
        over = [s for s in self.collection.shards if s < current and s <= self.given_up]
        names: set[str] = set()
        for step in over:
            if self.writing is None or self.writing[0] != step:
                names |= set(self.collection.shards.pop(step))
        return self.remove(names)

    def remove(self, names: set[str]) -> list:
        """Effects: delete those of these files that no manifest needs."""
        for manifest in (self.manifest, self.next):
            names = names - manifest.names() if manifest is not None else names
        return [Remove(sorted(names))] if names else []

    @property
    def is_older(self) -> bool:
        """Whether what is being written was begun by an earlier generation."""
        return self.writing is not None and self.run != f"run-{self.generation}-{self.writing[0]}"

    def failing_for(self, now: float) -> float:
        """For how many seconds nothing could be written."""
        if self.failing_since is None:
            self.failing_since = now
        return now - self.failing_since

    def complete(self, step: int, states: dict[int, bytes], now: float) -> list:
        """Effects: if all of a checkpoint is there, write the run's state, then the manifest."""
        shards = self.collection.whole(step)
        if shards is None or step not in states or step <= self.manifest.step or self.writing:
            return []
        if now < self.retry_at:
            return []
        self.writing = step, dict(shards)
        self.run = f"run-{self.generation}-{step}"
        return [Store(self.run, states[step], "run")]

    def complete_all(self, states: dict[int, bytes], now: float) -> list:
        """Effects: the newest checkpoint first that waits for something."""
        effects = []
        for step in sorted(self.collection.shards, reverse=True):
            effects += self.complete(step, states, now)
        return effects

    def stored(self, event: Stored, now: float) -> tuple[int | None, list]:
        """A file was written, or not: (step of its checkpoint, effects)."""
        if event.tag == "run" and (self.writing is None or event.name != self.run):
            return None, [] if event.error else self.remove({event.name})  # of an older generation
        step = self.writing[0] if self.writing else None
        if event.error:
            self.manifest.finished, self.writing, self.next = False, None, None
            self.retry_at = now + PAUSE
            return step, []
        self.failing_since = None
        if event.tag == "run":
            checkpoint = Checkpoint(*self.writing, event.name, event.sha256)
            entries = [*self.manifest.checkpoints, checkpoint][-KEPT:]
            self.next = replace(self.manifest, checkpoints=entries)
            return step, [Store("manifest", self.next.to_dict(), "manifest")]
        if event.tag == "manifest":
            gone = self.manifest.names() | self.collection.drop(step)
            self.manifest, self.next, self.writing = self.next, None, None
            return step, self.remove(gone)
        return step, []

    def finish(self, now: float) -> list:
        """Effects: the job is over, which the next coordinator will read."""
        if self.manifest.finished or now < self.retry_at:
            return []
        self.manifest.finished = True
        return [Store("manifest", self.manifest.to_dict(), "finish")]
