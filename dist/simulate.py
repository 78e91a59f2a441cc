"""The world: the machines of a job on a heap of virtual time, with a network that is out to get us.

As FoundationDB and TigerBeetle are tested: everything that happens follows from one seed. A seed
draws a job (tensors, slots, optimizer, mode, processes) and a subset of faults: messages that are
lost, doubled, late, damaged; links that are cut, one way or both; processes that pause, are killed
and started again, join and leave; disks that are full, files that are torn. The machines are those
of real processes. After some seconds the faults stop, and then must hold:

    bits        final weights, and the run's sums and history, are those of the oracle: one process,
                one optimizer, slots in order
    folds       no (step, slot, chunk) is folded twice into the same weights
    staleness   no slot is computed with weights older than its mode allows
    memory      what server and worker hold is bounded
    progress    the job ends

    python -m minidl_dist.simulate 1000 [--mode ssp:2] [--first SEED] [--show]
"""

from __future__ import annotations

import heapq
import json
import random
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

import minidl
from minidl_dist import messages as m
from minidl_dist.aggregate import Aggregate
from minidl_dist.coordinator import FINISHED, Coordinator
from minidl_dist.modes import parse
from minidl_dist.plan import Job
from minidl_dist.server import Server
from minidl_dist.toy import Toy, draw_toy, final_arrays, oracle
from minidl_dist.worker import Worker

COORDINATOR = m.COORDINATOR
FAULTS_END = 8.0  # seconds of virtual time
LIMIT = 400.0  # by then a job must have ended
CALM = {"drop": 0.0, "double": 0.0, "late": 0.0, "damage": 0.0}


class Failure(Exception):
    """Something that must hold does not."""


class Process:
    """A process: its machine, and if it is a worker its training thread."""

    def __init__(self, name: str, life: int, machine: Any, trainer: Trainer | None):
        self.name, self.life, self.machine, self.trainer = name, life, machine, trainer
        self.alive = True
        self.paused_until = 0.0
        self.timers: dict[str, int] = {}  # name -> which of them counts
        self.last_event = 0.0  # of the training thread: its events keep their order


