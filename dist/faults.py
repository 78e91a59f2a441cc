"""What goes wrong in the world of simulate.py, and when it stops."""

from __future__ import annotations

import random
from typing import Any

from minidl_dist import messages as m
from minidl_dist.messages import COORDINATOR

FAULTS_END = 8.0  # seconds of virtual time after the first
CALM = {"drop": 0.0, "double": 0.0, "late": 0.0, "damage": 0.0}


class Faults:
    """The part of the World that harms.

    Attributes:
        chances: of each message to be lost, doubled, late, damaged.
        cut: (from, to) -> until when nothing gets through.
        disk_full_until: until when nothing can be written.
            slow_disks: process -> how many times as long its disk takes.
        torn, has_torn: how many reads of files will fail; whether any did.
        older: coordinators that were replaced while they lived.
    """

    random: random.Random
    nodes: dict[str, Any]
    server_names: tuple[str, ...]

    def draw_faults(self) -> None:
        """A subset of them (swarm testing, Groce et al. 2012): rare ones get their turn, too."""
        r = self.random
        first = r.choice([0.3, 0.3, r.uniform(0.3, 20.0)])
        for name in self.chances:
            if r.random() < 0.5:
                self.chances[name] = r.choice([0.02, 0.1])
        for fault in (
            self.kill_worker, self.kill_server, self.kill_coordinator, self.kill_all, self.pause,
            self.cut_link, self.join, self.leave, self.second_coordinator, self.fill_disk,
            self.tear, self.hang, self.slow_disk,
        ):  # fmt: skip
            if r.random() < 0.3:
                latest = r.choice([1.5, 3.0, FAULTS_END])
                for _ in range(r.randint(1, 3)):
                    self.call(first + r.uniform(0.0, latest), fault)
        self.calm_at = first + FAULTS_END
        self.call(self.calm_at, self.calm)

    def calm(self) -> None:
        self.chances = dict(CALM)
        self.cut = {}
        self.disk_full_until, self.torn, self.slow_disks = 0.0, 0, {}
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

    def slow_disk(self) -> None:
        """That of one process; a checkpoint takes longer there than the next one is away."""
        self.slow_disks[self.random.choice([COORDINATOR, *self.server_names])] = 40.0

    def tear(self) -> None:
        """The next file of a checkpoint that is read has the wrong hash."""
        steps = self.disk.get("manifest", {"checkpoints": []})["checkpoints"]
        if len(steps) > 1 and not self.has_torn:
            self.torn, self.has_torn = 1, True

    def hang(self) -> None:
        """The training thread of a worker does nothing any more."""
        if self.workers():
            self.nodes[self.random.choice(self.workers())].trainer.hangs = True
