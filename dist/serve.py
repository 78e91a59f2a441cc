"""The coordinator and the servers as processes: a machine, its node, its disk."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidl_dist import messages as m
from minidl_dist.checkpoint import Disk
from minidl_dist.coordinator import Coordinator
from minidl_dist.folder import CHECKPOINTS, EVENTS
from minidl_dist.keys import Bundle
from minidl_dist.launch.spec import Instructions, Launch, as_job
from minidl_dist.member import tell_launcher
from minidl_dist.node import Node
from minidl_dist.record import Recorder
from minidl_dist.server import Server

STATUS_EVERY = 0.5  # seconds


def serve(told: Instructions, listen: Callable[[Callable[[dict[str, Any]], None]], None]) -> None:
    """Run the coordinator or a server to its end.

    Args:
        told: what to be.
        listen: begins to hand lines of the launcher to a function.
    """
    launch, folder = Launch(**told.launch), Path(told.folder)
    bundle = Bundle.from_json(told.keys) if told.keys else None
    if told.role == m.COORDINATOR:
        machine: Any = Coordinator(as_job(launch))
    else:
        key = bundle.pair.public if bundle else ""
        machine = Server(told.name, told.life, key=key)
    node = Node(
        Recorder(machine), told.name, bundle, Disk(folder / CHECKPOINTS),
        log=folder / EVENTS / f"{told.name}.jsonl",
    )  # fmt: skip
    listen(lambda line: hear(node, line))
    node.catch_signals()
    machine.address = node.listen(told.listen)
    if told.role == m.COORDINATOR:
        threading.Thread(target=report, args=(machine,), daemon=True).start()
    else:
        key = bundle.pinned[m.COORDINATOR] if bundle else ""
        node.connect(m.COORDINATOR, told.coordinator, key)
    end_with(node.run())


def hear(node: Node, line: dict[str, Any]) -> None:
    """A line of the launcher becomes an event."""
    if "left" in line:
        node.post(m.Left(line["left"], line["how"]))
    if "stop" in line:
        node.post(m.StopAsked(line["stop"]))


def report(coordinator: Coordinator) -> None:
    """Tell the launcher how far the job is, whenever that changes, for status.json."""
    pause, last = threading.Event(), None
    while True:
        facts = coordinator.status()
        if facts != last:
            tell_launcher(facts)
            last = facts
        pause.wait(STATUS_EVERY)


def end_with(end: m.Exit) -> None:
    """End the process with the code and reason of its machine."""
    if end.code:
        print(f"error: {end.reason}", file=sys.stderr, flush=True)
    sys.exit(end.code)
