"""The coordinator: membership, generations, steps, checkpoints. A pure machine, see messages.py.

It multiplies nothing and holds no weights. What it knows of the others is what they say in every
Beat; what it wants of each of them is computed from that, in `decide`, whenever something changed,
and sent as a whole. After a loss it does one of two things:

    a worker     its slots of the current step go to others; nobody goes back
    a server     its chunks are gone, so a new generation begins: everybody goes back to the last
                 checkpoint

The coordinator itself may be lost, too: the next one reads the manifest, raises the fencing token
in it, and begins a generation above all earlier ones. The older, if it still lives, hears of the
token in the next message, or when it writes, and ends.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from minidl.errors import MinidlError
from minidl_dist.manifest import KEPT, Checkpoint, Collection, Manifest
from minidl_dist.members import Member, Members
from minidl_dist.messages import (
    GENERATIONS,
    VERSION,
    Answer,
    Beat,
    Bye,
    Counted,
    Exit,
    Failed,
    Hello,
    Left,
    Load,
    Loaded,
    Norm,
    Norms,
    Note,
    Offer,
    Publish,
    Published,
    Query,
    Received,
    Refused,
    Remove,
    Report,
    RunState,
    Saved,
    Send,
    SetTimer,
    Started,
    StepDone,
    StopAsked,
    Store,
    Stored,
    Timer,
    Wanted,
    Welcome,
)
from minidl_dist.modes import is_saved, parse
from minidl_dist.peer import TICK
from minidl_dist.plan import Job, Plan
from minidl_dist.steps import Steps

DRAIN = 60.0  # seconds that the current step and the last checkpoint may take after StopAsked
PAUSE = 2.0  # seconds until something is written again, after the disk was full
LINGER = 5.0  # seconds in which everybody is told that the job is over
FINISHED = "finished"
HOLD = 0  # Wanted.until while it is found out how far everybody is


class Coordinator:
    """See the module.

    Attributes:
        manifest: as it is on the disk.
        generation, base: what everybody has to be in, and the checkpoint it began with.
        ready: all servers have the weights of this generation.
        steps: the book of this generation; None before there is a plan.
        states: step -> state of the run at its start.
        until: no step is begun from here on.
        stop: (reason, exit code) once the job is over.
    """

    def __init__(self, job: Job):
        self.job, self.mode = job, parse(job.mode)
        self.manifest = Manifest()
        self.members = Members(job)
        self.plan: Plan | None = None
        self.is_open = False  # nobody is answered before the fencing token is on the disk
        self.generation = self.number = self.count = 0
        self.base: Checkpoint | None = None
        self.steps: Steps | None = None
        self.stop: tuple[str, int] | None = None
        self.draining = ""  # why
        self.deadline = self.opened = self.alone_since = 0.0
        self.retry_at = self.unsaved_since = 0.0
        self.writing: tuple[int, dict[str, dict]] | None = None  # a checkpoint: step, shards
        self.next_manifest = self.manifest  # what is being written
        self.effects: list = []
        self.now = 0.0
        self.reset()

    def reset(self) -> None:
        """Nothing of the generation before is left."""
        self.ready = self.was_synced = self.ended = False
        self.loaded: set[str] = set()
        self.lives: dict[str, int] = {}  # server -> incarnation that this generation counts on
        self.states: dict[int, bytes] = {}
        self.collection = Collection(len(self.plan.chunks) if self.plan else 0)
        self.published: dict[str, dict] = {}
        self.seeder = ""
        self.hold: dict[str, int] = {}  # worker -> number of the Wanted that holds it
        self.until = self.plan.total_steps if self.plan else -1

    def handle(self, event: Any, now: float) -> list:
        self.effects, self.now = [], now
        match event:
            case Started():
                self.opened = self.alone_since = now
                self.effects += [Load("manifest", "start"), SetTimer(TICK, "tick")]
            case Loaded():
                self.load(event)
            case Stored():
                self.have_stored(event)
            case Timer():
                self.effects.append(SetTimer(TICK, "tick"))
                if self.is_open:
                    self.look_around()
            case Received(sender, message) if self.is_open:
                self.receive(sender, message)
            case Left(peer, how):
                self.lose(peer, how)
            case StopAsked(reason):
                self.drain(reason)
        return self.effects

    def send(self, to: str, message: Any) -> None:
        self.effects.append(Send(to, message))

    def note(self, what: str, **facts: Any) -> None:
        self.effects.append(Note({"what": what, **facts}))

    # --- a life begins --------------------------------------------------------------------------

    def load(self, event: Loaded) -> None:
        match event.tag:
            case "start" if event.value is None and event.error:
                self.effects.append(Exit(1, f"the manifest cannot be read: {event.error}"))
            case "start":
                if event.value is not None:
                    self.manifest = Manifest.from_dict(event.value)
                    self.plan = Plan.from_dict(self.manifest.plan) if self.manifest.plan else None
                self.manifest.token += 1
                self.effects.append(Store("manifest", self.manifest.to_dict(), "fence"))
            case ("state", self.generation):
                if event.value is None:
                    self.fall_back(event.name, event.error)
                else:
                    self.states[self.base.step] = event.value
                    self.decide()

    def begin(self) -> None:
        """The token is on the disk: this is the coordinator now."""
        self.is_open, self.opened = True, self.now
        self.roll_back("a coordinator begins")
        if self.manifest.finished:
            self.end(FINISHED, 0)

    def roll_back(self, why: str) -> None:
        """A new generation: everybody begins at the newest checkpoint."""
        if self.stop is not None:
            return
        self.count += 1
        self.generation = self.manifest.token * GENERATIONS + self.count
        self.number = 0
        self.base = self.manifest.newest
        self.reset()
        step = self.base.step if self.base else 0
        self.note("generation", number=self.generation, step=step, why=why)
        if self.plan is not None:
            self.steps = Steps(self.plan, self.job, self.mode, step)
        if self.base is not None:
            tag = "state", self.generation
            self.effects.append(Load(self.base.run, tag, self.base.run_sha256))
        if self.draining:
            self.end(self.draining, 0)  # what there is on the disk is what remains
        self.decide()

    def fall_back(self, file: str, error: str) -> None:
        """The newest checkpoint cannot be read: the one before."""
        self.note("a checkpoint cannot be read", alarm=True, file=file, error=error)
        self.manifest.checkpoints.pop()
        if not self.manifest.checkpoints:
            self.end(f"no checkpoint can be read: {file}: {error or 'it is not there'}", 1)
        self.roll_back("a checkpoint cannot be read")

    # --- messages -------------------------------------------------------------------------------

    def receive(self, sender: str, message: Any) -> None:
        member = self.members.find(sender)
        if member is not None:
            member.seen = self.now  # any traffic counts
        if isinstance(message, Hello | Beat) and message.token > self.manifest.token:
            self.effects.append(Exit(1, "another coordinator has taken over"))
            return
        match message:
            case Hello():
                self.hello(message)
            case Beat():
                self.beat(message)
            case Offer():
                self.offer(sender, message)
            case Bye():
                self.lose(sender, message.reason)
            case Failed():
                facts = "".join(f"\n  {name}  {value}" for name, value in message.received.items())
                self.end(message.rule + facts, 1)
            case Publish():
                self.publish(sender, message)
            case Query():
                self.answer(sender, message)
            case Report() | Saved() | Norms() | RunState():
                if message.generation == self.generation and self.steps is not None:
                    self.of_generation(sender, message)

    def of_generation(self, sender: str, message: Any) -> None:
        match message:
            case Report():
                self.report(message)
            case Saved():
                self.have_saved(message)
            case Norms(step=step):
                known = step in self.steps.totals
                total = self.steps.norm(sender, message)
                if total is not None:
                    for server in [sender] if known else sorted(self.steps.with_gradients):
                        self.send(server, Norm(self.generation, step, total))
            case RunState(step=step):
                if step >= min(self.steps.step, self.until) or is_saved(self.job, step):
                    self.states.setdefault(step, message.blob)
                    self.complete(step)
                    self.decide()
                self.tell(sender)

    def hello(self, hello: Hello) -> None:
        """A process says who it is: take it in, or say why not."""
        members = self.members.of(hello.role)
        if hello.version != VERSION:
            rule = "all processes of a job have the same version of minidl's protocol"
            self.send(hello.name, Refused(rule, {"yours": hello.version, "the job's": VERSION}))
            return
        if hello.role == "server" and hello.name not in self.job.servers:
            rule = f"the servers of this job are {', '.join(self.job.servers)}"
            self.send(hello.name, Refused(rule, {"yours": hello.name}))
            return
        old = members.get(hello.name)
        if old is not None and old.hello.incarnation > hello.incarnation:
            return  # said in an earlier life
        if old is not None and old.hello.incarnation < hello.incarnation:
            self.lose(hello.name, "it was started again")
            old = None
        if old is None:
            if not self.is_like_the_others(hello):
                return
            members[hello.name] = Member(hello, self.now, self.now)
            self.note("joined", name=hello.name)
        else:
            old.hello = hello
        if hello.role == "server":
            counted_on = self.lives.setdefault(hello.name, hello.incarnation)
            if counted_on != hello.incarnation:  # another life: what it held is gone
                self.roll_back(f"{hello.name} was started again")
        if hello.role == "worker" or self.plan is not None:
            self.welcome(hello.name, hello.role)
        self.decide()
        self.tell(hello.name)

    def is_like_the_others(self, hello: Hello) -> bool:
        """Whether what a worker's results depend on is as with the first; else say so."""
        first = next(iter(self.members.workers.values()), None)
        if hello.role != "worker" or first is None:
            return True
        mine, theirs = hello.fingerprint, first.hello.fingerprint
        differ = {
            k: f"{mine.get(k)} here, {v} there" for k, v in theirs.items() if mine.get(k) != v
        }
        if differ and self.job.strict:
            rule = f"--strict: this machine is not as that of {first.name}"
            self.send(hello.name, Refused(rule, differ))
            return False
        if differ:
            self.note("machines differ, bits may, too", alarm=True, name=hello.name, **differ)
        return True

    def welcome(self, name: str, role: str) -> None:
        plan = self.plan.to_dict() if role == "server" and self.plan is not None else {}
        self.send(name, Welcome(self.manifest.token, self.job.to_dict(), plan))

    def beat(self, beat: Beat) -> None:
        """Note how a process is, and answer with what it may have missed."""
        member = self.members.find(beat.name)
        banned = self.members.banned.get(beat.name)
        if member is None or member.hello.incarnation != beat.incarnation:
            message = replace(self.wanted(beat.name), hello=True, number=self.number)
            if banned is not None and banned[0] == beat.incarnation:
                message = replace(message, stop=banned[1], code=3)
            self.send(beat.name, message)
            return
        before = member.beat
        member.take(beat, self.now)
        is_server = member.hello.role == "server"
        if is_server:
            self.server_beat(member)
        elif beat.generation == self.generation and self.steps is not None:
            self.worker_beat(member)
        if before is None or (before.generation, before.step, before.state, before.number) != (
            beat.generation, beat.step, beat.state, beat.number,
        ):  # fmt: skip
            self.decide()
        self.tell(beat.name)

    def server_beat(self, member: Member) -> None:
        beat = member.beat
        if self.plan is None:
            return
        if beat.generation == self.generation:
            self.lives.setdefault(member.name, beat.incarnation)
        if beat.plan_hash != self.plan.hash:
            self.welcome(member.name, "server")
        elif member.is_in(self.generation, "failed"):
            if self.base is not None and self.base is self.manifest.newest:
                self.fall_back(f"of {member.name}", "see its log")
        elif member.is_in(self.generation, "serving", "leaving"):
            self.loaded.add(member.name)
            if beat.state == "leaving":
                self.drain(f"{member.name} was asked to stop")
            if beat.step in self.steps.counted:
                slots = self.steps.counted[beat.step]
                self.send(member.name, Counted(self.generation, beat.step, slots))

    def worker_beat(self, member: Member) -> None:
        beat, steps = member.beat, self.steps
        if beat.step >= 0:
            self.was_synced = True
        if beat.wants in self.published:
            self.send(beat.name, Published(beat.wants, self.published[beat.wants]))
        if beat.state == "joining" and steps.step in self.states and steps.is_barrier():
            self.send(beat.name, RunState(self.generation, steps.step, self.states[steps.step]))
        elif beat.state == "done" and beat.step == steps.step:
            self.ended, self.until = True, min(self.until, beat.step)
        for step in sorted(steps.done):
            if 0 <= beat.step <= step < beat.step + 8:
                self.send(beat.name, StepDone(self.generation, step, steps.done[step]))

    def offer(self, sender: str, offer: Offer) -> None:
        """A worker's plan: the first is the job's, all others are compared with it."""
        try:
            plan = Plan.from_dict(offer.plan)
            plan.place(len(self.job.servers))
            parse(self.job.mode, plan.slots)
        except MinidlError as error:
            self.send(sender, Refused(error.rule, error.received, str(error.hint)))
            if self.plan is None:
                self.end(str(error), 2)
            return
        if self.plan is None:
            self.plan, self.manifest.plan = plan, plan.to_dict()
            self.roll_back("there is a plan")
            for server in self.members.servers:
                self.welcome(server, "server")
        elif plan.hash != self.plan.hash:
            rule = f"the model of {sender} is not that of the job"
            self.send(sender, Refused(rule, {"first difference": plan.difference(self.plan)}))

    def publish(self, sender: str, message: Publish) -> None:
        """Kept for who asks; the last few are enough, since workers are a step apart at most."""
        self.published[message.key] = message.value
        while len(self.published) > 16:
            del self.published[next(iter(self.published))]
        self.send(sender, Published(message.key, message.value))
        for name, member in self.members.workers.items():
            if member.beat is not None and member.beat.wants == message.key:
                self.send(name, Published(message.key, message.value))

    # --- steps ----------------------------------------------------------------------------------

    def report(self, report: Report) -> None:
        if not self.steps.take(report):
            return
        if report.nan and self.job.on_nan == "stop":
            facts = f"{report.worker}, step {report.step}, slot {report.slot}: {report.nan}"
            self.end(f"a gradient is not finite: {facts}", 1)
            return
        steps = self.steps
        while (step := steps.finish()) is not None:
            if steps.is_barrier():
                self.members.owner = {}  # dealt anew
            self.keep_states()
            if self.mode.backup:
                counted = Counted(self.generation, step, steps.counted[step])
                for name in self.members.servers:
                    self.send(name, counted)
            done = StepDone(self.generation, step, steps.done[step])
            self.decide()  # first what is wanted now, then that the step before is done
            for name in self.members.workers:
                self.send(name, done)
            if self.steps is not steps:
                return  # nobody was left, and all was rolled back

    def keep_states(self) -> None:
        """Of the current step on, and of the last two steps that are to be saved."""
        step = self.steps.step
        saved = [s for s in self.states if s < step and is_saved(self.job, s)][-2:]
        self.states = {s: blob for s, blob in self.states.items() if s >= step or s in saved}

    # --- what is wanted -------------------------------------------------------------------------

    def decide(self) -> None:
        """Bring what is wanted of everybody in line with what is known; tell who it concerns."""
        if not self.is_open:
            return
        if self.plan is not None and self.stop is None:
            if set(self.job.servers) <= self.loaded:
                self.ready = True
            if not self.choose_workers():
                return  # rolled back, and decided there
            self.find_the_end()
        for member in self.members.all():
            wanted = self.wanted(member.name)
            if (
                member.wanted is None
                or replace(wanted, number=member.wanted.number) != member.wanted
            ):
                self.tell(member.name)

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
        candidates = [*synced, *(n for n in joining if n not in synced)]
        staying = [n for n in candidates if n not in members.leaving()]
        if not staying and candidates:
            self.drain("all workers were asked to stop")
        if not members.owner and self.ready:  # a step begins: whoever is there takes part
            members.deal(list(steps.next_step), staying or candidates)
        else:
            members.hand_over(steps.open_slots(), [n for n in staying if n in synced] or staying)
        members.choose_chief(synced, joining)
        return True

    def synced(self) -> list[str]:
        return self.members.synced(self.generation, self.steps.oldest)

    def find_the_end(self) -> None:
        """How far to go, and whether that is reached."""
        if self.hold:
            self.release()
        if self.steps.step < self.until or not (self.ended or self.draining):
            return
        if self.manifest.step == self.until:
            self.finish()

    def release(self) -> None:
        """Everybody has stopped where it is: go on to where all meet."""
        workers = self.members.workers
        beats = {n: workers[n].beat for n in self.hold if n in workers and workers[n].beat}
        if all(beats[n].number >= self.hold[n] for n in beats):
            furthest = max((beat.step for beat in beats.values()), default=self.steps.step)
            self.until = min(max(furthest, self.steps.step) + 1, self.plan.total_steps)
            self.hold = {}

    def wanted(self, name: str) -> Wanted:
        """What is wanted of a process."""
        steps, members, base = self.steps, self.members, self.base
        wanted = Wanted(
            self.manifest.token, self.generation, self.number, -1, self.until, self.ready,
            self.plan.hash if self.plan else "", manifest=self.manifest.step,
        )  # fmt: skip
        if self.stop is not None:
            wanted.stop, wanted.code = self.stop
        if steps is None:
            return wanted
        wanted.step = steps.step
        if name in self.job.servers:
            wanted.load = base.step if base else -1
            wanted.files = base.files if base else {}
            return wanted
        mine = [slot for slot in steps.next_step if members.owner.get(slot) == name]
        wanted.slots = [[steps.next_step[s], s] for s in mine if s in steps.open_slots()]
        wanted.servers = {n: [m.hello.address, m.hello.key] for n, m in members.servers.items()}
        wanted.chief, wanted.seeder = name == members.chief, name == self.seeder
        wanted.oldest = steps.oldest
        wanted.give_state = name == self.giver()
        if wanted.chief or wanted.seeder or wanted.give_state:
            wanted.states = sorted(self.states)
        leaving = name in members.leaving() and self.stop is None
        if leaving and not self.draining and name not in members.owner.values():
            wanted.stop, wanted.code = "asked to stop", 0
        return wanted

    def giver(self) -> str:
        """The worker that is to send the state of the current step, because somebody joins."""
        if self.steps.step in self.states or not self.members.joining(self.generation):
            return ""
        synced = self.synced()
        return self.members.chief if self.members.chief in synced else (synced or [""])[0]

    def is_news(self, member: Member, wanted: Wanted) -> bool:
        """Whether it is not what the member was last sent; its number is that, or the next."""
        if member.wanted is not None:
            wanted.number = member.wanted.number
            if wanted == member.wanted:
                return False
        wanted.number = self.number + 1
        return True

    def tell(self, name: str) -> None:
        """Send a process what is wanted of it."""
        member = self.members.find(name)
        if member is None:
            return
        wanted = self.wanted(name)
        if self.is_news(member, wanted):
            self.number = wanted.number
            member.wanted = wanted
            if self.hold.get(name) == -1:
                self.hold[name] = wanted.number
        self.send(name, wanted)

    # --- losses ---------------------------------------------------------------------------------

    def look_around(self) -> None:
        """Who is silent, who is stuck, what has taken too long."""
        for name in self.members.silent(self.now):
            self.lose(name, f"nothing was heard of it for {self.job.dead:g} s")
        for name, why in self.members.stuck(self.now):
            self.members.banned[name] = self.members.workers[name].hello.incarnation, why
            self.note("stuck", alarm=True, name=name, why=why)
            wanted = replace(self.wanted(name), stop=why, code=3, number=self.number + 1)
            self.number += 1
            self.send(name, wanted)
            self.lose(name, why)
        if self.stop is None:
            self.look_for_missing()
            self.complete_all()
            self.decide()
            if self.draining and self.now > self.deadline:
                self.end(f"{self.draining}; the last step was not finished in time", 0)
        elif self.now > self.deadline or not self.members.all():
            self.effects.append(Exit(self.stop[1], self.stop[0]))

    def look_for_missing(self) -> None:
        """A job without a server, or without any worker, ends with an error that says so."""
        for name in self.job.servers:
            member = self.members.servers.get(name)
            if self.now - (member.seen if member else self.opened) > self.job.missing:
                self.end(f"{name} is missing: nothing for {self.job.missing:g} s", 1)
        if self.members.workers:
            self.alone_since = self.now
        elif self.now - self.alone_since > self.job.missing:
            self.end(f"no worker for {self.job.missing:g} s", 1)

    def lose(self, name: str, why: str) -> None:
        """A process is gone. A server's chunks may come back: if it only was silent."""
        role = self.members.of("server" if name in self.job.servers else "worker")
        if role.pop(name, None) is not None:
            self.note("lost", name=name, why=why)
            self.loaded.discard(name)
            self.decide()

    # --- the end --------------------------------------------------------------------------------

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
            self.until = HOLD
            self.hold = dict.fromkeys(self.synced(), -1)
        self.decide()

    def finish(self) -> None:
        """The last checkpoint is on the disk."""
        if self.draining and not self.ended:
            self.end(self.draining, 0)
        elif not self.manifest.finished and self.now >= self.retry_at:
            self.manifest.finished = True
            self.effects.append(Store("manifest", self.manifest.to_dict(), "finish"))

    def end(self, reason: str, code: int) -> None:
        """Tell everybody that the job is over; the first reason counts."""
        if self.stop is None:
            self.stop, self.deadline = (reason, code), self.now + LINGER
            self.note("over", why=reason, code=code)
            self.decide()

    # --- checkpoints ----------------------------------------------------------------------------

    def have_saved(self, saved: Saved) -> None:
        """A shard is on a disk."""
        if saved.step <= self.manifest.step:
            return
        if saved.error:
            self.cannot_save(saved.step, saved.error)
            return
        self.collection.add(saved)
        self.complete(saved.step)

    def complete(self, step: int) -> None:
        """Once all of a checkpoint is there: write the run's state, then the manifest."""
        shards = self.collection.whole(step)
        if shards is None or step not in self.states or step <= self.manifest.step or self.writing:
            return
        if self.now < self.retry_at:
            return
        self.writing = step, dict(shards)
        name = f"run-{self.generation}-{step}"
        self.effects.append(Store(name, self.states[step], "run"))

    def have_stored(self, event: Stored) -> None:
        if event.error:
            self.not_stored(event)
            return
        match event.tag:
            case "fence":
                self.begin()
            case "finish":
                self.end(FINISHED, 0)
            case "run":
                step, shards = self.writing
                checkpoint = Checkpoint(step, shards, event.name, event.sha256)
                self.next_manifest = replace(
                    self.manifest, checkpoints=[*self.manifest.checkpoints, checkpoint][-KEPT:]
                )
                self.effects.append(Store("manifest", self.next_manifest.to_dict(), "manifest"))
            case "manifest":
                self.have_manifest()

    def have_manifest(self) -> None:
        """A checkpoint exists from now on; files that none needs any more can go."""
        before = self.manifest.names()
        self.manifest, self.writing = self.next_manifest, None
        step = self.manifest.step
        self.note("checkpoint", step=step)
        gone = before | set(self.collection.drop(step))
        self.effects.append(Remove(sorted(gone - self.manifest.names())))
        self.decide()
        self.complete_all()

    def complete_all(self) -> None:
        """The newest checkpoint first that waits for something."""
        for step in sorted(self.collection.shards, reverse=True):
            self.complete(step)

    def not_stored(self, event: Stored) -> None:
        """The disk is full, or no longer ours."""
        if event.tag == "fence" or event.error == "fenced":
            self.effects.append(Exit(1, f"the manifest cannot be written: {event.error}"))
            return
        self.note("cannot save", alarm=True, file=event.name, error=event.error)
        step, self.writing = self.writing[0] if self.writing else self.until, None
        self.manifest.finished = False
        self.retry_at = self.now + PAUSE
        self.cannot_save(step, event.error)

    def cannot_save(self, step: int, error: str) -> None:
        """Training goes on, with the checkpoints that there are; at the end there is a limit."""
        if step == self.until and (self.ended or self.draining):
            self.unsaved_since = self.unsaved_since or self.now
            if self.now - self.unsaved_since > DRAIN:
                self.end(f"the last checkpoint could not be saved: {error}", 1)

    # --- operators ------------------------------------------------------------------------------

    def answer(self, sender: str, query: Query) -> None:
        if query.what == "stop":
            self.drain("cancelled")
        members = {
            m.name: {
                "state": m.beat.state if m.beat else "starting",
                "step": m.beat.step if m.beat else -1,
                "seen": round(self.now - m.seen, 3),
            }
            for m in self.members.all()
        }
        self.send(sender, Answer(query.what, {
            "generation": self.generation, "step": self.steps.step if self.steps else -1,
            "steps": self.plan.total_steps if self.plan else -1, "members": members,
            "checkpoint": self.manifest.step, "stop": self.stop[0] if self.stop else "",
        }))  # fmt: skip
