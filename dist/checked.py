"""What must hold in the world of simulate.py: machines that look at themselves, and comparisons."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl_dist import messages as m
from minidl_dist.aggregate import Aggregate
from minidl_dist.plan import SUM, Plan
from minidl_dist.server import Server
from minidl_dist.worker import Worker


class Failure(Exception):
    """Something that must hold does not."""


def check_bits(step: int, right: dict[str, np.ndarray], tensors: dict[str, np.ndarray]) -> None:
    for name, array in right.items():
        if array.tobytes() != tensors[name].tobytes():
            raise Failure(f"bits: {name} differs at step {step}")


class Checked(Aggregate):
    """Notes what is folded, and that nothing is twice."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.folded: set[tuple[int, int, int]] = set()

    def fold(self, number: int) -> list[tuple[int, int]]:
        folded = super().fold(number)
        for step, slot in folded:
            if (step, slot, number) in self.folded:
                raise Failure(f"folds: step {step}, slot {slot}, chunk {number} twice")
            self.folded.add((step, slot, number))
        if self.step != min(state.version for state in self.chunks.values()):
            raise Failure(f"versions: {self.versions} are counted wrongly")
        return folded


class CheckedServer(Server):
    """Answers each Pull for what it must have, and holds no more than it may."""

    aggregate_class = Checked

    def from_worker(self, sender: str, message: Any) -> None:
        super().from_worker(sender, message)
        if isinstance(message, m.Head):
            check_server(self)

    def pull(self, sender: str, message: m.Pull) -> None:
        before = len(self.effects)
        super().pull(sender, message)
        if len(self.effects) > before or not self.mode.together:
            return
        state = self.aggregate.chunks.get(message.chunk)
        if state is None:
            return
        oldest = state.version - (state.previous is not None)
        if oldest <= message.version <= state.version:
            raise Failure(f"versions: {message} is not answered at version {state.version}")


class CheckedWorker(Worker):
    """Holds no more than it may."""

    def slot_is_done(self, event: m.SlotDone) -> None:
        super().slot_is_done(event)
        check_worker(self)


CHECKED = {"server": CheckedServer, "worker": CheckedWorker}


def check_server(server: Server) -> None:
    """At most: two versions, a sum, the optimizer's state, and what is staged of slots whose turn
    is still to come; heads of the steps in progress; Pulls of versions that are still to come."""
    aggregate, plan = server.aggregate, server.plan
    weights = sum(plan.chunks[n].nbytes for n in aggregate.mine)
    if aggregate.nbytes > (3 + plan.slots + 3) * weights or len(aggregate.heads) > 2 * plan.slots:
        raise Failure(f"memory: {aggregate.nbytes} bytes for {weights} of weights")
    is_sync = server.job.mode == "sync"
    for state in aggregate.chunks.values() if is_sync else ():
        waiting = len(plan.slots_of(state.version)) - state.turn
        if state.chunk.kind == SUM and len(state.staged) > waiting:
            raise Failure("memory: slots are staged that were folded")
    for number, state in aggregate.chunks.items() if server.phase == "serving" else ():
        pulls = server.parked.get(number)
        if pulls and min(pulls.values()) <= state.version:
            raise Failure("memory: pulls are kept that could be answered")


def check_worker(worker: Worker) -> None:
    """At most the requests of two slots, and the first values."""
    chunks, servers = len(worker.plan.chunks), len(worker.job.servers)
    held = sum(map(len, worker.pushes.values()))
    if held > 2 * (chunks + servers) + chunks or len(worker.unanswered) > 2:
        raise Failure(f"memory: {held} requests for {chunks} chunks")


def damaged(message: Any) -> Any:
    """The message with a flipped bit in its values. (A damaged header, the Node drops.)"""
    values = getattr(message, "values", None)
    if not isinstance(values, np.ndarray) or not values.size:
        return message
    flipped = values.copy()
    flipped.view(np.uint8)[0] ^= 0x10
    return type(message)(**{**vars(message), "values": flipped})


def check_manifest(plan: Plan, disk: dict[str, Any]) -> None:
    """The newest checkpoint that it names is on the disk, and holds each chunk once."""
    entry = disk["manifest"]["checkpoints"][-1]
    held = [chunk for facts in entry["files"].values() for chunk in facts["chunks"]]
    if sorted(held) != list(range(len(plan.chunks))):
        raise Failure(f"checkpoint: it holds chunks {held}")
    gone = [name for name in (*entry["files"], entry["run"]) if name not in disk]
    if gone:
        raise Failure(f"checkpoint: {gone} are not on the disk")