class World:
    """One run of a job under faults.

    Args:
        seed: everything follows from it.
        mode: of the job; None: drawn.
        classes: role -> machine; a test plants bugs in it.
        faults: False: none, for measuring.
    """

    def __init__(
        self,
        seed: int,
        mode: str | None = "sync",
        classes: dict[str, type] | None = None,
        faults: bool = True,
        toy: Toy | None = None,
        disk: dict[str, Any] | None = None,
        servers: int | None = None,
    ):
        self.seed = seed
        r = self.random = random.Random(seed)
        self.toy = toy or draw_toy(r)
        self.plan = self.toy.plan
        self.classes = {"server": Server, "worker": Worker, "coordinator": Coordinator}
        self.classes |= classes or {}
        count = servers or r.randint(1, min(3, len(self.plan.chunks)))
        self.server_names = tuple(f"server{i}" for i in range(count))
        self.mode_text = mode or self.draw_mode()
        self.mode = parse(self.mode_text)
        self.job = Job(
            self.server_names, self.mode_text, save_every=r.choice([0, 1, 2, 3]), on_nan="skip",
            beat=0.3, dead=2.0, missing=60.0,
            limits={"compiling": 20.0, "computing": 5.0, "evaluating": 10.0},
        )  # fmt: skip
        self.heap: list = []
        self.count, self.now, self.events = 0, 0.0, 0
        self.disk = {} if disk is None else disk
        self.lives: dict[str, int] = {}
        self.nodes: dict[str, Process] = {}
        self.older: list[Process] = []  # coordinators that were replaced while they lived
        self.cut: dict[tuple[str, str], float] = {}
        self.disk_full_until = 0.0
        self.torn, self.has_torn = 0, False  # how many reads of files will fail
        self.result: tuple[str, int] | None = None
        self.notes: list[tuple[float, str, dict]] = []
        self.show = False
        self.chances = dict(CALM)
        for name in (COORDINATOR, *self.server_names):
            self.boot(name)
        for i in range(r.randint(1, 4)):
            self.boot(f"worker{i}")
        if faults:
            self.draw_faults()

    def draw_mode(self) -> str:
        modes = ["sync", "async", f"ssp:{self.random.randint(0, 3)}"]
        if self.plan.slots > 1:
            modes.append(f"backup:{self.random.randint(1, self.plan.slots - 1)}")
        return self.random.choice(modes)

    # --- faults ---------------------------------------------------------------------------------

    def draw_faults(self) -> None:
        """A subset of them (swarm testing, Groce et al. 2012): rare ones get their turn, too."""
        r = self.random
        for name in self.chances:
            if r.random() < 0.5:
                self.chances[name] = r.choice([0.02, 0.1])
        for fault in (
            self.kill_worker, self.kill_server, self.kill_coordinator, self.kill_all, self.pause,
            self.cut_link, self.join, self.leave, self.second_coordinator, self.fill_disk,
            self.tear, self.hang,
        ):  # fmt: skip
            if r.random() < 0.3:
                latest = r.choice([1.5, 3.0, FAULTS_END])
                for _ in range(r.randint(1, 3)):
                    self.call(r.uniform(0.3, latest), fault)
        self.call(FAULTS_END, self.calm)

    def calm(self) -> None:
        self.chances = dict(CALM)
        self.cut = {}
        self.disk_full_until, self.torn = 0.0, 0
        for process in [*self.nodes.values(), *self.older]:
            process.paused_until = 0.0

    def workers(self) -> list[str]:
        return sorted(name for name in self.nodes if name.startswith("worker"))

    def kill(self, name: str) -> None:
        """Kill -9. Its parent may see it; it is started again, or a worker by another name."""
        process = self.nodes.pop(name, None)
        if process is None:
            return
        process.alive = False
        if self.random.random() < 0.5 and name != COORDINATOR:
            self.call(0.05, self.tell_left, name, process.life)
        after = self.random.uniform(0.1, 3.0)
        if name.startswith("worker") and self.random.random() < 0.5:
            self.call(after, self.join)
        else:
            self.call(after, self.boot_unless_there, name)

    def tell_left(self, name: str, life: int) -> None:
        if COORDINATOR in self.nodes and self.lives[name] == life:
            self.give(self.nodes[COORDINATOR], m.Left(name, "signal 9"))

    def boot_unless_there(self, name: str) -> None:
        if name not in self.nodes and self.result is None:
            self.boot(name)

    def kill_worker(self) -> None:
        if self.workers():
            self.kill(self.random.choice(self.workers()))

    def kill_server(self) -> None:
        self.kill(self.random.choice(self.server_names))

    def kill_coordinator(self) -> None:
        self.kill(COORDINATOR)

    def kill_all(self) -> None:
        for name in list(self.nodes):
            self.kill(name)

    def pause(self) -> None:
        if not self.nodes:
            return
        name = self.random.choice(sorted(self.nodes))
        self.nodes[name].paused_until = self.now + self.random.uniform(0.5, 5.0)

    def cut_link(self) -> None:
        """Between two processes, one way or both."""
        names = sorted(self.nodes)
        if len(names) < 2:
            return
        a, b = self.random.sample(names, 2)
        self.cut[a, b] = self.now + self.random.uniform(0.5, 5.0)
        if self.random.random() < 0.5:
            self.cut[b, a] = self.cut[a, b]

    def join(self) -> None:
        if self.result is None:
            self.boot(f"worker{len([n for n in self.lives if n.startswith('worker')])}")

    def leave(self) -> None:
        """A worker is asked to end, as when a machine is wanted back; another comes later."""
        if self.workers():
            name = self.random.choice(self.workers())
            self.give(self.nodes[name], m.StopAsked("SIGTERM"))
            self.call(self.random.uniform(1.0, 4.0), self.boot_unless_there, name)

    def second_coordinator(self) -> None:
        """One that is believed dead, but is not: split brain."""
        if COORDINATOR in self.nodes:
            old = self.nodes.pop(COORDINATOR)
            old.paused_until = self.now + self.random.choice([0.0, 2.0])
            self.older.append(old)
            self.boot(COORDINATOR)

    def fill_disk(self) -> None:
        self.disk_full_until = self.now + self.random.uniform(0.5, 4.0)

    def tear(self) -> None:
        """The next file of a checkpoint that is read has the wrong hash."""
        steps = self.disk.get("manifest", {"checkpoints": []})["checkpoints"]
        if len(steps) > 1 and not self.has_torn:
            self.torn, self.has_torn = 1, True

    def hang(self) -> None:
        """The training thread of a worker does nothing any more."""
        if self.workers():
            self.nodes[self.random.choice(self.workers())].trainer.hangs = True

    # --- processes ------------------------------------------------------------------------------

    def boot(self, name: str) -> None:
        self.lives[name] = life = self.lives.get(name, 0) + 1
        role = name.rstrip("0123456789")
        trainer = None
        if role == "coordinator":
            machine = self.classes[role](self.job)
        else:
            machine = self.classes[role](name, life)
        if role == "worker":
            trainer = Trainer(self)
        process = self.nodes[name] = Process(name, life, machine, trainer)
        if trainer is not None:
            trainer.process = process
            trainer.say(self.random.uniform(0.0, 0.5), self.toy.begin())
        self.give(process, m.Started())

    def at(self, after: float, process: Process | None, what: Any) -> None:
        self.count += 1
        heapq.heappush(self.heap, (self.now + after, self.count, process, what))

    def call(self, after: float, function: Callable, *arguments: Any) -> None:
        self.at(after, None, (function, arguments))

    def give(self, process: Process, event: Any, after: float = 0.0) -> None:
        self.at(after, process, event)

    # --- running --------------------------------------------------------------------------------

    def run(self) -> World:
        """Until the job has ended.

        Raises:
            Failure: something does not hold.
        """
        while self.result is None:
            if not self.heap:
                raise Failure("nothing happens any more")
            self.now, _, process, what = heapq.heappop(self.heap)
            if self.now > LIMIT:
                raise Failure(f"no progress: {self.where()}")
            if process is None:
                what[0](*what[1])
            elif process.alive:
                self.happens(process, what)
        self.check_result()
        return self

    def happens(self, process: Process, what: Any) -> None:
        if process.paused_until > self.now:
            self.at(process.paused_until - self.now, process, what)
            return
        if isinstance(what, tuple):  # of the training thread
            function, task, *arguments = what
            if task == process.trainer.task:
                function(*arguments)
            return
        if isinstance(what, m.Timer) and process.timers.get(what.name) != id(what):
            return
        self.events += 1
        if self.show:
            print(f"{self.now:8.3f} {process.name:12} <- {brief(what)}")
        for effect in process.machine.handle(what, self.now):
            self.carry_out(process, effect)
        if isinstance(what, m.Received) and isinstance(what.message, m.Push | m.Head):
            self.check_memory(process.machine)

    def carry_out(self, process: Process, effect: Any) -> None:
        match effect:
            case m.Send(to, message):
                self.send(process, to, message)
            case m.SetTimer(after, name):
                timer = m.Timer(name)
                process.timers[name] = id(timer)
                self.at(after, process, timer)
            case m.Store():
                self.call(self.random.uniform(0.005, 0.05), self.store, process, effect)
            case m.Load():
                self.at(0.01, process, self.load(effect))
            case m.Remove(names):
                for name in names:
                    self.disk.pop(name, None)
            case m.Note(facts):
                self.notes.append((self.now, process.name, facts))
                if self.show:
                    print(f"{self.now:8.3f} {process.name:12}    {facts}")
            case m.Exit(code, reason):
                self.exits(process, code, reason)
            case _:
                if isinstance(effect, m.Compute):
                    self.check_staleness(effect)
                process.trainer.take(effect)

    def exits(self, process: Process, code: int, reason: str) -> None:
        process.alive = False
        if self.show:
            print(f"{self.now:8.3f} {process.name:12} exits: {code} {reason}")
        if process in self.older:
            self.older.remove(process)
            return
        if self.nodes.get(process.name) is process:
            del self.nodes[process.name]
        if process.name == COORDINATOR and reason == FINISHED:
            self.result = reason, code
        elif code == 2 or (process.name == COORDINATOR and code and "manifest" not in reason):
            raise Failure(f"{process.name} ended: {reason}")
        else:
            self.call(0.5, self.boot_unless_there, process.name)  # or resumed, by its id

    # --- network and disk -----------------------------------------------------------------------

    def send(self, process: Process, to: str, message: Any) -> None:
        r, chances = self.random, self.chances
        link = process.name, to
        copies = 2 if chances["double"] and r.random() < chances["double"] else 1
        for _ in range(copies):
            if chances["drop"] and r.random() < chances["drop"]:
                continue
            if self.cut and self.cut.get(link, 0.0) > self.now:
                continue
            delay = r.uniform(0.001, 0.01)
            if chances["late"] and r.random() < chances["late"]:
                delay += r.expovariate(1.0)
            if chances["damage"] and r.random() < chances["damage"]:
                message = damaged(message)
            self.call(delay, self.arrive, process.name, to, message)

    def arrive(self, sender: str, to: str, message: Any) -> None:
        process = self.nodes.get(to)
        if to == COORDINATOR and self.older and self.random.random() < 0.3:
            process = self.older[0]
        if process is not None and process.alive:
            self.happens(process, m.Received(sender, message))

    def store(self, process: Process, effect: m.Store) -> None:
        """Whole or not at all; not of a process that was killed before."""
        if not process.alive:
            return
        error = "no space left on device" if self.disk_full_until > self.now else ""
        value = effect.value
        if effect.name == "manifest" and not error:
            token, is_claim = value["token"], m.CLAIM in value
            if self.disk.get("token", 0) >= token + (not is_claim):
                error = m.FENCED
            else:
                self.disk["token"] = token
                if not is_claim:
                    self.disk["manifest"] = json.loads(json.dumps(value))
        elif not error:
            self.disk[effect.name] = value
        self.give(process, m.Stored(effect.name, effect.tag, "sha", error))

    def load(self, effect: m.Load) -> m.Loaded:
        if self.torn and effect.name != "manifest":
            self.torn -= 1
            return m.Loaded(effect.name, None, effect.tag, "its hash is another")
        value = self.disk.get(effect.name)
        if effect.name == "manifest" and "token" in self.disk:
            value = {**(value or {}), "token": self.disk["token"]}
        return m.Loaded(effect.name, value, effect.tag)

    # --- what must hold -------------------------------------------------------------------------

    def check_memory(self, machine: Any) -> None:
        """Of a server, at most: two versions, a sum, and what all slots of a step have staged."""
        if not isinstance(machine, Server) or machine.aggregate is None:
            return
        aggregate, S = machine.aggregate, self.plan.slots
        weights = sum(self.plan.chunks[n].nbytes for n in aggregate.mine)
        if aggregate.nbytes > (3 + S + 3) * weights or len(aggregate.heads) > 2 * S:
            raise Failure(f"memory: {aggregate.nbytes} bytes for {weights} of weights")
        if sum(len(p) for p in machine.parked.values()) > len(aggregate.mine) * len(self.lives):
            raise Failure("memory: more pulls are kept than there are workers")

    def check_staleness(self, compute: m.Compute) -> None:
        needed = self.mode.weights_of(self.plan, self.job, compute.step)
        for name in self.server_names:
            process = self.nodes.get(name)
            if process is None or process.machine.generation != compute.generation:
                continue
            aggregate = process.machine.aggregate
            if aggregate.is_whole and aggregate.step < needed:
                raise Failure(f"staleness: {compute} with version {aggregate.step}")

    def check_weights(self, step: int, tensors: dict[str, np.ndarray]) -> None:
        """What a worker computes with is what one process would have, to the last bit."""
        if self.mode_text != "sync":
            return
        for name, right in oracle(self.toy).weights[step].items():
            if right.tobytes() != tensors[name].tobytes():
                raise Failure(f"bits: {name} differs at step {step}")

    def check_result(self) -> None:
        manifest = self.disk["manifest"]
        entry = manifest["checkpoints"][-1]
        arrays = final_arrays(self.plan, [self.disk[name] for name in entry["files"]])
        run = json.loads(self.disk[entry["run"]])
        right = oracle(self.toy)
        if self.result[0] == FINISHED and entry["step"] != right.last:
            raise Failure(f"ended at step {entry['step']} instead of {right.last}")
        if self.mode_text == "sync":
            self.check_weights(entry["step"], arrays)
            if run != right.runs[entry["step"]]:
                raise Failure(f"run: {run} instead of {right.runs[entry['step']]}")
        elif not all(np.isfinite(array).all() for array in arrays.values()):
            raise Failure("weights are not finite")
        elif not self.mode.together and self.toy.nan is None:
            self.check_counts(arrays)

    def check_counts(self, arrays: dict[str, np.ndarray]) -> None:
        """Each slot was counted once: batch norm's count says how often."""
        right = oracle(self.toy).weights[oracle(self.toy).last]
        for spec in self.plan.tensors:
            if spec.kind == "count" and arrays[spec.name] != right[spec.name]:
                raise Failure(f"folds: {arrays[spec.name]} slots instead of {right[spec.name]}")

    def where(self) -> str:
        """What everybody is doing, for a report."""
        parts = [f"{self.mode_text}, {self.plan.total_steps} steps, {self.plan.slots} slots"]
        for name, process in sorted(self.nodes.items()):
            machine = process.machine
            if name == COORDINATOR:
                at = machine.steps.step if machine.steps else None
                parts.append(
                    f"{name}: generation {machine.generation} step {at} ready {machine.ready} "
                    f"until {machine.until} owner {machine.members.owner} stop {machine.stop} "
                    f"draining {machine.draining!r} manifest {machine.manifest.step} "
                    f"ended {machine.ended} states {sorted(machine.states)}"
                )
            else:
                parts.append(
                    f"{name}: {machine.generation} {machine.state()} step {machine.step_of_beat()}"
                )
        return "\n  ".join(parts)


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
        return folded


