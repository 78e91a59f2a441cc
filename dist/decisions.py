"""What is wanted of everybody: the part of the coordinator that decides.

Everything follows from what is known at the moment, in `decide`, and is sent where it differs from
what was sent before: who computes which slot, who is chief, who sends first values or the state of
the run, how far to go, and whether the job is over. Calling it again is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from minidl_dist import compress
from minidl_dist.compress import is_clear
from minidl_dist.manifest import Checkpoint, Checkpoints, Manifest, owner_of
from minidl_dist.members import Member, Members
from minidl_dist.messages import Exit, Note, Send, Wanted
from minidl_dist.modes import parse
from minidl_dist.peer import MAX_REASON
from minidl_dist.plan import Job, Plan
from minidl_dist.steps import Steps

FINISHED = "finished"  # the reason where all steps were taken
DRAIN = 60.0  # seconds that the current step and the last checkpoint may take after StopAsked
LINGER = 5.0  # seconds in which everybody is told that the job is over
GATHER = 5.0  # seconds to wait for a worker for each slot, where later ones could not join at once


class Decisions:
    """See the module; saving.py and coordinator.py have the rest of it.

    Attributes:
        checkpoints: those that there are, and the one that is being made.
        generation, base: what everybody has to be in, and the checkpoint it began with.
        ready: all servers have the weights of this generation.
        steps: the book of this generation; None before there is a plan.
        states: step -> state of the run at its start.
        until: no step is begun from here on.
        ended: the training loops are over.
        draining: why the job is to end before that, or "".
        stop: (reason, exit code) once the job is over.
    """

    def __init__(self, job: Job):
        self.job, self.mode = job, parse(job.mode)
        self.scheme = compress.parse(job.compress)
        self.checkpoints = Checkpoints()
        self.members = Members(job)
        self.plan: Plan | None = None
        self.was_finished = False  # by an earlier life
        self.is_open = False  # it answers no one until the fencing token is on the disk
        self.token = self.generation = self.number = self.count = 0
        self.base: Checkpoint | None = None
        self.steps: Steps | None = None
        self.stop: tuple[str, int] | None = None
        self.draining = ""  # why
        self.deadline = self.opened = self.alone_since = self.progressed = 0.0
        self.gone_at: dict[str, float] = {}  # server -> when it was lost
        self.addresses: dict[str, list[str]] = {}  # server -> where it is, and its key
        self.common: tuple = ()  # what was wanted of everybody
        self.roles: tuple = ("", "", "", [])  # chief, seeder, giver, and the states they know of
        self.effects: list = []
        self.now = 0.0
        self.reset()

    def reset(self) -> None:
        """Nothing of the generation before is left."""
        self.ready = self.was_synced = self.ended = False
        self.ready_at: float | None = None
        self.loaded: set[str] = set()
        # server -> incarnation that this generation counts on: from now on it may be given values
        self.lives = {n: m.hello.incarnation for n, m in self.members.servers.items()}
        self.states: dict[int, bytes] = {}
        chunks = len(self.plan.chunks) if self.plan else 0
        self.effects += self.checkpoints.forget(self.generation, chunks)
        self.late_since: float | None = None  # that the state of the step to save was missing
        self.slow = -1  # the step to save that it was noted of that a disk is slow
        self.published: dict[str, dict] = {}
        self.seeder = self.giver = ""
        self.hold: dict[str, int | None] = {}  # worker -> number of the Wanted that holds it
        self.until = self.plan.total_steps if self.plan else -1

    @property
    def manifest(self) -> Manifest:
        """As it is on the disk."""
        return self.checkpoints.manifest

    def roll_back(self, why: str) -> None:
        raise NotImplementedError

    def look_at_saving(self) -> None:
        raise NotImplementedError

    def send(self, to: str, message: Any) -> None:
        self.effects.append(Send(to, message))

    def note(self, what: str, **facts: Any) -> None:
        self.effects.append(Note({"what": what, **facts}))

    # --- what is wanted ---------------------------------------------------------------------------

    def decide(self) -> None:
        """Bring what is wanted of everybody in line with what is known; tell who it concerns."""
        if not self.is_open:
            return
        if self.plan is not None and self.stop is None:
            if set(self.job.servers) <= self.loaded:
                self.ready = True
                self.ready_at = self.now if self.ready_at is None else self.ready_at
            if not self.choose_workers():
                return  # rolled back, and decided there
            self.checkpoints.ask(self.steps.step, self.job.save_every)
            self.effects += self.checkpoints.tidy(self.steps.step)
            self.find_the_end()
        for name in self.concerned():
            self.tell(name, if_news=True)

    def concerned(self) -> Iterable[str]:
        """Of whom something else may be wanted than before: all, or those whose role changed.

        There may be a thousand workers, so nothing is done for each of them but when it must be.
        """
        members = self.members
        addresses = {n: [m.hello.address, m.hello.key] for n, m in members.servers.items()}
        if addresses != self.addresses:
            self.addresses = addresses
        common = (
            self.generation, self.until, self.ready, self.stop, self.plan,
            self.steps and (self.steps.step, self.steps.oldest), bool(self.hold), self.base,
            self.manifest.step, self.checkpoints.asked, self.addresses,
        )  # fmt: skip
        roles = members.chief, self.seeder, self.giver, sorted(self.states)
        concerned, before = members.changed | members.leaving(), self.roles
        if roles != before:
            concerned |= dict.fromkeys([*before[:3], *roles[:3]])
        is_news, self.common = common != self.common, common
        self.roles, members.changed = roles, {}
        return [m.name for m in members.all()] if is_news else concerned

    def choose_workers(self) -> bool:
        """Seeder, chief, and the owner of each slot. False: there was a rollback instead."""
        members, generation, steps = self.members, self.generation, self.steps
        synced, joining = self.synced(), members.joining(generation)
        has_begun = self.ready and (self.was_synced or steps.step in self.states)
        if self.base is None and not has_begun:
            if self.seeder and self.seeder not in members.workers:
                self.roll_back(f"{self.seeder} was lost before all values were there")
                return False
            self.seeder = self.seeder or (joining[0] if joining else "")
        has_state = steps.step in self.states and (self.mode.together or not self.was_synced)
        if self.was_synced and not synced and not has_state:
            self.roll_back("no worker is left that knows the state of the run")
            return False
        slot = self.slot_without_residual()
        if slot is not None:
            self.roll_back(f"what compression left over of slot {slot} was lost with its worker")
            return False
        candidates, leaving = [*synced, *joining], members.leaving()
        staying = [n for n in candidates if n not in leaving] if leaving else candidates
        if not staying and candidates:
            self.drain("all workers were asked to stop")
        if not self.ready or self.gathers(len(candidates)):
            pass  # until then more workers may come
        elif not members.owner:  # a step begins: whoever is there takes part
            members.deal(list(steps.next_step), staying or candidates)
        elif not self.has_residuals:  # where there are some, slots stay with their workers
            self.hand_over(synced, staying, leaving)
        members.choose_chief(synced, joining, steps.step in self.states)
        self.choose_giver(synced, joining)
        return True

    def gathers(self, workers: int) -> bool:
        """Whether the first slots wait for more workers.

        In ssp and async one that comes later can join at the next barrier only. Else, at the start
        alone, for those that are about to join: they load their kernels beside others, not after
        them.
        """
        if self.members.owner or self.ready_at is None or self.now - self.ready_at >= GATHER:
            return False
        if workers >= self.plan.slots:
            return False
        if not self.mode.together:
            return True
        is_start = self.steps.step == self.steps.first and not self.was_synced
        return is_start and self.members.has_starting()

    def hand_over(self, synced: list[str], staying: list[str], leaving: dict[str, None]) -> None:
        """Slots of workers that cannot compute them go to others.

        Who does not follow the steps can join at a barrier only, and not while it is leaving.
        """
        holders = set(synced)
        able = [name for name in staying if name in holders]
        if self.steps.is_barrier():
            able = able or staying
            holders |= self.members.workers.keys() - leaving.keys()
        self.members.hand_over(self.steps.open_slots(), able or synced, holders)

    @property
    def has_residuals(self) -> bool:
        """Whether the step begins with residuals that must not be lost, see compress.py."""
        return self.mode.together and not is_clear(self.scheme, self.job, self.steps.step)

    def slot_without_residual(self) -> int | None:
        """One whose worker is gone in a step that begins with residuals.

        It may have been lost in the step before, when it had reported the slot.
        """
        owner, workers = self.members.owner, self.members.workers
        if not owner or not self.has_residuals:
            return None
        slots = self.steps.open_slots()
        return next((slot for slot in slots if owner.get(slot) not in workers), None)

    def synced(self) -> list[str]:
        return self.members.synced(self.generation, self.steps.oldest)

    def choose_giver(self, synced: list[str], joining: list[str]) -> None:
        """The worker that is to send the state of the current step, because somebody joins."""
        chief, self.giver = self.members.chief, ""
        if joining and self.steps.step not in self.states:
            self.giver = chief if chief in synced else next(iter(synced), "")

    def wanted(self, name: str) -> Wanted:
        """What is wanted of a process."""
        steps, members, base = self.steps, self.members, self.base
        wanted = Wanted(
            self.manifest.token, self.generation, self.number, -1, self.until, self.ready,
            self.plan.hash if self.plan else "", manifest=self.manifest.step,
            save=self.checkpoints.asked,
        )  # fmt: skip
        if self.stop is not None:
            wanted.stop, wanted.code = self.stop
        if steps is None:
            return wanted
        wanted.step, wanted.hold = steps.step, bool(self.hold)
        if name in self.job.servers:
            wanted.load = base.step if base else -1
            wanted.files = base.files if base else {}
            self.set_shards(name, wanted)
            return wanted
        held = members.held.get(name)
        wanted.slots = steps.of(held) if held else []
        wanted.servers = self.addresses
        wanted.chief, wanted.seeder = name == members.chief, name == self.seeder
        wanted.oldest = steps.oldest
        wanted.give_state = name == self.giver
        if wanted.chief or wanted.seeder or wanted.give_state:
            wanted.states = sorted(self.states)
        goes_on = self.stop is None and not self.draining
        if goes_on and not held and members.is_leaving(name):
            wanted.stop, wanted.code = "asked to stop", 0
        return wanted

    def set_shards(self, name: str, wanted: Wanted) -> None:
        """A server deletes its other files itself: its disk need not be the coordinator's."""
        others = {*self.job.servers} - {name}
        shards = self.checkpoints.shards()
        wanted.shards = sorted(shard for shard in shards if owner_of(shard) not in others)

    def is_news(self, member: Member, wanted: Wanted) -> bool:
        """Whether it is not what the member was last sent; its number is that, or the next."""
        if member.wanted is not None:
            wanted.number = member.wanted.number
            if wanted == member.wanted:
                return False
        wanted.number = self.number + 1
        return True

    def tell(self, name: str, if_news: bool = False) -> None:
        """Send a process what is wanted of it."""
        member = self.members.find(name)
        if member is None:
            return
        wanted = self.wanted(name)
        if self.is_news(member, wanted):
            self.number = wanted.number
            member.wanted = wanted
            if name in self.hold and self.hold[name] is None:
                self.hold[name] = wanted.number
        elif if_news:
            return
        self.send(name, wanted)

    # --- who is lost ------------------------------------------------------------------------------

    def look_around(self) -> None:
        """Who is silent, who is stuck, what has taken too long."""
        for name in self.members.silent(self.now):
            self.lose(name, f"nothing was heard of it for {self.job.dead:g} s")
        for name, why in self.members.stuck(self.now):
            self.members.banned[name] = self.members.workers[name].hello.incarnation, why
            self.note("stuck", alarm=True, name=name, why=why)
            self.number += 1
            over = {"stop": why, "code": 3, "number": self.number}
            self.send(name, replace(self.wanted(name), **over))
            self.lose(name, why)
        if self.stop is None:
            self.look_for_missing()
            self.look_at_saving()
            self.look_for_progress()
            self.effects += self.checkpoints.complete_all(self.states, self.now)
            self.decide()
            if self.draining and self.now > self.deadline:
                self.end(f"{self.draining}; the last step was not finished in time", 0)
        elif self.now > self.deadline or not self.members.all():
            self.effects.append(Exit(self.stop[1], self.stop[0]))

    def look_for_missing(self) -> None:
        """A job without a server, or without any worker, ends with an error that says so."""
        for name in self.job.servers:
            member = self.members.servers.get(name)
            since = member.seen if member else self.gone_at.get(name, self.opened)
            if self.now - since > self.job.missing:
                self.end(f"{name} is missing: nothing for {self.job.missing:g} s", 1)
        if self.members.workers:
            self.alone_since = self.now
        elif self.now - self.alone_since > self.job.missing:
            if self.was_finished:
                self.end(FINISHED, 0)
            self.end(f"no worker for {self.job.missing:g} s", 1)

    def look_for_progress(self) -> None:
        """A job in which all wait for each other ends with an error that says who for whom."""
        limit = self.job.missing
        if self.ended:  # a disk may take its time for the last checkpoint
            limit = max(limit, self.job.limits.get("saving", limit))
        self.progressed = max(self.progressed, self.members.progressed(self.now))
        if self.now - self.progressed > limit:
            slots = ", ".join(f"{slot} of {name}" for slot, name in self.members.owner.items())
            facts = f"{self.members.waiting()}; slots: {slots}; checkpoint: {self.manifest.step}"
            self.end(f"nothing has happened for {limit:g} s: {facts}", 1)

    def lose(self, name: str, why: str) -> None:
        """A process is gone. A server's chunks may come back: if it only was silent."""
        role = self.members.of("server" if name in self.job.servers else "worker")
        if role.pop(name, None) is not None:
            self.gone_at[name] = self.now
            self.note("lost", name=name, why=why)
            self.loaded.discard(name)
            if self.scheme.remembers:  # if the worker comes again, it has no residuals
                owner = self.members.owner
                self.members.owner = {s: "" if n == name else n for s, n in owner.items()}
            self.decide()

    # --- the end ----------------------------------------------------------------------------------

    def find_the_end(self) -> None:
        """How far to go, and whether that is reached."""
        if self.hold:
            self.release()
        if self.steps.step < self.until or not (self.ended or self.draining):
            return
        if self.manifest.step >= self.until:  # above: of an earlier generation, which went further
            self.finish()

    def release(self) -> None:
        """Everybody has stopped where it is: go on to where all meet."""
        workers = self.members.workers
        beats = {n: workers[n].beat for n in self.hold if n in workers and workers[n].beat}
        told = {n: self.hold[n] for n in beats}
        if all(number is not None and beats[n].number >= number for n, number in told.items()):
            furthest = max((beat.step for beat in beats.values()), default=self.steps.step)
            self.until = min(max(furthest, self.steps.step) + 1, self.plan.total_steps)
            self.hold = {}

    def drain(self, reason: str) -> None:
        """Finish what is begun, save, and end."""
        if self.stop is not None or self.draining:
            return
        self.draining, self.deadline = reason, self.now + DRAIN
        self.note("stopping", why=reason)
        if not self.ready or not self.synced():
            self.end(reason, 0)
        elif self.mode.together:
            self.until = min(self.until, self.steps.step + 1)
        else:  # workers are at different steps: hold them, to see where
            self.hold = dict.fromkeys(self.synced())
        self.decide()

    def finish(self) -> None:
        """The last checkpoint is on the disk."""
        if self.draining and not self.ended:
            self.end(self.draining, 0)
        else:
            self.effects += self.checkpoints.finish(self.now)

    def end(self, reason: str, code: int) -> None:
        """Tell everybody that the job is over; the first reason counts."""
        if self.stop is None:
            reason = reason[:MAX_REASON]
            self.stop, self.deadline = (reason, code), self.now + LINGER
            self.note("over", why=reason, code=code)
            self.decide()


def listed(facts: dict[str, Any]) -> str:
    """A line for each fact, as in an error."""
    return "".join(f"\n  {name}  {value}" for name, value in facts.items())
