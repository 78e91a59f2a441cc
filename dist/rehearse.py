"""A rehearsal: the machines of a job on virtual hardware, with what things cost.

These are the machines of real processes, as in simulate.py: coordinator, servers and workers decide
here what they would decide there. Nothing fails; instead everything takes its time:

    training thread   computes slots, gives gradients away during backward, loads weights
    node's thread     receives, handles, sends: one message after the other
    ZeroMQ's thread   carries bytes between memory and network, and encrypts them
    network card      bytes, one after the other, each way
    cores             shared by the threads of a host

Values are opaque: each chunk is one number, which stands for as many bytes as its chunk would have.
The job begins at no cost, and is then looked at from step WARM_UP on.

Not in it: failures, disks, validation, the clipping of gradients, Python's lock (which a worker's
two threads share), and all that a real network does beside waiting its turn.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from minidl.errors import ArgumentError
from minidl_dist import messages as m
from minidl_dist.aggregate import Aggregate
from minidl_dist.chunk_state import ChunkState
from minidl_dist.coordinator import Coordinator
from minidl_dist.costs import Costs
from minidl_dist.hardware import NUMBER, START, TIMERS, Clock, Host, Path, Thread, plus
from minidl_dist.plan import Job
from minidl_dist.queued import whole_numbers
from minidl_dist.scenario import FORWARD, Scenario, straggling
from minidl_dist.server import Server
from minidl_dist.window import Route
from minidl_dist.worker import Worker

HEADER = 200  # bytes of a small message, with those of TCP
REPORT_BYTES = 55  # of a slot in a StepDone, with its loss and its number of examples
FOREVER = 1e9
DISK = 0.01  # seconds until a file is written
COMMON = {"lr": 0.01, "lr_mult": 1.0, "weight_decay": 0.0, "maximize": False}
SGD = [{**COMMON, "momentum": 0.9, "dampening": 0.0, "nesterov": False}]
ADAM = [{**COMMON, "betas": [0.9, 0.99], "eps": 1e-8, "amsgrad": False}]
ONE = np.ones(1, np.float32)
LARGE = m.Push | m.Weights | m.Initial
MANY = m.Push | m.Weights | m.Initial | m.Ack | m.Pull  # of each chunk
ENDLESS = 1000.0  # seconds, and so many times those of a slot: a step has ended before


class Failure(Exception):
    """The rehearsal cannot go on: a machine has ended."""


class Metered(Aggregate):
    """Counts what it adds and updates."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.added = self.updated = 0

    def add(self, state: ChunkState, slot: int) -> None:
        self.added += slot in state.staged
        super().add(state, slot)

    def optimize(self, state: ChunkState, values: np.ndarray, head: m.Head) -> None:
        self.updated += 1
        super().optimize(state, values, head)


class MeteredServer(Server):
    aggregate_class = Metered

    def counts(self) -> tuple[int, int]:
        aggregate = self.aggregate
        return (aggregate.added, aggregate.updated) if isinstance(aggregate, Metered) else (0, 0)


class Patient(Route):
    """Repeats nothing: where chunks are joined, one takes longer than any that is real."""

    patience = property(lambda self: FOREVER, lambda self, value: None)  # type: ignore[assignment]


class Process:
    """A process: a machine, the threads it has, and its host."""

    def __init__(self, name: str, role: str, machine: Any, host: Host, clock: Clock):
        self.name, self.role, self.machine, self.host = name, role, machine, host
        self.node = Thread(clock, host.cores, role)
        self.io = Thread(clock, host.cores, role)
        self.training = Thread(clock, host.cores, "compute") if role == "worker" else None
        self.number = int(name.removeprefix(role) or 0)
        self.timers: dict[str, int] = {}
        self.path, self.handled = START, 0.0  # of the last event that was no timer
        self.packed: Any = None  # the last StepDone that it sent
        self.queued: set[tuple] = set()  # large messages that the network has not taken yet

    def threads(self) -> dict[str, Thread]:
        found = {"messages": self.node, "bytes": self.io}
        return found | ({"training": self.training} if self.training else {})