class CheckedServer(Server):
    aggregate_class = Checked


class Trainer:
    """The training thread of a worker: fit's loop as a machine of its own.

    Attributes:
        task: rises with a Rewind; what was scheduled before is dropped.
        run: what a checkpoint holds of the run: step, sums of the epoch, history, stop.
        at_step: generation and step that were announced by RunState; nothing is computed before.
    """

    def __init__(self, world: World):
        self.world, self.toy, self.random = world, world.toy, world.random
        self.process: Process | None = None
        self.task = 0
        self.tensors: dict[str, np.ndarray] = {}
        self.run: dict[str, Any] = {}
        self.at_step: tuple[int, int] | None = None
        self.waiting: m.Compute | None = None
        self.chief = self.hangs = False
        self.validating = ""

    def say(self, after: float, event: Any) -> None:
        """An event for our machine; they keep their order, as in a queue."""
        process, world = self.process, self.world
        process.last_event = max(process.last_event, world.now + after)
        world.at(process.last_event - world.now, process, event)

    def later(self, after: float, function: Callable, *arguments: Any) -> None:
        self.world.at(after, self.process, (function, self.task, *arguments))

    def take(self, effect: Any) -> None:
        match effect:
            case m.Rewind():
                self.task += 1
                self.waiting, self.validating = None, ""
                self.load(effect)
                self.run = json.loads(effect.blob)
                self.later(0.01, self.announce)
            case m.Advance():
                self.load(effect)
                self.run["step"] = effect.step
                for report in effect.reports:
                    self.run["sum"] += report["values"]["loss"] * report["weight"]
                    self.run["weight"] += report["weight"]
                if effect.step % self.toy.plan.steps_per_epoch == 0:
                    self.later(0.001, self.end_epoch)
                else:
                    self.later(0.001, self.announce)
            case m.Compute():
                self.waiting = effect
                self.start_slot()
            case m.Chief(chief):
                self.chief = chief
                if chief and self.validating:
                    self.later(0.05, self.validate)
            case m.Published(key, value):
                if key == self.validating:
                    self.finish_epoch(value["score"])

    def load(self, effect: m.Rewind | m.Advance) -> None:
        self.generation = effect.generation
        self.at_step = None
        self.tensors = self.toy.tensors_of(effect.chunks)
        self.world.check_weights(effect.step, self.tensors)

    # --- steps and epochs -----------------------------------------------------------------------

    def announce(self) -> None:
        """A step begins, or the loop is over."""
        step = self.run["step"]
        self.say(0.0, m.RunState(self.generation, step, json.dumps(self.run).encode()))
        self.at_step = self.generation, step
        if self.run["stop"] or step == self.toy.plan.total_steps:
            self.say(0.0, m.Ended(self.generation, step))
        else:
            self.start_slot()

    def start_slot(self) -> None:
        is_over = self.run.get("stop", False)
        if self.waiting and self.at_step is not None and not self.hangs and not is_over:
            compute, self.waiting = self.waiting, None
            self.later(self.random.uniform(0.01, 0.1), self.compute, compute)

    def compute(self, compute: m.Compute) -> None:
        where = compute.generation, compute.step, compute.slot
        chunks, done = self.toy.gradients(compute.step, compute.slot, self.tensors)
        for number in sorted(chunks, reverse=True):  # the last layers come first
            self.say(self.random.uniform(0.0, 0.01), m.SlotChunk(*where, number, chunks[number]))
        together = self.world.mode.together
        self.say(0.001, m.SlotDone(*where, **{**done, "clip": done["clip"] if together else None}))

    def end_epoch(self) -> None:
        self.validating = f"validation {self.run['step']}"
        if self.chief:
            self.say(0.0, m.Doing("evaluating"))
            self.later(self.random.uniform(0.05, 0.4), self.validate)
        else:
            self.say(0.0, m.Await(self.validating))

    def validate(self) -> None:
        if self.hangs or not self.validating:
            return
        score = self.toy.score(self.tensors)
        self.say(0.0, m.Publish(self.validating, {"score": score}))
        self.say(0.0, m.Doing(""))
        self.finish_epoch(score)

    def finish_epoch(self, score: float) -> None:
        self.validating = ""
        self.toy.finish_epoch(self.run, score)
        self.later(0.001, self.announce)


