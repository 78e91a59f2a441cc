"""What goes wrong in the world of simulate.py, and when it stops."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import inf
from typing import Any

from minidl_dist import messages as m
from minidl_dist.checked import damaged
from minidl_dist.messages import COORDINATOR
from minidl_dist.plan import Job, Plan

FAULTS_END = 6.0  # seconds of virtual time after the first
CALM = {"drop": 0.0, "double": 0.0, "late": 0.0, "damage": 0.0}
HEADER = 100  # bytes of a message besides its values
BEARABLE = 3.0  # how many times as long a worker may take for ever
LONGEST_QUEUE = 4.0  # seconds; what would wait longer for a slow line is lost
TRAPS = (
    m.Initial, m.Push, m.Head, m.Norms, m.Counted, m.Saved, m.RunState, m.StepDone, m.Publish,
    m.Report, m.Ack, m.Ack, m.Weights, m.SlotChunk, m.SlotDone, m.Store, m.Store, m.Load,
)  # fmt: skip


class Faults:
    """The part of the World that harms.

    Attributes:
        chances: of each message to be lost, doubled, late, damaged.
        cut: (from, to) -> until when nothing gets through.
        rates: process -> bytes per second that it can send.
        line_free: process -> when all that it has sent so far is gone.
        is_rough: something of these is set.
        is_long: there are tens of steps between two barriers, and bursts of losses.
        full_disks: process -> until when it can write nothing.
        slow_disks: process -> how many times as long its disk takes.
        torn, has_torn: how many reads of files will fail; whether any did.
        traps: kind of message or effect -> how many of them until a process is harmed by it, and
            what that does.
        older: coordinators that were replaced while they lived.
    """

    random: random.Random
    now: float
    heap: list
    plan: Plan
    job: Job
    result: tuple[str, int] | None
    nodes: dict[str, Any]
    older: list
    lives: dict[str, int]
    disk: dict[str, Any]
    server_names: tuple[str, ...]
    is_long: bool
    call: Callable
    give: Callable
    boot: Callable
    arrive: Callable
    store: Callable

    def be_calm(self) -> None:
        self.chances = dict(CALM)
        self.cut: dict[tuple[str, str], float] = {}
        self.rates: dict[str, float] = {}
        self.line_free: dict[str, float] = {}
        self.is_rough = False
        self.full_disks: dict[str, float] = {}
        self.slow_disks: dict[str, float] = {}
        self.torn = 0
        self.traps: dict[type, tuple[int, Callable[[str], None]]] = {}

    def draw_faults(self) -> None:
        """A subset of them (swarm testing, Groce et al. 2012): rare ones get their turn, too."""
        r = self.random
        first = r.choice([0.3, 0.3, r.uniform(0.3, 20.0)])
        share = 0.2 if self.is_long else 1.0  # else no epoch comes to its end before they stop
        for name in self.chances:
            if r.random() < 0.5 * share:
                self.chances[name] = r.choice([0.02, 0.1])
        self.is_rough = any(self.chances.values())
        for fault in (
            self.kill_worker, self.kill_server, self.kill_coordinator, self.kill_all, self.pause,
            self.cut_link, self.cut_for_long, self.slow_line, self.join, self.leave,
            self.second_coordinator, self.fill_disk, self.slow_disk, self.tear, self.hang,
            self.straggle, self.set_trap, self.set_trap, self.resize,
        ):  # fmt: skip
            if r.random() < 0.25 * share:
                latest = r.choice([0.7, 1.5, 3.0, FAULTS_END])
                for _ in range(r.randint(1, 3)):
                    self.call(first + r.uniform(0.0, latest), fault)
        if self.is_long:
            self.set_burst()
        self.calm_at = first + FAULTS_END
        self.call(self.calm_at, self.calm)

    def calm(self) -> None:
        self.be_calm()
        for process in [*self.nodes.values(), *self.older]:
            process.paused_until = 0.0
            if process.trainer is not None:
                process.trainer.pace = min(process.trainer.pace, BEARABLE)

    # --- messages -------------------------------------------------------------------------------

    def harmed(self, sender: str, to: str, message: Any) -> list[tuple[float, Any]]:
        """(seconds that it takes longer, message) of each copy that arrives."""
        r, chances, found = self.random, self.chances, []
        copies = 2 if chances["double"] and r.random() < chances["double"] else 1
        for _ in range(copies):
            if chances["drop"] and r.random() < chances["drop"]:
                continue
            if self.cut and self.cut.get((sender, to), 0.0) > self.now:
                continue
            late = self.queue(sender, message) if sender in self.rates else 0.0
            if late > LONGEST_QUEUE:
                continue
            if chances["late"] and r.random() < chances["late"]:
                late += r.expovariate(1.0)
            if chances["damage"] and r.random() < chances["damage"]:
                message = damaged(message)
            found.append((late, message))
        return found

    def queue(self, sender: str, message: Any) -> float:
        """Seconds until a message has left on a slow line, behind all that was sent before."""
        size = HEADER + getattr(getattr(message, "values", None), "nbytes", 0)
        start = max(self.now, self.line_free.get(sender, 0.0))
        late = start + size / self.rates[sender] - self.now
        if late <= LONGEST_QUEUE:
            self.line_free[sender] = self.now + late
        return late

    def cut_link(self) -> None:
        """Between two processes, one way or both."""
        self.cut_between(self.now + self.random.uniform(0.5, 5.0))

    def cut_for_long(self) -> None:
        """Until the faults stop."""
        self.cut_between(inf)

    def set_burst(self) -> None:
        """In the middle of an epoch, whenever that is; then another one, until the faults stop."""
        self.traps[m.SlotDone] = self.random.randint(5, 50), self.burst

    def burst(self, _: str) -> None:
        """All that workers send to the coordinator, say, is lost for some time, or that to them."""
        other = self.random.choice([COORDINATOR, COORDINATOR, COORDINATOR, "server"])
        is_to_workers, until = self.random.random() < 0.7, self.now + self.random.uniform(1.0, 4.0)
        self.is_rough = True
        for name, worker in product(sorted(self.nodes), self.workers()):
            if name.startswith(other):
                self.cut[(name, worker) if is_to_workers else (worker, name)] = until
        self.set_burst()

    def cut_between(self, until: float) -> None:
        names = sorted(self.nodes)
        if len(names) < 2 or self.now >= self.calm_at:
            return
        a, b = self.random.sample(names, 2)
        self.is_rough = True
        self.cut[a, b] = until
        if self.random.random() < 0.5:
            self.cut[b, a] = until

    def slow_line(self) -> None:
        """All that a process sends has to pass it, one message after the other."""
        if self.nodes and self.now < self.calm_at:
            self.is_rough = True
            name = self.random.choice(sorted(self.nodes))
            self.rates[name] = self.random.choice([1000.0, 4000.0])

    # --- processes ------------------------------------------------------------------------------

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
        is_known = not name.startswith("server") or name in self.server_names
        if name not in self.nodes and self.result is None and is_known:
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

    def set_trap(self) -> None:
        """Somebody is killed when something happens for the nth time, such as a write."""
        if self.now < self.calm_at:
            left = self.random.choice([1, 2, 3, 5, 8, 13])
            kind = self.random.choice(TRAPS)
            if self.traps.get(kind, (0, self.kill))[1] == self.kill:  # no burst waits for that
                self.traps[kind] = left, self.kill

    def spring(self, kind: type, name: str, effect: Any = None) -> None:
        """Count a trap down, and harm the process if it is the one. Perhaps a file was written."""
        if kind not in self.traps:
            return
        left, harm = self.traps.pop(kind)
        if left > 1:
            self.traps[kind] = left - 1, harm
            return
        if effect is not None and self.random.random() < 0.5 and name in self.nodes:
            self.store(self.nodes[name], effect)
        harm(name)

    def resize(self) -> None:
        """Everything is gone, and the job is resumed with another number of servers."""
        workers = self.workers() or ["worker0"]
        for process in [*self.nodes.values(), *self.older]:
            process.alive = False
        self.nodes.clear()
        self.older.clear()
        count = self.random.randint(1, min(3, len(self.plan.chunks)))
        self.server_names = tuple(f"server{i}" for i in range(count))
        self.job = replace(self.job, servers=self.server_names)
        self.heap = [e for e in self.heap if e[2] is not None or e[3][0] != self.arrive]
        heapq.heapify(self.heap)  # new connections, so nothing arrives that was sent before
        for name in (COORDINATOR, *self.server_names, *workers):
            self.call(self.random.uniform(0.1, 2.0), self.boot_unless_there, name)

    def pause(self) -> None:
        if not self.nodes:
            return
        name = self.random.choice(sorted(self.nodes))
        self.nodes[name].paused_until = self.now + self.random.uniform(0.5, 5.0)

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

    def hang(self) -> None:
        """The training thread of a worker does nothing any more."""
        if self.workers():
            self.nodes[self.random.choice(self.workers())].trainer.hangs = True

    def straggle(self) -> None:
        """A worker takes longer for everything than the others."""
        if self.workers():
            pace = self.random.choice([BEARABLE, 20.0])
            self.nodes[self.random.choice(self.workers())].trainer.pace = pace

    # --- disks ----------------------------------------------------------------------------------

    def fill_disk(self) -> None:
        """All disks, or one."""
        until = self.now + self.random.choice([0.5, 2.0, 4.0, 2 * FAULTS_END])
        names = [COORDINATOR, *self.server_names]
        self.full_disks |= dict.fromkeys(self.random.choice([names, *([n] for n in names)]), until)

    def slow_disk(self) -> None:
        """That of one process; a checkpoint takes longer there than the next one is away."""
        self.slow_disks[self.random.choice([COORDINATOR, *self.server_names])] = 40.0

    def tear(self) -> None:
        """The next file of a checkpoint that is read has the wrong hash."""
        steps = self.disk.get("manifest", {"checkpoints": []})["checkpoints"]
        if len(steps) > 1 and not self.has_torn:
            self.torn, self.has_torn = 1, True
