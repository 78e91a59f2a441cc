"""Measure what things cost on this machine: `minidl dist calibrate`. It takes some seconds.

Everything is processor time of a thread, not time on the clock: what else the machine does hardly
matters. What messages cost is read from a process of its own that runs a real Node; how long the
machines take, from a short rehearsal.
"""

from __future__ import annotations

import contextlib
import datetime
import gc
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minidl import nn, optim
from minidl.errors import ArgumentError
from minidl.tensor import Tensor
from minidl_dist import messages as m
from minidl_dist.aggregate import Aggregate
from minidl_dist.checksum import checksum
from minidl_dist.costs import ROLES, WAYS, Costs
from minidl_dist.modes import parse
from minidl_dist.node import Node
from minidl_dist.other_process import read_told, serve_node, started
from minidl_dist.plan import SUM, Plan, TensorSpec
from minidl_dist.rehearse import ADAM, SGD, Rehearsal
from minidl_dist.scenario import WARM_UP, Scenario
from minidl_dist.tensors import Chunks, make_plan
from minidl_dist.transfers import CHUNK, plan_of
from minidl_dist.wire import decode, encode

BYTES = 4 * CHUNK
FEW, MANY = 16, 96  # workers of two rehearsals
ITEMS = 200  # of a long message


def calibrate(messages: int = 2000, chunks: int = 300, repeats: int = 20) -> Costs:
    """All costs of this machine.

    Args:
        messages, chunks: how many small and large messages are exchanged each way.
        repeats: how often the rest is done; medians count.

    Raises:
        ArgumentError: this system does not tell the processor time of another process's threads.
    """
    ways = {way: exchange(way, messages, chunks) for way in WAYS}
    kept = ways["ipc"]  # the node's own thread does the same on all ways
    folded, updated = {}, {}
    for name, groups in (("SGD", SGD), ("Adam", ADAM)):
        folded[name], updated[name] = aggregation(name, groups, repeats)
    give, load = training(repeats)
    values = np.ones(CHUNK, np.float32)
    return Costs(
        machine=this_machine(), message=kept["message"], send_byte=kept["send_byte"],
        receive_byte=kept["receive_byte"],
        io_message={way: found["io_message"] for way, found in ways.items()},
        io_byte={way: found["io_byte"] for way, found in ways.items()},
        report=of_an_item(reports, repeats), entry=of_an_item(entries, repeats),
        handle=handling(), checksum=seconds_of(lambda: checksum(values), repeats) / BYTES,
        fold=folded["SGD"], update=updated, give=give, load=load,
    )  # fmt: skip


def seconds_of(work: Callable[[], Any], repeats: int) -> float:
    """Processor time of this thread, the median; the first time is for warming up."""
    found = []
    for _ in range(repeats + 1):
        start = time.thread_time()
        work()
        found.append(time.thread_time() - start)
    return statistics.median(found[1:])


