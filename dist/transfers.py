"""The work that bench.py measures, done by nodes as in a job: chunks that are pushed and pulled."""

from __future__ import annotations

import statistics
import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from minidl_dist import messages as m
from minidl_dist.checksum import checksum
from minidl_dist.node import Node
from minidl_dist.other_process import Server

CHUNK = 1 << 18  # elements of float32: 1 MiB
RATE = np.float32(0.01)
SMALL = 8  # elements; with a raw header of 16 bytes and an answer of 48, 64 bytes both ways
PUSH, PULL = 0, 1


def check(values: np.ndarray, crc: int) -> None:
    """What server.py and worker.py do with values that they take."""
    if checksum(values) != crc:
        raise ValueError("values have changed on their way")


def plan_of(chunks: int) -> Any:
    sizes = [CHUNK] * chunks + [SMALL]
    return SimpleNamespace(chunks=[SimpleNamespace(dtype="float32", size=size) for size in sizes])


class Holder:
    """A server that takes a step of SGD with every push."""

    def __init__(self, chunks: int):
        self.plan = plan_of(chunks)
        self.values = [np.ones(chunk.size, np.float32) for chunk in self.plan.chunks]
        self.crcs = [checksum(values) for values in self.values]

    def handle(self, event: Any, now: float) -> list:
        if not isinstance(event, m.Received):
            return []
        message = event.message
        if isinstance(message, m.Push):
            step = message.values
            check(step, message.crc)
            step *= -RATE
            step += self.values[message.chunk]
            self.values[message.chunk] = step
            self.crcs[message.chunk] = checksum(step)
            return [m.Send(event.sender, m.Ack(1, message.step, message.slot, message.chunk))]
        number = message.chunk
        values = self.values[number]
        return [
            m.Send(event.sender, m.Weights(1, message.version, number, self.crcs[number], values))
        ]


class Transfers:
    """A worker that pushes all chunks, then pulls them, or sends small requests."""

    def __init__(self, chunks: int):
        self.plan = plan_of(chunks)
        self.gradients = [np.full(CHUNK, 0.5, np.float32) for _ in range(chunks)]
        self.small = np.zeros(SMALL, np.float32)
        self.waiting: list[Any] = []
        self.times: list[float] = []
        self.flying = 0

    def handle(self, event: Any, now: float) -> list:
        if isinstance(event, m.StopAsked):
            return [m.Exit(0, "")]
        if isinstance(event, list):
            self.waiting, self.flying = event[::-1], 0
            return [effect for _ in range(m.WINDOW) for effect in self.next()]
        if isinstance(event, int):
            self.times, self.left = [], event
            return self.ping()
        if isinstance(event, m.Received):
            if isinstance(event.message, m.Weights):
                check(event.message.values, event.message.crc)
            if event.message.chunk == len(self.plan.chunks) - 1:
                self.times.append(time.perf_counter() - self.asked)
                return self.ping()
            self.flying -= 1
            return self.next()
        return []

    def next(self) -> list:
        if self.waiting:
            what, chunk = self.waiting.pop()
            self.flying += 1
            if what == PULL:
                return [m.Send("server0", m.Pull(1, 0, chunk))]
            values = self.gradients[chunk]
            return [m.Send("server0", m.Push(1, 0, 0, chunk, checksum(values), [], values))]
        return [Done()] if not self.flying else []

    def ping(self) -> list:
        if not self.left:
            return [Done()]
        self.left -= 1
        self.asked = time.perf_counter()
        chunk = len(self.plan.chunks) - 1
        return [m.Send("server0", m.Pull(1, 0, chunk))]


class Done:
    """An effect: what was asked for has been done."""


class NodeClient:
    """Runs Transfers in a node, turn by turn."""

    def __init__(self, server: Server, chunks: int):
        self.machine = Transfers(chunks)
        self.done = False
        is_insecure = server.client is None
        self.node = Node(
            self.machine, "worker0", server.client, insecure=is_insecure, to_client=self.finish
        )
        self.node.connect("server0", server.address, server.key)
        self.chunks = chunks

    def finish(self, _: Any) -> None:
        self.done = True

    def until_done(self, event: Any) -> float:
        self.done = False
        start = time.perf_counter()
        self.node.give(event)
        while not self.done:
            self.node.turn()
        return time.perf_counter() - start

    def transfer(self) -> float:
        """Seconds of a push and pull of everything."""
        return sum(
            self.until_done([(what, chunk) for chunk in range(self.chunks)])
            for what in (PUSH, PULL)
        )

    def ping(self, times: int) -> float:
        """Median seconds of a small request."""
        self.until_done(times)
        return statistics.median(self.machine.times)

    def close(self) -> None:
        self.node.end(m.Exit(0, ""))
        self.node.close()