def damaged(message: Any) -> Any:
    """The message with a flipped bit in its values. (A damaged header, the Node drops.)"""
    values = getattr(message, "values", None)
    if not isinstance(values, np.ndarray) or not values.size:
        return message
    flipped = values.copy()
    flipped.view(np.uint8)[0] ^= 0x10
    return type(message)(**{**vars(message), "values": flipped})


def brief(event: Any) -> str:
    if isinstance(event, m.Received):
        return f"{event.sender}: {m.name_of(event.message)}"
    return m.name_of(event)


def simulate(seed: int, mode: str | None = "sync", classes: dict | None = None) -> World:
    """One schedule.

    Raises:
        Failure
    """
    window = {"server": CheckedServer}
    return World(seed, mode, window | (classes or {})).run()


def main(arguments: list[str]) -> int:
    """Many schedules; prints what failed, with the seed that shows it again."""
    count = int(arguments[0])
    mode = arguments[arguments.index("--mode") + 1] if "--mode" in arguments else "sync"
    first = int(arguments[arguments.index("--first") + 1]) if "--first" in arguments else 0
    started, events, bad = time.process_time(), 0, []
    for seed in range(first, first + count):
        world = World(seed, None if mode == "any" else mode, {"server": CheckedServer})
        world.show = "--show" in arguments
        try:
            world.run()
        except Exception as failure:
            bad.append(seed)
            print(f"seed {seed}: {failure!r}" if world.show else f"seed {seed}: {failure}")
            if not isinstance(failure, Failure):
                traceback.print_exc(limit=-3)
        events += world.events
    spent = time.process_time() - started
    print(
        f"{count} schedules, {events:,} events, {spent:.1f} s of CPU, "
        f"{events / spent:,.0f} events/s; {len(bad)} failed: {bad[:20]}"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    minidl.use_cpu_kernels("reference")
    sys.exit(main(sys.argv[1:]))