def this_machine() -> str:
    """Name of the processor, and today's date."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration, IndexError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        line = next(line for line in lines if line.startswith("model name"))
        name = line.split(":")[1].strip()
    return f"{name}, {datetime.date.today()}"


# --- messages -----------------------------------------------------------------------------------


class Still:
    """A server that answers, and does nothing else."""

    def __init__(self, chunks: int):
        self.plan = plan_of(chunks)
        self.values = [np.ones(chunk.size, np.float32) for chunk in self.plan.chunks]

    def handle(self, event: Any, now: float) -> list:
        if not isinstance(event, m.Received):
            return []
        asked = event.message
        if isinstance(asked, m.Push):
            return [m.Send(event.sender, m.Ack(1, 0, 0, asked.chunk))]
        values = self.values[asked.chunk]
        return [
            m.Send(event.sender, m.Weights(asked.generation, asked.version, asked.chunk, 0, values))
        ]


class Asking:
    """A worker that sends messages, eight in flight, until all are answered."""

    def __init__(self, chunks: int):
        self.plan = plan_of(chunks)
        self.waiting: list[Any] = []
        self.flying = 0

    def handle(self, event: Any, now: float) -> list:
        if isinstance(event, list):
            self.waiting = event
            return [effect for _ in range(m.WINDOW) for effect in self.next()]
        if isinstance(event, m.Received):
            self.flying -= 1
            return self.next()
        return []

    def next(self) -> list:
        if not self.waiting:
            return []
        self.flying += 1
        return [m.Send("server0", self.waiting.pop())]


def exchange(way: str, messages: int, chunks: int) -> dict[str, float]:
    """What it costs a server to receive and to send, small and large."""
    values = np.ones(CHUNK, np.float32)
    with other_process(way) as (node, pid):
        small = spent(node, pid, lambda g: [m.Pull(g, 0, 1) for _ in range(messages)])
        pushed = spent(
            node, pid, lambda g: [m.Push(g, n, 0, 0, 0, [], values) for n in range(chunks)]
        )
        pulled = spent(node, pid, lambda g: [m.Pull(g, n, 0) for n in range(chunks)])
    message, io = (seconds / messages / 2 for seconds in small)
    large = [(seconds / chunks for seconds in each) for each in (pushed, pulled)]
    (receive, io_in), (send, io_out) = large
    return {
        "message": message, "io_message": io,
        "receive_byte": max(receive - 2 * message, 0.0) / BYTES,
        "send_byte": max(send - 2 * message, 0.0) / BYTES,
        "io_byte": max(io_in + io_out - 4 * io, 0.0) / 2 / BYTES,
    }  # fmt: skip


def spent(node: Node, pid: int, requests: Callable[[int], list[Any]]) -> tuple[float, float]:
    """Seconds of the other process's two threads that answering some requests took.

    `requests` gets a number for them: a node sends no message that is still in its queue.
    """
    for generation in (1, 2):  # the first time is for warming up
        before = threads_of(pid)
        node.give(requests(generation))
        limit = time.monotonic() + 60
        while node.machine.flying or node.machine.waiting:
            node.turn()
            if time.monotonic() > limit:
                raise ArgumentError("dist", "the server of the calibration does not answer")
    after = threads_of(pid)
    return after[0] - before[0], after[1] - before[1]


def threads_of(pid: int) -> tuple[float, float]:
    """Processor time of a process's main thread, and of ZeroMQ's that carries bytes.

    Raises:
        ArgumentError: this system does not tell.
    """
    own = carries = 0.0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            seconds = int((task / "schedstat").read_text().split()[0]) / 1e9
            if task.name == str(pid):
                own = seconds
            elif (task / "comm").read_text().startswith("ZMQbg/IO"):
                carries += seconds
    except (OSError, ValueError, IndexError):
        rule = "costs are measured where /proc tells the processor time of threads: on Linux"
        raise ArgumentError("dist", rule, {"system": platform.system()}) from None
    return own, carries


@contextlib.contextmanager
def other_process(way: str) -> Iterator[tuple[Node, int]]:
    """A server in a process of its own: (a node that is connected to it, its process id)."""
    with (
        tempfile.TemporaryDirectory(prefix="minidl-") as folder,
        started("minidl_dist.calibrate", way, Path(folder)) as server,
    ):
        node = Node(Asking(1), "worker0", server.client)
        node.connect("server0", server.address, server.key)
        yield node, server.pid
        node.end(m.Exit(0, ""))
        node.close()


def of_an_item(build: Callable[[int], Any], repeats: int) -> list[float]:
    """Seconds that one more item in a message costs who sends it, and who receives it."""
    found = []
    for n in (ITEMS, 0):
        message = build(n)
        frames = encode(message, "coordinator")
        found.append((
            seconds_of(lambda: encode(message, "coordinator"), repeats),  # noqa: B023
            seconds_of(lambda: decode(*frames), repeats),  # noqa: B023
        ))  # fmt: skip
    return [max(long - short, 0.0) / ITEMS for long, short in zip(*found)]


def reports(n: int) -> m.StepDone:
    values = {"count": 64, "values.loss": 1.0}
    one = {"weight": 64.0, "values": values}
    return m.StepDone(1, 1, [one] * n)


def entries(n: int) -> m.Wanted:
    servers = {f"server{i}": ["tcp://10.0.0.1:12345", "k" * 40] for i in range(n)}
    return m.Wanted(1, 1, 1, 1, 1, True, "", servers=servers)


# --- machines, aggregation, training ------------------------------------------------------------


def handling() -> dict[str, list[float]]:
    """role -> seconds to handle an event: always, and in addition for each worker of the job."""
    nothing = {role: [0.0, 0.0] for role in ROLES}
    free = dict.fromkeys(WAYS, 0.0)
    costs = Costs(
        "", 0.0, 0.0, 0.0, free, free, [0.0, 0.0], [0.0, 0.0], nothing, 0.0, 0.0,
        {"SGD": 0.0, "Adam": 0.0}, 0.0, 0.0,
    )  # fmt: skip
    found: dict[int, dict[str, float]] = {}
    with without_collections():
        for workers in (FEW, MANY):
            found[workers] = mean_seconds(workers, costs)
    lines = {}
    for role in ROLES:
        few, many = found[FEW][role], found[MANY][role]
        each = min(max(many - few, 0.0) / (MANY - FEW), few / FEW)
        lines[role] = [few - FEW * each, each]
    return lines


def mean_seconds(workers: int, costs: Costs) -> dict[str, float]:
    """role -> seconds to handle an event, in a job with so many workers."""
    world = Rehearsal(Scenario(workers, straggler="lognormal:0.1"), costs)
    world.run_until(WARM_UP * workers)
    world.stopwatch = {}
    world.run_until((WARM_UP + 3 * MANY // workers) * workers)
    return {role: spent / n for role, (n, spent) in world.stopwatch.items()}


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """No collection of garbage: one that falls into a handling counts as hundreds of them, and
    takes the longer the more this process holds, all workers of a rehearsal and every import."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def aggregation(optimizer: str, groups: list[dict], repeats: int) -> tuple[float, float]:
    """Seconds a byte to add a gradient to the sum, and to make new weights of the sum."""
    plan = Plan((TensorSpec("w", (CHUNK,), "float32", SUM),), optimizer, 2, 2 * repeats + 4, 1)
    aggregate = Aggregate(plan, parse("sync"), [0])
    aggregate.set_values(0, np.ones(CHUNK, np.float32))
    adding, updating = [], []
    for step in range(repeats + 1):
        for slot in range(2):
            aggregate.take(m.Push(1, step, slot, 0, 0, [], np.ones(CHUNK, np.float32)))
            start = time.thread_time()
            aggregate.fold(0)
            adding.append(time.thread_time() - start)
            aggregate.take_head(m.Head(1, step, slot, 1.0, groups, []))
        start = time.thread_time()
        aggregate.fold(0)
        updating.append(time.thread_time() - start)
    return statistics.median(adding[2:]) / BYTES, statistics.median(updating[1:]) / BYTES


