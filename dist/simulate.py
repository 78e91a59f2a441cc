"""The world: the machines of a job on a heap of virtual time, with a network that is out to get us.

As FoundationDB and TigerBeetle are tested: everything that happens follows from one seed. A seed
draws a job (tensors, slots, optimizer, mode, processes) and a subset of faults: messages that are
lost, doubled, late, damaged; links that are cut, one way or both, or slow; processes that pause,
are slow, are killed (at any moment, or by a trap in the middle of something) and started again,
join and leave; all of them gone, and resumed with another number of servers; disks that are full
or slow, files that are torn. In every twelfth seed there are tens of steps between two barriers,
and losses come in bursts. The machines are those of real processes. After some seconds the
faults stop, and then must hold:

    bits        final weights, and the run's sums and history, are those of the oracle: one process,
                one optimizer, slots in order (sync; backup, with the slots that counted)
    folds       no (step, slot, chunk) is folded twice into the same weights
    staleness   no slot is computed with weights older than its mode allows
    memory      what server and worker hold is bounded
    progress    the job ends
    versions    a server gives the newest weights and those before
    checkpoint  what the manifest names is whole; files that it does not need are deleted

    python -m minidl_dist.schedules 1000 --mode any [--first SEED] [--show]
"""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from minidl_dist import messages as m
from minidl_dist.checked import CHECKED, Failure, check_bits, check_manifest
from minidl_dist.compress import parse as parse_compress
from minidl_dist.coordinator import Coordinator
from minidl_dist.decisions import FINISHED
from minidl_dist.faults import Faults
from minidl_dist.manifest import unneeded
from minidl_dist.modes import parse
from minidl_dist.plan import Job, Plan
from minidl_dist.toy import Toy, draw_long_toy, draw_toy, final_arrays, oracle, train
from minidl_dist.trainer import Trainer

COORDINATOR = m.COORDINATOR
LIMIT = 400.0  # by then a job must have ended
PLANS: dict[int, tuple[dict, Plan]] = {}  # id of a dictionary -> itself, and what it says
LONG, LONG_FROM = 12, 3  # every twelfth seed from this one: long epochs, and bursts of losses
HEALED = 40.0  # seconds after the last fault; a request may wait 30 until it is repeated


class Process:
    """A process: its machine, and if it is a worker its training thread."""

    def __init__(self, name: str, life: int, machine: Any, trainer: Trainer | None):
        self.name, self.life, self.machine, self.trainer = name, life, machine, trainer
        self.alive = True
        self.paused_until = 0.0
        self.timers: dict[str, m.Timer] = {}  # name -> the one that counts
        self.last_event = 0.0  # of the training thread: its events keep their order


