"""The coordinator and the servers as processes: a machine, its node, its disk."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minidl import kernels
from minidl.errors import MinidlError
from minidl_dist import here
from minidl_dist import messages as m
from minidl_dist.checkpoint import Disk
from minidl_dist.coordinator import Coordinator
from minidl_dist.events import Allowed, Revoked
from minidl_dist.folder import CHECKPOINTS, EVENTS
from minidl_dist.here import tell_launcher
from minidl_dist.keys import Bundle
from minidl_dist.launch.spec import Instructions, Launch, as_job
from minidl_dist.node import Node
from minidl_dist.record import Recorder
from minidl_dist.server import Server

STATUS_EVERY = 0.5  # seconds
ALIVE = 5.0  # seconds until the same is said again, so that a status is never old
WINDOW = 20.0  # seconds over which examples per second are counted
MEAN, MOST = "staleness", "most stale"  # names of counters in a server's Beat
CODE_REFUSED = 2
MOST_WORKERS = 10_000  # that an operator may ask for


def serve(told: Instructions, listen: Callable[[Callable[[dict[str, Any]], None]], None]) -> None:
    """Run the coordinator or a server to its end, which is that of this process.

    Args:
        told: what to be.
        listen: begins to hand lines of the launcher to a function.
    """
    try:
        code = serve_to_the_end(told, listen)
    except MinidlError as error:  # the port is in use, the mode unknown, ...
        print(f"error: {error}", file=sys.stderr, flush=True)
        code = CODE_REFUSED
    sys.exit(code)


def serve_to_the_end(
    told: Instructions, listen: Callable[[Callable[[dict[str, Any]], None]], None]
) -> int:
    """The exit code of a coordinator or server.

    Raises:
        MinidlError: it cannot be what it is told to be.
    """
    here.told = told
    launch, folder = Launch(**told.launch), Path(told.folder)
    bundle = Bundle.from_json(told.keys) if told.keys else None
    if told.role == m.COORDINATOR:
        machine: Any = Coordinator(as_job(launch))
    else:
        key = bundle.pair.public if bundle else ""
        machine = Server(told.name, told.life + 1, key=key)
    tap = Reporter(machine) if told.role == m.COORDINATOR else Prepared(machine)
    node = Node(
        tap, told.name, bundle, Disk(folder / CHECKPOINTS),
        log=folder / EVENTS / f"{told.name}.jsonl",
    )  # fmt: skip
    if told.role != m.COORDINATOR:
        machine.troubles = lambda: node.troubles() | staleness_of(tap)
    listen(lambda line: hear(node, line))
    node.catch_signals()
    machine.address = node.listen(told.listen)
    if told.role == m.COORDINATOR:
        tell_launcher({"listening": machine.address})
    else:
        key = bundle.pinned[m.COORDINATOR] if bundle else ""
        node.connect(m.COORDINATOR, told.coordinator, key)
    end = node.run()
    if end.code:
        if tap.was_stopped:
            tell_launcher({"victim": True})
        print(f"error: {end.reason}", file=sys.stderr, flush=True)
    return end.code


def hear(node: Node, line: dict[str, Any]) -> None:
    """A line of the launcher becomes an event."""
    if "left" in line:
        node.post(m.Left(line["left"], line["how"]))
    if "stop" in line:
        node.post(m.StopAsked(line["stop"]))
    if "finished" in line:
        node.post(m.Left(m.COORDINATOR, "done"))
    for name, key in line.get("allow", {}).items():
        node.post(Allowed(name, key))
    if "revoke" in line:
        node.post(Revoked(line["revoke"]))


def staleness_of(tap: Recorder) -> dict[str, float]:
    """Of the last gradients: mean and maximum, for a Beat; {} where all are 0."""
    if not any(tap.stale):
        return {}
    return {MEAN: round(sum(tap.stale) / len(tap.stale), 2), MOST: max(tap.stale)}


class Prepared(Recorder):
    """Imports Numba while workers compute the first gradients: these would have to wait for it for
    half a second."""

    is_ready = False

    def handle(self, event: Any, now: float) -> list:
        effects = super().handle(event, now)
        if self.machine.phase == "serving" and not self.is_ready:
            self.is_ready = True
            threading.Thread(target=import_numba, name="numba", daemon=True).start()
        return effects


def import_numba() -> None:
    kernels.pick("sgd", np.zeros(1, np.float32))


class Reporter(Recorder):
    """Tells the launcher how far the job is, for status.json."""

    last: dict[str, Any] = {}
    told_at = -STATUS_EVERY

    def __init__(self, machine: Any):
        super().__init__(machine)
        self.examples: deque[tuple[float, int]] = deque()  # of the last steps: when done, how many

    def count(self, effects: list, before: tuple[int, int], now: float) -> None:
        """Note the examples of each step that is done, after the one that was done before."""
        for effect in effects:
            if isinstance(effect, m.Send) and isinstance(effect.message, m.StepDone):
                done = effect.message
                if (done.generation, done.step) > before:
                    before = done.generation, done.step
                    number = sum(int(r["values"].get("count", 0)) for r in done.reports)
                    self.examples.append((now, number))
        while self.examples and self.examples[0][0] < now - WINDOW:
            self.examples.popleft()

    def per_second(self, now: float) -> float:
        """Examples in the last seconds, but for those of the first step, which began earlier."""
        if len(self.examples) < 2:
            return 0.0
        seconds = now - self.examples[0][0]
        rate = sum(number for _, number in list(self.examples)[1:]) / max(seconds, 1e-9)
        return float(f"{rate:.3g}")

    def handle(self, event: Any, now: float) -> list:
        before = self.done
        if isinstance(event, m.Received) and isinstance(event.message, m.Query):
            pass_to_launcher(event.message.what)
        effects = super().handle(event, now)
        self.count(effects, before, now)
        if now - self.told_at >= STATUS_EVERY or any(isinstance(e, m.Exit) for e in effects):
            facts = {**status_of(self.machine), "examples_per_second": self.per_second(now)}
            for name in ("messages", "steps"):  # of those that have left, too
                facts[name] = self.last.get(name, {}) | facts[name]
            if not self.machine.members.servers:
                facts["staleness"] = self.last.get("staleness", {})
            if facts != self.last or now - self.told_at >= ALIVE:
                tell_launcher(facts)
                self.last, self.told_at = facts, now
        return effects


def pass_to_launcher(what: str) -> None:
    """What an operator wants that is not the coordinator's to do."""
    word, _, number = what.partition(" ")
    if what == "stop":
        tell_launcher({"cancel": True})
    elif word == "scale" and number.isdigit() and 1 <= int(number[:6]) <= MOST_WORKERS:
        tell_launcher({"scale": int(number)})


def status_of(coordinator: Coordinator) -> dict[str, Any]:
    """What status.json says of the training."""
    members = [member for member in coordinator.members.all() if member.beat is not None]
    troubles = {member.name: dict(member.beat.troubles) for member in members}
    means = [counts.pop(MEAN) for counts in troubles.values() if MEAN in counts]
    most = [counts.pop(MOST) for counts in troubles.values() if MOST in counts]
    return {
        "generation": coordinator.generation,
        "step": coordinator.steps.step if coordinator.steps else -1,
        "total_steps": coordinator.plan.total_steps if coordinator.plan else -1,
        "checkpoint_step": coordinator.manifest.step,
        "messages": troubles,
        "staleness": {"mean": max(means, default=0), "most": max(most, default=0)},
        "doing": {member.name: member.beat.state for member in members},
        "steps": {member.name: member.beat.step for member in members},
    }
