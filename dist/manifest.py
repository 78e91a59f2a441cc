"""Checkpoints that a job can go on from, and the file that lists them.

A checkpoint of step t is: a shard from each server, and the state of the run at the start of t. It
exists when manifest.json names it, which is written last, when all of its files are on the disk. So
a crash at any moment leaves the checkpoints from before.

Another number of servers may go on from it: each takes from the shards the chunks that are now its.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from minidl_dist.messages import Saved

KEPT = 3


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
        return {"format": 1, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Manifest:
        checkpoints = [Checkpoint(**entry) for entry in values["checkpoints"]]
        return cls(values["token"], values["plan"], checkpoints, values["finished"])

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

    def drop(self, step: int) -> list[str]:
        """Forget steps up to this one, which is complete or given up. Returns their files."""
        names = []
        for old in [s for s in self.shards if s <= step]:
            names += self.shards.pop(old)
        return names
