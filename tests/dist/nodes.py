"""Nodes that run in threads, with machines that remember what they are given."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from minidl_dist import messages as m
from minidl_dist.checksum import checksum
from minidl_dist.node import Node

SIZE = 40_000  # elements of chunk 0; that of chunk 1 is 1,000 float64
PLAN = SimpleNamespace(
    chunks=(
        SimpleNamespace(dtype="float32", size=SIZE),
        SimpleNamespace(dtype="float64", size=1000),
    )
)


class Recorder:
    """A machine that keeps its events, and answers messages as `answer` says."""

    def __init__(self, answer: Callable[[m.Received], list] | None = None, plan: Any = PLAN):
        self.events: list[Any] = []
        self.answer, self.plan = answer, plan

    def handle(self, event: Any, now: float) -> list:
        self.events.append(event)
        if isinstance(event, m.StopAsked):
            return [m.Exit(0, event.reason)]
        if isinstance(event, Do):
            return event.effects
        if isinstance(event, m.Received) and self.answer is not None:
            return self.answer(event)
        return []

    def messages(self, kind: type | None = None) -> list[Any]:
        found = [event.message for event in self.events if isinstance(event, m.Received)]
        return [message for message in found if kind is None or isinstance(message, kind)]


class Do:
    """An event for a Recorder: do this."""

    def __init__(self, *effects: Any):
        self.effects = list(effects)


class Acknowledger(Recorder):
    """A server that acknowledges pushes and answers pulls with what the latest step pushed.

    Attributes:
        damaged: how many pushes it ignored, as a server does, since their values had changed.
    """

    def __init__(self) -> None:
        super().__init__(self.serve)
        self.values = {n: np.zeros(c.size, c.dtype) for n, c in enumerate(PLAN.chunks)}
        self.steps = dict.fromkeys(self.values, -1)
        self.damaged = 0

    def serve(self, event: m.Received) -> list:
        message = event.message
        if isinstance(message, m.Push):
            if checksum(message.values) != message.crc:
                self.damaged += 1
                self.events.pop()
                return []
            if message.step > self.steps[message.chunk]:
                self.values[message.chunk] = message.values
                self.steps[message.chunk] = message.step
            ack = m.Ack(message.generation, message.step, message.slot, message.chunk)
            return [m.Send(event.sender, ack)]
        if isinstance(message, m.Pull):
            values = self.values[message.chunk]
            crc = checksum(values)
            found = m.Weights(message.generation, message.version, message.chunk, crc, values)
            return [m.Send(event.sender, found)]
        return []


def push(step: int = 0, slot: int = 0, chunk: int = 0, values: Any = None) -> m.Push:
    if values is None:
        spec = PLAN.chunks[chunk]
        values = np.random.default_rng(step).random(spec.size).astype(spec.dtype)
    return m.Push(1, step, slot, chunk, checksum(values), [], values)


@contextlib.contextmanager
def running(*nodes: Node) -> Iterator[None]:
    """Each node in a thread of its own; all are stopped and must end."""
    threads = [threading.Thread(target=node.run, daemon=True) for node in nodes]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for node in nodes:
            node.post(m.StopAsked("the test is over"))
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads), "a node does not end"


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `condition` returns once that is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)
    return found


def acknowledged(worker, message):
    """Whether the server acknowledges a push; it must."""
    worker.post(Do(m.Send("server0", message)))
    expected = m.Ack(1, message.step, message.slot, message.chunk)
    return wait_for(lambda: expected in worker.machine.messages(m.Ack))


def failure_of(node):
    """The error of a node that cannot go on."""
    node.run()
    assert node.ended.code == 1 and node.ended.reason == str(node.failure)
    return node.failure
