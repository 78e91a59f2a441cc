"""The coordinator: membership, generations, steps, checkpoints. A pure machine, see messages.py.

It multiplies nothing and holds no weights. What it knows of the others is what they say in every
Beat; what it wants of each of them is computed from that, in `decide`, whenever something changed,
and sent as a whole. After a loss it does one of two things:

    a worker     its slots of the current step go to others; nobody goes back
    a server     its chunks are gone, so a new generation begins: everybody goes back to the last
                 checkpoint

The coordinator itself may be lost, too: the next one reads the manifest, raises the fencing token
in it, and begins a generation above all earlier ones. The older, if it lives, hears of the token in
the next message, or when it writes, and ends.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any

from minidl.errors import MinidlError
from minidl_dist.compress import is_clear
from minidl_dist.decisions import listed
from minidl_dist.manifest import Manifest
from minidl_dist.members import Member, differences
from minidl_dist.messages import (
    CLAIM,
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
    Offer,
    Publish,
    Published,
    Query,
    Received,
    Refused,
    Report,
    RunState,
    Saved,
    SetTimer,
    Started,
    StepDone,
    StopAsked,
    Store,
    Stored,
    Timer,
    Welcome,
)
from minidl_dist.modes import parse
from minidl_dist.peer import TICK
from minidl_dist.plan import Plan
from minidl_dist.saving import Saving
from minidl_dist.steps import Steps

GREETINGS = (Hello, Beat)
DECISIVE = ("joining", "leaving", "done", "serving", "failed")  # states of which all depends

# Which role says what; anybody says the rest.
SAID_BY: dict[type, str] = {
    Offer: "worker", Report: "worker", RunState: "worker", Publish: "worker",
    Saved: "server", Norms: "server",
}  # fmt: skip


def is_its_own(sender: str, message: Any) -> bool:
    """Whether a message is in its sender's name, and of a kind that its role says."""
    role = sender.rstrip("0123456789")
    return (
        getattr(message, "name", sender) == getattr(message, "worker", sender) == sender
        and getattr(message, "role", role) == SAID_BY.get(type(message), role) == role
    )