def training(repeats: int) -> tuple[float, float]:
    """Seconds a byte to take gradients out of a model, and to load weights into it."""
    model = nn.Linear(256, CHUNK // 256, bias=False)
    plan, tensors = make_plan(model, optim.SGD(model.parameters(), lr=0.1), 1, 1, 1)
    chunks = Chunks(plan, tensors, lambda number, values, missing: None)
    weight, gradient = tensors[0], Tensor(np.ones(tensors[0].shape, np.float32))

    def give() -> None:
        chunks.begin()
        weight.grad = gradient
        chunks.take(0, weight)
        chunks.end()

    values = chunks.initial()
    return (
        seconds_of(give, repeats) / BYTES, seconds_of(lambda: chunks.load(values), repeats) / BYTES
    )  # fmt: skip


# --- what it found ------------------------------------------------------------------------------


def report(costs: Costs) -> str:
    """The costs as text."""
    lines = [f"costs on {costs.machine}, in microseconds of a core"]

    def line(what: str, *seconds: float) -> None:
        figures = "".join(f"{1e6 * one:>10.2f}" for one in seconds)
        lines.append(f"  {what:44}{figures}")

    line("a small message, sent or received", costs.message)
    for way in WAYS:
        line(f"  {way}: in ZeroMQ's thread; and for a MB", costs.io_message[way],
             1e6 * costs.io_byte[way])  # fmt: skip
    for role, (fixed, each) in costs.handle.items():
        line(f"an event in a {role}; and for each worker", fixed, each)
    line("a report of a slot, sent; received", *costs.report)
    line("a server's address, sent; received", *costs.entry)
    updates = ((f"update, {name}", one) for name, one in costs.update.items())
    for what, byte in (
        ("checksum", costs.checksum), ("fold", costs.fold), *updates,
        ("giving gradients", costs.give), ("loading weights", costs.load),
    ):  # fmt: skip
        line(f"{what}, for a MB", 1e6 * byte)
    return "\n".join(lines)


if __name__ == "__main__":
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    serve_node(Still(1), read_told())