class World(Faults):
    """One run of a job under faults.

    Args:
        seed: everything follows from it.
        mode: of the job; None: drawn.
        classes: role -> machine; a test plants bugs in it.
        faults: False: none, for measuring.
        compress: of the job.
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
        compress: str = "none",
    ):
        self.seed = seed
        r = self.random = random.Random(seed)
        self.is_long = toy is None and seed % LONG == LONG_FROM
        self.toy = toy or (draw_long_toy if self.is_long else draw_toy)(r)
        self.plan = self.toy.plan
        self.classes = {"coordinator": Coordinator, **CHECKED, **(classes or {})}
        count = servers or r.randint(1, min(3, len(self.plan.chunks)))
        self.server_names = tuple(f"server{i}" for i in range(count))
        self.mode_text = mode or self.draw_mode()
        if self.plan.slots == 1 and self.mode_text.startswith("backup"):
            self.mode_text = "sync"  # there is nothing to leave out
        self.mode = parse(self.mode_text)
        self.job = Job(
            self.server_names, self.mode_text, on_nan="skip",
            save_every=r.choice([0, 1, 2, 3]) * (20 if self.is_long else 1),
            compress=compress, beat=0.7, dead=2.0, missing=r.choice([15.0, 60.0]),
            limits={"compiling": 6.0, "computing": 3.0, "evaluating": 4.0},
        )  # fmt: skip
        self.heap: list = []
        self.count, self.now, self.events = 0, 0.0, 0
        self.disk = {} if disk is None else disk
        self.lives: dict[str, int] = {}
        self.nodes: dict[str, Process] = {}
        self.older: list[Process] = []
        self.calm_at = 0.0
        self.has_torn = False
        self.be_calm()
        self.counted: dict[int, list[int]] = {}  # mode backup: step -> slots that count
        self.counted_at: dict[str, dict[int, list[int]]] = {}  # checkpoint's run -> the same then
        self.result: tuple[str, int] | None = None
        self.notes: list[tuple[float, str, dict]] = []
        self.show = self.is_cancelled = self.was_drained = False
        self.pace = 0.2 if self.is_long else r.choice([1.0, 1.0, 1.0, 8.0])  # of all trainers
        self.tick = r.choice([1.0, 3.0, 3.0])  # how much later timers ring, on a busy machine
        for name in (COORDINATOR, *self.server_names):
            self.boot(name)
        for i in range(2 if self.is_long else r.randint(1, 4)):
            self.boot(f"worker{i}")
        if faults:
            self.draw_faults()

    def draw_mode(self) -> str:
        modes = ["sync", "async", f"ssp:{self.random.randint(0, 3)}"]
        if self.plan.slots > 1:
            modes.append(f"backup:{self.random.randint(1, self.plan.slots - 1)}")
        return self.random.choice(modes)

    # --- processes ------------------------------------------------------------------------------

    def boot(self, name: str) -> None:
        self.lives[name] = life = self.lives.get(name, 0) + 1
        role = name.rstrip("0123456789")
        trainer = None
        if role == "coordinator":
            machine = self.classes[role](self.job)
        else:
            machine = self.classes[role](name, life)
        machine.read_plan = read_plan
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

    def cancel(self) -> None:
        """As by the command; the job is not gone on with."""
        self.is_cancelled = True
        self.give(self.nodes[COORDINATOR], m.StopAsked("cancelled"))

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
        kind = type(what)
        if kind is tuple:  # of the training thread
            function, task, *arguments = what
            if task == process.trainer.task:
                function(*arguments)
            return
        if kind is m.Timer and process.timers.get(what.name) is not what:
            return
        self.events += 1
        if self.show:
            print(f"{self.now:8.3f} {process.name:12} <- {brief(what)}")
        for effect in process.machine.handle(what, self.now):
            if type(effect) is m.Send:
                self.send(process, effect.to, effect.message)
            else:
                self.carry_out(process, effect)
        if self.traps and process.trainer is not None:
            self.spring(kind, process.name)

    def carry_out(self, process: Process, effect: Any) -> None:
        match effect:
            case m.SetTimer(after, name):
                timer = process.timers[name] = m.Timer(name)
                self.at(after * self.tick, process, timer)
            case m.Store(name):
                if name.startswith("run-"):
                    self.counted_at.setdefault(name, dict(self.counted))
                if self.traps and process not in self.older:
                    self.spring(m.Store, process.name, effect)
                after = self.random.uniform(0.005, 0.05) * self.slow_disks.get(process.name, 1.0)
                self.call(after, self.store, process, effect)
            case m.Load():
                self.at(0.01, process, self.load(effect))
                if self.traps:
                    self.spring(m.Load, process.name)
            case m.Remove(names):
                for name in names:
                    self.disk.pop(name, None)
            case m.Sweep():
                for name in unneeded(self.disk, effect):
                    del self.disk[name]
            case m.Note(facts):
                self.notes.append((self.now, process.name, facts))
                self.was_drained |= facts["what"] == "stopping"
                base = process.machine.base if facts["what"] == "generation" else None
                if base is not None:  # perhaps not of the generation before
                    self.counted |= self.counted_at.get(base.run, {})
                late = self.now > self.calm_at + HEALED or not self.calm_at
                if late and "gets no answer" in facts.get("why", ""):
                    raise Failure(f"no progress: {facts}")
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
        if process.name == COORDINATOR and (reason == FINISHED or self.is_cancelled):
            self.result = reason, code
        elif "nothing has happened" in reason:
            raise Failure(f"no progress: {reason}")
        elif code == 2 or (process.name == COORDINATOR and code and "manifest" not in reason):
            raise Failure(f"{process.name} ended: {reason}")
        else:
            self.call(0.5, self.boot_unless_there, process.name)  # or resumed, by its id

    # --- network and disk -----------------------------------------------------------------------

    def send(self, process: Process, to: str, message: Any) -> None:
        if type(message) is m.Counted and process not in self.older:
            self.counted[message.step] = message.slots
        delay = 0.001 + 0.009 * self.random.random()
        if not self.is_rough:
            arrival = self.arrive, (process.name, to, message)
            self.count += 1
            heapq.heappush(self.heap, (self.now + delay, self.count, None, arrival))
            return
        for late, copy in self.harmed(process.name, to, message):
            self.call(delay + late, self.arrive, process.name, to, copy)

    def arrive(self, sender: str, to: str, message: Any) -> None:
        process = self.nodes.get(to)
        if self.older and to == COORDINATOR and self.random.random() < 0.3:
            process = self.older[0]
        if process is not None and process.alive:
            self.happens(process, m.Received(sender, message))
            if self.traps:
                self.spring(type(message), self.random.choice([to, sender]))

    def store(self, process: Process, effect: m.Store) -> None:
        """Whole or not at all; not of a process that was killed before."""
        if not process.alive:
            return
        is_full = self.full_disks.get(process.name, 0.0) > self.now
        error = "no space left on device" if is_full else ""
        value = effect.value
        if effect.name == "manifest" and not error:
            token, is_claim = value["token"], m.CLAIM in value
            if self.disk.get("token", 0) >= token + (not is_claim):
                error = m.FENCED
            else:
                self.disk["token"] = token
                if not is_claim:
                    self.disk["manifest"] = json.loads(json.dumps(value))
                    check_manifest(self.plan, self.disk)
        elif not error:
            self.disk[effect.name] = deepcopy(value)  # arrays may change from now on
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
        if self.mode_text == "sync" and self.keeps_bits:
            check_bits(step, oracle(self.toy, self.job).weights[step], tensors)

    @property
    def keeps_bits(self) -> bool:
        """Where compression has residuals: not after a stop on purpose, nor where slots are left
        out."""
        remembers = parse_compress(self.job.compress).remembers
        return not remembers or not (self.was_drained or self.mode.backup)

    def check_result(self) -> None:
        manifest = self.disk["manifest"]
        entry = manifest["checkpoints"][-1]
        arrays = final_arrays(self.plan, [self.disk[name] for name in entry["files"]])
        run = json.loads(self.disk[entry["run"]])
        self.check_files(manifest)
        right = oracle(self.toy, self.job)
        if entry["step"] != right.last and not self.is_cancelled:
            raise Failure(f"ended at step {entry['step']} instead of {right.last}")
        if self.mode.backup:
            right = train(self.toy, self.job, self.counted)
        if self.mode.together and self.keeps_bits:
            step = entry["step"]
            check_bits(step, right.weights[step], arrays)
            if run != right.runs[step]:
                raise Failure(f"run: {run} instead of {right.runs[step]}")
        elif not all(np.isfinite(array).all() for array in arrays.values()):
            raise Failure("weights are not finite")
        elif self.toy.nan is None and not self.mode.together:
            self.check_counts(arrays)

    def check_files(self, manifest: dict[str, Any]) -> None:
        """What no checkpoint needs was deleted, but for what was on its way in each life."""
        needed = {"manifest", "token"}
        for entry in manifest["checkpoints"]:
            needed |= {*entry["files"], entry["run"]}
        left = sorted(set(self.disk) - needed)
        if len(left) > len(self.lives) + 2 * sum(self.lives.values()):
            raise Failure(f"files: {left}")

    def check_counts(self, arrays: dict[str, np.ndarray]) -> None:
        """Each slot was counted once: batch norm's count says how often."""
        found = oracle(self.toy, self.job)
        right = found.weights[found.last]
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


def read_plan(values: dict[str, Any]) -> Plan:
    """As Plan.from_dict, but of the same dictionary once: all processes of a world share it."""
    known = PLANS.get(id(values))
    if known is None or known[0] is not values:
        if len(PLANS) > 1000:
            PLANS.clear()
        known = PLANS[id(values)] = values, Plan.from_dict(values)
    return known[1]


def brief(event: Any) -> str:
    if isinstance(event, m.Received):
        return f"{event.sender}: {m.name_of(event.message)}"
    return m.name_of(event)
