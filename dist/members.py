"""Who takes part: which processes live, what they are doing, and which worker computes which slot.

    synced    a worker that has weights and state of this generation, and follows the steps
    joining   one that is ready to: it is counted in when a step begins, and gets both then

The chief (it validates and writes the run folder) stays chief as long as it lives: a worker that
joins while the chief validates must not become it, since nobody would publish what it found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache

from minidl_dist.messages import Beat, Hello, Wanted
from minidl_dist.plan import Job

LEAVING = "leaving"
UNBOUNDED = ("starting", "loading", LEAVING)  # states that may take their time


@dataclass
class Member:
    """A process that the coordinator knows.

    Attributes:
        hello, beat: its last ones; beat None before the first.
        seen: when anything came from it.
        progressed: when its beat last showed another state, step or progress.
        wanted: what it was last sent.
        waits_since: when its beat began to name the server that it waits for.
        steady_since: when it was last heard of after a silence.
    """

    hello: Hello
    seen: float
    progressed: float
    beat: Beat | None = None
    wanted: Wanted | None = None
    waits_since: float = 0.0
    steady_since: float = 0.0

    @property
    def name(self) -> str:
        return self.hello.name

    def take(self, beat: Beat, now: float) -> None:
        old = self.beat
        if old is None or (old.generation, old.step, old.state, old.progress) != (
            beat.generation, beat.step, beat.state, beat.progress,
        ):  # fmt: skip
            self.progressed = now
        if old is None or old.waits_for != beat.waits_for:
            self.waits_since = now
        self.beat, self.seen = beat, now

    def is_synced(self, generation: int, oldest: int) -> bool:
        """Whether it has weights and state of this generation, and can follow the steps."""
        beat = self.beat
        return (
            beat is not None
            and beat.generation == generation
            and beat.step >= 0
            and beat.given >= oldest
        )

    def is_in(self, generation: int, *states: str) -> bool:
        """Whether it is of this generation, and in one of these states."""
        return (
            self.beat is not None
            and self.beat.generation == generation
            and self.beat.state in states
        )


@dataclass
class Members:
    """All processes of a job but the coordinator.

    Attributes:
        workers, servers: name -> Member.
        banned: name -> the incarnation that was given up, because it was stuck, and why.
        held: worker -> the slots that it owns.
        changed: workers whose slots others were given, or who were given some; a set in order.
        chief: name of it, or "".
    """

    job: Job
    workers: dict[str, Member] = field(default_factory=dict)
    servers: dict[str, Member] = field(default_factory=dict)
    banned: dict[str, tuple[int, str]] = field(default_factory=dict)
    owner_of_slots: dict[int, str] = field(default_factory=dict)
    held: dict[str, list[int]] = field(default_factory=dict)
    changed: dict[str | None, None] = field(default_factory=dict)
    chief: str = ""

    def all(self) -> list[Member]:
        return [*self.servers.values(), *self.workers.values()]

    def of(self, role: str) -> dict[str, Member]:
        return self.servers if role == "server" else self.workers

    def find(self, name: str) -> Member | None:
        return self.workers.get(name) or self.servers.get(name)

    def add(self, member: Member) -> None:
        if member.hello.role == "server":
            self.servers[member.name] = member
            return
        self.workers[member.name] = member
        self.workers = {name: self.workers[name] for name in sorted(self.workers, key=natural)}

    def first_known(self, but: str) -> Member | None:
        """Another worker than this one that has said what its results depend on."""
        others = (m for m in self.workers.values() if m.name != but)
        return next((m for m in others if m.hello.fingerprint), None)

    # --- who can do what ------------------------------------------------------------------------

    def synced(self, generation: int, oldest: int) -> list[str]:
        """Workers that follow the steps, in order of their names."""
        return [name for name, m in self.workers.items() if m.is_synced(generation, oldest)]

    def joining(self, generation: int) -> list[str]:
        return [name for name, m in self.workers.items() if m.is_in(generation, "joining")]

    def has_starting(self) -> bool:
        """Whether a worker is known that has not come to its training yet."""
        return any(m.beat is None or m.beat.state == "starting" for m in self.workers.values())

    def is_leaving(self, name: str) -> bool:
        """Whether a worker was asked to stop."""
        member = self.workers.get(name)
        return member is not None and member.beat is not None and member.beat.state == LEAVING

    def leaving(self) -> dict[str, None]:
        """All that were."""
        return {
            name: None for name, m in self.workers.items() if m.beat and m.beat.state == LEAVING
        }

    # --- who has failed -------------------------------------------------------------------------

    def silent(self, now: float) -> list[str]:
        """Workers of which nothing came for too long."""
        return [n for n, m in self.workers.items() if now - m.seen > self.job.dead]

    def stuck(self, now: float) -> list[tuple[str, str]]:
        """(worker, why) of those that live, but whose training thread does nothing any more."""
        found = []
        for name, member in self.workers.items():
            state = member.beat.state if member.beat else ""
            limit = self.job.limits.get(state)
            if limit is not None and now - member.progressed > limit:
                found.append((name, f"{name} has been {state} for more than {limit:g} s"))
            server = self.servers.get(member.beat.waits_for) if member.beat else None
            if server is None or now - server.seen > self.job.dead / 2:
                continue
            if now - max(member.waits_since, server.steady_since) > self.job.dead:
                where = f" at {server.hello.address}" if server.hello.address else ""
                found.append((name, f"{name} gets no answer from {server.name}{where}"))
        return found

    def progressed(self, now: float) -> float:
        """When anybody last did something; now, if somebody is doing what may take its time."""
        limits = self.job.limits
        if any(
            m.beat is None or m.beat.state in UNBOUNDED or m.beat.state in limits
            for m in self.all()
        ):
            return now
        return max((m.progressed for m in self.all()), default=now)

    def waiting(self) -> str:
        """What everybody does, and for whom."""
        return "; ".join(
            f"{m.name}: {m.beat.state}, step {m.beat.step}"
            + (f", no answer from {m.beat.waits_for}" if m.beat.waits_for else "")
            for m in self.all() if m.beat is not None
        )  # fmt: skip

    # --- slots ----------------------------------------------------------------------------------

    def deal(self, slots: list[int], candidates: list[str]) -> None:
        """Give out all slots anew, evenly."""
        n = len(candidates)
        self.owner = {s: candidates[i % n] for i, s in enumerate(slots)} if n else {}

    def hand_over(self, slots: list[int], candidates: list[str], holders: Collection[str]) -> None:
        """Slots of workers that cannot hold them go to who has least; all others stay."""
        orphans = [slot for slot in slots if self.owner.get(slot) not in holders]
        if not orphans:
            return
        owner = {slot: name for slot, name in self.owner.items() if name in holders}
        held = Counter(owner.values())
        for slot in orphans if candidates else ():
            owner[slot] = min(candidates, key=lambda name: (held[name], natural(name)))
            held[owner[slot]] += 1
        self.owner = owner

    @property
    def owner(self) -> dict[int, str]:
        """Slot -> the worker that computes it. Replaced as a whole, never changed."""
        return self.owner_of_slots

    @owner.setter
    def owner(self, new: dict[int, str]) -> None:
        old = self.owner_of_slots
        concerned = [(old.get(slot), new.get(slot)) for slot in {**old, **new}]
        self.changed |= {name: None for pair in concerned if pair[0] != pair[1] for name in pair}
        self.owner_of_slots, self.held = new, {}
        for slot, name in new.items():
            self.held.setdefault(name, []).append(slot)

    def choose_chief(self, synced: list[str], joining: list[str], has_state: bool) -> None:
        """The same as before, if it is there, or will be: that takes a state to join with."""
        will_be_there = self.chief in joining and (has_state or not synced)
        if self.chief not in synced and not will_be_there:
            nobody = self.chief if self.chief in self.workers else ""  # all begin anew just now
            self.chief = next(iter([*synced, *joining]), nobody)


@lru_cache(10_000)
def natural(name: str) -> tuple:
    """worker9 comes before worker10."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name))


def differences(hello: Hello, first: Hello) -> dict[str, str]:
    """In what two machines differ that results may depend on: name -> both values."""
    mine, theirs = hello.fingerprint, first.fingerprint
    names = [name for name, value in theirs.items() if mine.get(name) != value]
    return {name: f"{mine.get(name)}; {first.name}: {theirs[name]}" for name in names}