class Rehearsal:
    """One job.

    Args:
        scenario, costs: of it.
        stopwatch: measures the handling of events: role -> [how many, seconds of this thread].

    Attributes:
        slots: how many were computed, and count.
        advanced: worker -> [(time, path)] of each step that it began.
        events: that machines handled.
    """

    def __init__(
        self, scenario: Scenario, costs: Costs, stopwatch: dict[str, list[float]] | None = None
    ):
        scenario.check()
        self.scenario, self.costs, self.stopwatch = scenario, costs, stopwatch
        self.clock = Clock()
        self.plan, self.mode = scenario.plan(), scenario.parsed_mode()
        self.factor = straggling(scenario.straggler, scenario.seed)
        self.way = "curve" if scenario.network else "ipc"
        self.groups = ADAM if scenario.optimizer == "Adam" else SGD
        self.joined = scenario.joined
        self.chunk_bytes = scenario.size / scenario.chunks
        carried = scenario.workers * scenario.size / scenario.servers
        slow = scenario.compute + 2 * costs.io_byte[self.way] * carried
        self.pace = max(1.0, slow)  # of heartbeats: there is no need to see them all
        self.handling = {
            role: fixed + each * scenario.workers for role, (fixed, each) in costs.handle.items()
        }
        names = tuple(f"server{n}" for n in range(scenario.servers))
        self.job = Job(
            names, scenario.mode, save_every=0, beat=self.pace, dead=FOREVER, missing=FOREVER,
            limits={},
        )  # fmt: skip
        self.is_free = True  # until the job has begun
        self.waiting = scenario.workers  # that have not begun
        self.slots = self.events = 0
        self.advanced: dict[str, list[tuple[float, Path]]] = {}
        self.disk: dict[str, Any] = {}
        self.shared = None if scenario.network else self.new_host()
        self.processes: dict[str, Process] = {}
        self.boot(m.COORDINATOR, m.COORDINATOR, Coordinator(self.job))
        for name in names:
            self.boot(name, "server", MeteredServer(name, 1))
        for n in range(scenario.workers):
            worker = Worker(f"worker{n}", 1)
            if scenario.joined > 1:
                worker.routes = {name: Patient() for name in names}
            self.boot(worker.name, "worker", worker)

    def new_host(self) -> Host:
        return Host(self.clock, self.scenario.cores, self.scenario.network)

    def boot(self, name: str, role: str, machine: Any) -> None:
        host = self.shared or self.new_host()
        process = self.processes[name] = Process(name, role, machine, host, self.clock)
        self.give(process, m.Started(), START)
        if role == "worker":
            begin = m.Begin(self.plan, dict.fromkeys(range(len(self.plan.chunks)), ONE), b"{}")
            self.give(process, begin, START)

    def run_until(self, slots: float) -> None:
        """Until so many slots were computed and count.

        Raises:
            ArgumentError: steps come to no end.
        """
        seen, since = self.slots, self.clock.now
        limit = ENDLESS * (1 + self.scenario.compute)
        while self.slots < slots:
            if not self.clock.step():
                raise Failure("nothing happens any more")
            if self.slots > seen:
                seen, since = self.slots, self.clock.now
            elif self.clock.now - since > limit:
                raise ArgumentError(
                    "dist forecast", f"in {limit:,.0f} s of virtual time no step came to its end",
                    {"workers": self.scenario.workers, "servers": self.scenario.servers},
                    "the coordinator or a server cannot keep up: fewer workers, or more servers",
                )  # fmt: skip

    # --- a node ---------------------------------------------------------------------------------

    def give(self, process: Process, event: Any, path: Path, seconds: float = 0.0) -> None:
        """An event for a machine, when its thread has time; `seconds`: to receive it."""
        process.node.add(self.price(seconds), path, partial(self.handle, process, event))

    def price(self, seconds: float) -> float:
        return 0.0 if self.is_free else seconds

    def handle(self, process: Process, event: Any, path: Path) -> list:
        """Let the machine handle an event.

        Returns:
            what its thread has to do for that: (seconds, then) of the handling and each message.
        """
        if not isinstance(event, m.Timer):
            process.path, process.handled = path, self.clock.now
        machine = process.machine
        self.events += 1
        before = machine.counts() if process.role == "server" else (0, 0)
        effects = self.timed(process, event)
        seconds = self.handling[process.role] * self.count_of(event)
        if process.role == "server":
            added, updated = (a - b for a, b in zip(machine.counts(), before))
            update = self.costs.update[self.scenario.optimizer]
            seconds += (added * self.costs.fold + updated * update) * self.chunk_bytes
        if isinstance(event, m.SlotChunk):
            seconds += self.costs.checksum * self.chunk_bytes
        local = [effect for effect in effects if not isinstance(effect, m.Send)]
        jobs = [(self.price(seconds), partial(self.carry_out, process, local))]
        for effect in effects:
            if isinstance(effect, m.Send):
                seconds = self.seconds_of(effect.message, process)
                jobs.append((self.price(seconds), partial(self.send, process, effect)))
        return jobs

    def timed(self, process: Process, event: Any) -> list:
        """The machine's answer, and what it says about how far everybody is."""
        machine, is_report = process.machine, False
        if process.role == m.COORDINATOR and isinstance(event, m.Received):
            is_report = isinstance(event.message, m.Report) and machine.steps is not None
        steps = machine.steps if is_report else None
        slot = event.message.slot if is_report else 0
        before = steps.next_step[slot] if steps else 0
        start = time.thread_time() if self.stopwatch is not None else 0.0
        effects = machine.handle(event, self.clock.now)
        if self.stopwatch is not None:
            found = self.stopwatch.setdefault(process.role, [0, 0.0])
            found[0] += 1
            found[1] += time.thread_time() - start
        if steps and self.mode.together:
            self.slots = steps.step * self.mode.counted(self.plan, 0)
        elif steps:
            self.slots += steps.next_step[slot] > before
        return effects

    def carry_out(self, process: Process, effects: list, path: Path) -> None:
        """Effects that stay in the process."""
        for effect in effects:
            match effect:
                case m.SetTimer(after, name):
                    timer = m.Timer(name)
                    process.timers[name] = id(timer)
                    when = self.clock.now + after * self.pace
                    self.clock.at(when, self.ring, process, timer)
                case m.Store(name, value, tag):
                    self.disk[name] = value
                    stored = m.Stored(name, tag, "")
                    path_then = plus(path, TIMERS, DISK)
                    self.clock.at(self.clock.now + DISK, self.give, process, stored, path_then)
                case m.Load(name, tag):
                    self.give(process, m.Loaded(name, self.disk.get(name), tag), path)
                case m.Exit(code, reason):
                    raise Failure(f"{process.name} ended: {reason} ({code})")
                case m.Rewind() | m.Advance() | m.Compute() | m.GiveState():
                    self.train(process, effect, path)

    def ring(self, process: Process, timer: m.Timer) -> None:
        """A timer's time has come. Whatever comes of it has waited for it since the last event."""
        if process.timers.get(timer.name) == id(timer):
            path = plus(process.path, TIMERS, self.clock.now - process.handled)
            self.give(process, timer, path)

    # --- the network ----------------------------------------------------------------------------

    def count_of(self, event: Any) -> float:
        """How many events of the job this one stands for."""
        what = event.message if isinstance(event, m.Received) else event
        return self.joined if isinstance(what, MANY | m.SlotChunk) else 1.0

    def nbytes_of(self, message: Any) -> float:
        """On the wire."""
        if isinstance(message, LARGE):
            return self.chunk_bytes + HEADER * self.joined
        if isinstance(message, m.StepDone):
            return HEADER + REPORT_BYTES * len(message.reports)
        return HEADER * (self.joined if isinstance(message, MANY) else 1.0)

    def seconds_of(self, message: Any, sender: Process | None = None) -> float:
        """That a node needs to send a message, or to receive it where there is no sender."""
        costs, is_sent = self.costs, sender is not None
        seconds = costs.message * (self.joined if isinstance(message, MANY) else 1.0)
        if isinstance(message, LARGE):
            return seconds + (costs.send_byte if is_sent else costs.receive_byte) * self.chunk_bytes
        if isinstance(message, m.StepDone):
            if sender is None or message is not sender.packed:  # as node.py has it
                seconds += costs.report[not is_sent] * len(message.reports)
            if sender is not None:
                sender.packed = message
        elif isinstance(message, m.Wanted):
            seconds += costs.entry[not is_sent] * len(message.servers)
        return seconds

    def io_seconds(self, message: Any) -> float:
        count = self.joined if isinstance(message, MANY) else 1.0
        way, costs = self.way, self.costs
        return costs.io_message[way] * count + costs.io_byte[way] * self.nbytes_of(message)

    def send(self, process: Process, effect: m.Send, path: Path) -> None:
        """The node has given a message to ZeroMQ's thread."""
        message, key = effect.message, None
        if isinstance(message, LARGE):
            key = (effect.to, type(message), *whole_numbers(message))
            if key in process.queued:  # as queued.py has it
                return
            process.queued.add(key)
        seconds = self.price(self.io_seconds(message))
        way = partial(self.leave, process, self.processes[effect.to], message, key)
        process.io.add(seconds, path, way)

    def leave(
        self, sender: Process, receiver: Process, message: Any, key: tuple | None, path: Path
    ) -> None:
        """Its bytes go to the network, or to the other process's memory."""
        now = self.clock.now
        if sender.host.out is None or self.is_free:
            self.arrive(sender, receiver, message, key, path)
            return
        begin, _ = sender.host.out.take(now, self.nbytes_of(message))
        first = begin + self.scenario.rtt / 2
        path = plus(path, NUMBER["network"], first - now)
        self.clock.at(first, self.come_in, sender, receiver, message, key, path)

    def come_in(
        self, sender: Process, receiver: Process, message: Any, key: tuple | None, path: Path
    ) -> None:
        """Its first byte is there."""
        now = self.clock.now
        _, last = receiver.host.into.take(now, self.nbytes_of(message))
        path = plus(path, NUMBER["network"], last - now)
        self.clock.at(last, self.arrive, sender, receiver, message, key, path)

    def arrive(
        self, sender: Process, receiver: Process, message: Any, key: tuple | None, path: Path
    ) -> None:
        """All of it is there: ZeroMQ's thread takes it, then the node's."""
        sender.queued.discard(key)
        event = m.Received(sender.name, message)
        seconds = self.seconds_of(message)
        if isinstance(message, LARGE):
            seconds += self.costs.checksum * self.chunk_bytes

        def take(path: Path) -> None:
            self.give(receiver, event, path, seconds)

        receiver.io.add(self.price(self.io_seconds(message)), path, take)

    # --- training -------------------------------------------------------------------------------

    def train(self, process: Process, effect: Any, path: Path) -> None:
        """What the training thread is told: it does one thing after the other."""
        generation, step, thread = effect.generation, effect.step, process.training
        if isinstance(effect, m.Compute):
            self.compute(process, effect, path)
            return
        seconds = 0.0
        if isinstance(effect, m.Rewind):
            self.waiting -= 1
            self.is_free = self.waiting > 0
        elif isinstance(effect, m.Advance):
            self.advanced.setdefault(process.name, []).append((self.clock.now, path))
            seconds = self.costs.load * self.scenario.size
        blob = b"{}" if isinstance(effect, m.GiveState) else b""
        state = m.RunState(generation, step, blob)
        part = NUMBER["worker"]
        thread.add(seconds, path, partial(self.say, process, state), part=part)

    def compute(self, process: Process, compute: m.Compute, path: Path) -> None:
        """A slot: forward, then backward, which gives the gradients of the last layers first."""
        where = compute.generation, compute.step, compute.slot
        usual, thread, chunks = self.scenario.compute, process.training, len(self.plan.chunks)
        more = self.factor(compute.step, compute.slot, process.number) - 1.0
        backward = usual * (1 - FORWARD) / chunks
        give = self.costs.give * self.chunk_bytes

        def go_on(number: int, path: Path) -> None:
            """Backward has come as far as this chunk."""
            if number < chunks:
                self.say(process, m.SlotChunk(*where, number, ONE), path)
            if number:
                then = partial(go_on, number - 1)
                thread.add(backward + give, path, then, extra=backward * more)
            else:
                values = {"values.loss": 1.0, "count": 1}
                done = m.SlotDone(*where, 1.0, self.groups, [], None, "", values)
                self.say(process, done, path)

        then = partial(go_on, chunks)
        thread.add(usual * FORWARD, path, then, extra=usual * FORWARD * more)

    def say(self, process: Process, event: Any, path: Path) -> None:
        """The training thread tells its machine something."""
        self.give(process, event, path, self.costs.message * self.count_of(event))
