"""The coordinator and the servers as processes: a machine, its node, its disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidl.errors import MinidlError
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
CODE_REFUSED = 2


def serve(told: Instructions, listen: Callable[[Callable[[dict[str, Any]], None]], None]) -> None:
    """Run the coordinator or a server to its end, which is that of this process.

    Args:
        told: what to be.
        listen: begins to hand lines of the launcher to a function.
    """
    try:
        code = serve_to_the_end(told, listen)
    except MinidlError as error:  # the port is in use, a mode that is none, ...
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
    launch, folder = Launch(**told.launch), Path(told.folder)
    bundle = Bundle.from_json(told.keys) if told.keys else None
    if told.role == m.COORDINATOR:
        machine: Any = Coordinator(as_job(launch))
    else:
        key = bundle.pair.public if bundle else ""
        machine = Server(told.name, told.life + 1, key=key)
    (folder / EVENTS).mkdir(parents=True, exist_ok=True)  # on another machine it may be new
    tap = Reporter(machine) if told.role == m.COORDINATOR else Recorder(machine)
    node = Node(
        tap, told.name, bundle, Disk(folder / CHECKPOINTS),
        log=folder / EVENTS / f"{told.name}.jsonl",
    )  # fmt: skip
    if told.role != m.COORDINATOR:
        machine.troubles = node.troubles
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
    for name, key in line.get("allow", {}).items():
        node.post(Allowed(name, key))
    if "revoke" in line:
        node.post(Revoked(line["revoke"]))


class Reporter(Recorder):
    """Tells the launcher how far the job is, for status.json."""

    last: dict[str, Any] = {}
    told_at = -STATUS_EVERY

    def handle(self, event: Any, now: float) -> list:
        effects = super().handle(event, now)
        if now - self.told_at >= STATUS_EVERY or any(isinstance(e, m.Exit) for e in effects):
            facts = status_of(self.machine)
            if facts != self.last:
                tell_launcher(facts)
                self.last, self.told_at = facts, now
        return effects


def status_of(coordinator: Coordinator) -> dict[str, Any]:
    """What status.json says of the training."""
    return {
        "generation": coordinator.generation,
        "step": coordinator.steps.step if coordinator.steps else -1,
        "total_steps": coordinator.plan.total_steps if coordinator.plan else -1,
        "checkpoint_step": coordinator.manifest.step,
        "messages": {m.name: m.beat.troubles for m in coordinator.members.all() if m.beat},
        "doing": {m.name: m.beat.state for m in coordinator.members.all() if m.beat},
    }