class Coordinator(Saving):
    """See the module.

    Attributes:
        disowned: how many messages were dropped because another's name was in them; the first is
            noted.
    """

    disowned = 0
    read_plan = staticmethod(Plan.from_dict)

    def handle(self, event: Any, now: float) -> list:
        self.effects, self.now = [], now
        match event:
            case Received(sender, message):
                if self.is_open:
                    self.receive(sender, message)
            case Started():
                self.opened = self.alone_since = now
                self.effects += [Load("manifest", "start"), SetTimer(TICK, "tick")]
            case Loaded():
                self.load(event)
            case Stored():
                self.stored(event)
            case Timer():
                self.effects.append(SetTimer(TICK, "tick"))
                if self.is_open:
                    self.look_around()
            case Left(peer, how):
                self.lose(peer, how)
            case StopAsked(reason):
                self.drain(reason)
        return self.effects

    # --- a life begins --------------------------------------------------------------------------

    def load(self, event: Loaded) -> None:
        match event.tag:
            case "start" | "claimed" if event.value is None and event.error:
                self.effects.append(Exit(1, f"the manifest cannot be read: {event.error}"))
            case "start":
                self.token = event.value["token"] + 1 if event.value else 1
                claim = {"token": self.token, CLAIM: True}
                self.effects.append(Store("manifest", claim, CLAIM))
            case "claimed":  # read again: what an older coordinator wrote before it was fenced
                manifest = Manifest.from_dict(event.value, self.token)
                # Whoever comes again, to write results, gets the last weights.
                self.was_finished, manifest.finished = manifest.finished, False
                self.checkpoints.manifest, self.checkpoints.named = manifest, manifest.names()
                self.begin()
            case ("state", self.generation):
                if event.value is None:
                    self.fall_back(event.name, event.error)
                else:
                    self.states[self.base.step] = event.value
                    self.decide()

    def begin(self) -> None:
        """The token is on the disk, no older coordinator can write: this is the coordinator now."""
        if self.manifest.plan:
            self.plan = self.read_plan(self.manifest.plan)
        self.is_open, self.opened = True, self.now
        self.roll_back("a coordinator begins")

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
        if self.scheme.remembers:  # of slots that this step has not, the worker may be gone
            self.members.owner = {}
        if self.base is not None:
            tag = "state", self.generation
            self.effects.append(Load(self.base.run, tag, self.base.run_sha256))
        if self.draining:
            self.end(self.draining, 0)  # what there is on the disk is what remains
        self.decide()

    # --- messages -------------------------------------------------------------------------------

    def receive(self, sender: str, message: Any) -> None:
        if not is_its_own(sender, message):
            self.disowned += 1
            if self.disowned == 1:
                kind = type(message).__name__
                self.note("said in another's name: dropped", sender=sender, kind=kind)
            return
        member = self.members.find(sender)
        if member is not None:
            if self.now - member.seen > self.job.dead / 2:
                member.steady_since = self.now
            member.seen = self.now  # any traffic counts
        if isinstance(message, GREETINGS) and message.token > self.manifest.token:
            self.effects.append(Exit(1, "another coordinator has taken over"))
            return
        match message:
            case Beat():
                self.beat(message)
            case Hello():
                self.hello(message)
            case Offer():
                self.offer(sender, message)
            case Bye():
                self.lose(sender, message.reason)
            case Failed():
                self.end(message.rule + listed(message.received), 1)
            case Publish():
                self.publish(sender, message)
            case Query():
                self.answer(sender, message)
            case Saved():
                self.saved(sender, message)
            case Report() | Norms() | RunState():
                if message.generation == self.generation and self.steps is not None:
                    self.of_generation(sender, message)

    def of_generation(self, sender: str, message: Any) -> None:
        match message:
            case Report():
                self.report(message)
            case Norms(step=step):
                known = step in self.steps.totals
                total = self.steps.norm(sender, message)
                if total is not None and not isfinite(total) and self.job.on_nan == "stop":
                    self.end(f"the norm of the gradients of step {step} is {total}", 1)
                elif total is not None:
                    for server in [sender] if known else sorted(self.steps.with_gradients):
                        self.send(server, Norm(self.generation, step, total))
            case RunState(step=step):
                if step in (self.steps.step, self.until, self.checkpoints.asked):
                    self.states.setdefault(step, message.blob)
                    self.keep(step)
                    for name in self.members.joining(self.generation):
                        self.give_state(name)
                    self.decide()
                self.tell(sender)

    def hello(self, hello: Hello) -> None:
        """A process says who it is: take it in, or say why not."""
        if hello.version != VERSION:
            rule = "all processes of a job have the same version of minidl's protocol"
            self.send(hello.name, Refused(rule, {"yours": hello.version, "the job's": VERSION}))
            return
        if hello.role == "server" and hello.name not in self.job.servers:
            rule = f"the servers of this job are {', '.join(self.job.servers)}"
            self.send(hello.name, Refused(rule, {"yours": hello.name}))
            return
        old = self.members.of(hello.role).get(hello.name)
        if old is not None and old.hello.incarnation > hello.incarnation:
            return  # said in an earlier life
        if old is not None and old.hello.incarnation < hello.incarnation:
            self.lose(hello.name, "it was started again")
            old = None
        is_other = old is None or old.hello.fingerprint != hello.fingerprint
        if is_other and not self.may_differ(hello):
            self.lose(hello.name, "it was refused")
            return
        if old is None:
            self.members.add(Member(hello, self.now, self.now))
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

    def may_differ(self, hello: Hello) -> bool:
        """Whether a worker on another kind of machine may take part. That it is one, is said. What
        it is, is known when its training begins: a script may choose its kernels before."""
        first = self.members.first_known(hello.name)
        if not hello.fingerprint or first is None:
            return True
        differ = differences(hello, first.hello)
        if differ and self.job.strict:
            rule = f"--strict: this machine differs from that of {first.name}"
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
            if beat.name in self.job.servers:  # it hears of the generation, so it takes values
                self.lives.setdefault(beat.name, beat.incarnation)
            message = replace(self.wanted(beat.name), hello=True, number=self.number)
            if banned is not None and banned[0] == beat.incarnation:
                message = replace(message, stop=banned[1], code=3)
            self.send(beat.name, message)
            if member is not None:  # whose next Wanted must not seem older than this one
                member.wanted = None
            return
        before = member.beat
        if before is not None and beat.count < before.count:
            return  # late: it says how things were
        stood = self.standing(member)
        member.take(beat, self.now)
        if member.hello.role == "server":
            self.server_beat(member)
        elif beat.generation == self.generation and self.steps is not None:
            self.worker_beat(member)
        if self.hold or self.standing(member) != stood:
            self.decide()
        self.tell(beat.name)

    def standing(self, member: Member) -> tuple:
        """What decisions depend on, of all that a Beat says."""
        beat, oldest = member.beat, self.steps.oldest if self.steps else 0
        if beat is None or beat.generation != self.generation:
            return (beat is None,)
        state = beat.state if beat.state in DECISIVE else ""
        return state, self.ended, member.is_synced(self.generation, oldest)

    def server_beat(self, member: Member) -> None:
        beat = member.beat
        if self.plan is None:
            return
        if beat.generation == self.generation:
            self.lives.setdefault(member.name, beat.incarnation)
        if beat.plan_hash != self.plan.hash:
            self.welcome(member.name, "server")
        elif member.is_in(self.generation, "failed"):
            if self.base is self.manifest.newest:
                self.fall_back(f"of {member.name}", "see its log")
            else:
                self.roll_back(f"{member.name} cannot read a checkpoint that is not the newest")
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
        if beat.state == "joining":
            self.give_state(beat.name)
        elif beat.state == "done" and beat.step == steps.step:
            self.ended, self.until = True, min(self.until, beat.step)
        for step in range(beat.given, min(beat.given + 8, steps.step) if beat.step >= 0 else 0):
            if step in steps.done:
                self.send(beat.name, StepDone(self.generation, step, steps.done[step]))

    def give_state(self, name: str) -> None:
        """To a worker that joins, if this is a step at which it can, and the state is there."""
        step = self.steps.step
        if step in self.states and self.steps.is_barrier():
            self.send(name, RunState(self.generation, step, self.states[step]))

    def offer(self, sender: str, offer: Offer) -> None:
        """A worker's plan: the first is the job's, all others are compared with it."""
        try:
            plan = self.read_plan(offer.plan)
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
        """Kept for who asks; the last few are enough, since workers are a step apart at most.

        Only the chief of this generation is heard. Another that was chief is answered with what
        the chief has found, once that is there.
        """
        known = self.published.get(message.key)
        if known is not None:
            self.send(sender, Published(message.key, known))
            return
        is_current = message.key.startswith(f"{self.generation} ")
        if sender != self.members.chief or not is_current:
            return
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
        self.was_synced = True  # whoever reports was, even if no Beat of it came
        self.progressed = self.now  # though all wait until the reports of many steps are here
        if report.nan and self.job.on_nan == "stop":
            facts = f"{report.worker}, step {report.step}, slot {report.slot}: {report.nan}"
            self.end(f"a gradient is not finite: {facts}", 1)
            return
        steps = self.steps
        while (step := steps.finish()) is not None:
            if steps.is_barrier() and is_clear(self.scheme, self.job, steps.step):
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
