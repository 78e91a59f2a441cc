"""The worker: lets the training thread compute slots, brings gradients out and weights in.

A pure machine, see messages.py; the training thread is on the other side of client.py.

    starting    the training thread has no model yet
    joining     no weights and no state of this generation: pull them, then Rewind
    in a step   compute the slots wanted; push them; report them; pull the next weights; Advance

The training thread keeps the weights of its step until all of the next are here, and all slots of
the step are done: so it can be given another slot of this step at any moment before, when the
worker that had it is lost.
"""

from __future__ import annotations

from typing import Any

from minidl_dist.checksum import checksum
from minidl_dist.messages import (
    COORDINATOR,
    INITIAL,
    Advance,
    Await,
    Begin,
    Chief,
    Compute,
    Crashed,
    Doing,
    Ended,
    Finished,
    Head,
    Initial,
    Offer,
    Publish,
    Published,
    Push,
    Received,
    Reconnected,
    Refused,
    Report,
    Rewind,
    RunState,
    SlotChunk,
    SlotDone,
    Started,
    StepDone,
    StopAsked,
    Timer,
    Wanted,
    Welcome,
)
from minidl_dist.modes import existing
from minidl_dist.requests import Requests

LEASE = 0.8  # of Job.dead: for so long a chief is chief without a word of the coordinator


class Worker(Requests):
    """See the module.

    Attributes:
        step: that the training thread is in; None: it has to join.
        next_step: slot -> the first step of it that was not computed here.
        computing: (step, slot) that the training thread is at, or None.
        step_done: step -> reports of all its slots.
        given: the first step whose reports the training thread has not seen.
        state_here: the run's state to join with.
        state_asked: the step whose state was asked for.

    What it keeps of requests to servers is in requests.py, of states of the run in run_states.py.
    """

    role = "worker"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.begun: Begin | None = None
        self.doing = ""
        self.compiled = self.chief = False
        self.places, self.routes = [], {}
        self.count = 0  # of what the training thread did
        self.heard = 0.0  # when the coordinator said what is wanted
        self.reset()

    def reset(self) -> None:
        """Nothing of the generation before is left."""
        self.step: int | None = None
        self.next_step: dict[int, int] = {}
        self.computing: tuple[int, int] | None = None
        self.forget_requests()
        self.step_done: dict[int, list] = {}
        self.given = 0
        self.state_here: RunState | None = None
        self.state_asked: int | None = None
        self.states: dict[int, RunState] = {}
        self.state_sent: dict[int, float] = {}
        self.states_asked: set[int] = set()
        self.publishing: dict[str, Publish] = {}
        self.awaited = ""
        self.ended = self.seeds = False

    def handle(self, event: Any, now: float) -> list:
        self.effects, self.now = [], now
        match event:
            case Received(sender, message):
                if sender == COORDINATOR:
                    self.from_coordinator(message)
                else:
                    self.from_server(sender, message)
            case Started() | Timer():
                self.look_at_servers()
                self.tick()
                self.doubt_that_it_is_chief()
                self.repeat()
            case Reconnected(peer):
                self.reconnected(peer)
            case StopAsked():
                self.asked_to_stop()
            case _:
                self.from_training(event)
        self.go_on()
        return self.effects

    # --- how it is ------------------------------------------------------------------------------

    def state(self) -> str:
        if self.ended:
            return "done"
        if self.stop_at is not None:
            return "leaving"
        if self.begun is None:
            return "starting"
        if self.step is None:
            return "joining"
        if self.doing:
            return self.doing
        if self.awaited:
            return "evaluating" if self.chief else "waiting"
        if self.computing is None and self.step in self.states:
            return "waiting"
        return "computing" if self.compiled else "compiling"

    def step_of_beat(self) -> int:
        return -1 if self.step is None else self.step

    def step_given(self) -> int:
        """The first step whose reports are missing here: from it on the coordinator sends them
        again. Where steps run ahead, `given` stands still while a barrier waits for all reports.
        Else it counts: the weights of an older step are gone, even if its reports are here."""
        step = self.given
        while self.mode and not self.mode.together and step in self.step_done:
            step += 1
        return step

    def progress(self) -> int:
        return self.count

    def wants(self) -> str:
        return self.awaited

    def repeat(self) -> None:
        """Say again what may not have been heard. Requests to servers are in their Windows."""
        for (step, slot), report in self.reports.items():
            if not self.unanswered.get((step, slot)):
                self.send(COORDINATOR, report)
        for publish in self.publishing.values():
            self.send(COORDINATOR, publish)

    # --- from the coordinator -------------------------------------------------------------------

    def from_coordinator(self, message: Any) -> None:
        match message:
            case Welcome():
                if self.take_welcome(message):
                    self.set_servers()
                    self.say_how_it_is()
            case Wanted() if self.take_wanted(message):
                self.follow()
            case StepDone() if message.generation == self.generation:
                if message.step >= self.given:
                    self.step_done[message.step] = message.reports
            case RunState() if message.generation == self.generation and self.step is None:
                self.state_here = message
            case Published(key=key):
                self.publishing.pop(key, None)
                if self.awaited == key:
                    self.awaited = ""
                    self.effects.append(Published(key.partition(" ")[2], message.value))
            case Refused():
                self.end_with(message)

    def doubt_that_it_is_chief(self) -> None:
        """After too long a silence, perhaps its own, another one is chief, and writes the files."""
        if self.chief and self.job and self.now - self.heard > LEASE * self.job.dead:
            self.chief = False
            self.effects.append(Chief(False))

    def follow(self) -> None:
        """Become what the coordinator wants; go_on does the rest."""
        wanted, self.heard = self.wanted, self.now
        if wanted.chief != self.chief:
            self.chief = wanted.chief
            self.effects.append(Chief(self.chief))
        if wanted.stop:
            self.effects.append(Finished(wanted.stop, wanted.code))
            self.leave(wanted.code, wanted.stop)
            return
        if self.begun is not None and wanted.plan_hash != self.plan.hash:
            self.send(COORDINATOR, Offer(self.plan.to_dict()))
            return
        if wanted.generation > self.generation:
            self.generation = wanted.generation
            self.reset()
            self.say_how_it_is()
        if wanted.manifest >= 0 and self.begun is not None:
            self.begun.initial = {}  # a checkpoint has them
        for step, slot in list(self.reports):
            if step < wanted.step:
                del self.reports[step, slot]
        if self.step is not None and self.step_given() < wanted.oldest:
            self.rejoin()
        if self.want is not None and self.version_of(self.want) > self.pulled:
            self.pull(self.want)  # it has become the last step

    def rejoin(self) -> None:
        """The others went on without this worker, too far to follow: begin where they are."""
        self.reset()
        self.say_how_it_is()

    # --- from the training thread ---------------------------------------------------------------

    def from_training(self, event: Any) -> None:
        self.count += 1
        match event:
            case Begin():
                self.begun, self.plan, self.fingerprint = event, event.plan, event.fingerprint
                self.stranger = True  # say Hello once more
                self.find_codec()
                self.say_how_it_is()
            case SlotChunk() if self.is_mine(event):
                self.push(event)
            case SlotDone() if self.is_mine(event):
                self.slot_is_done(event)
            case RunState() if event.generation == self.generation:
                if event.step in self.states:  # asked for; perhaps the step is over by now
                    self.states[event.step] = event
                elif self.step == event.step:
                    self.keep_state(event)
            case Publish() if self.states:  # else it was said before the thread heard of Rewind
                publish = Publish(self.key_of(event), event.value)
                self.publishing[publish.key] = publish
                self.send(COORDINATOR, publish)
            case Await() if self.states:
                self.awaited = self.key_of(event)
                self.say_how_it_is()
            case Doing():
                self.doing = event.state
                self.say_how_it_is()
            case Ended() if event.generation == self.generation:
                self.ended, self.computing = True, None
                self.say_how_it_is()
            case Crashed():
                self.leave(1, event.error)

    def key_of(self, event: Publish | Await) -> str:
        """Of this generation: what was found before a rollback may not be what is found after."""
        return f"{self.generation} {event.key}"

    def is_mine(self, event: SlotChunk | SlotDone) -> bool:
        """Whether it is of the slot that is being computed, and of this generation."""
        return event.generation == self.generation and (event.step, event.slot) == self.computing

    def push(self, event: SlotChunk) -> None:
        values, where = self.codec.pack(event), (event.step, event.slot, event.chunk)
        push = Push(self.generation, *where, checksum(values), event.missing, values)
        self.ask(self.owner(event.chunk), push)

    def slot_is_done(self, event: SlotDone) -> None:
        step, slot = event.step, event.slot
        for server in sorted(set(self.owners())):
            self.ask(server, Head(
                self.generation, step, slot, event.weight, event.groups, event.missing, event.clip,
                event.nan,
            ))  # fmt: skip
        self.reports[step, slot] = Report(
            self.generation, step, slot, self.name, event.weight, event.values, event.nan
        )
        self.computing, self.compiled = None, True
        self.next_step[slot] = step + 1

    # --- going on -------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Do all that is possible now. What has to be waited for comes as an event."""
        wanted = self.wanted
        ready = self.begun is not None and self.job is not None and not wanted.stop
        if not ready or wanted.plan_hash != self.plan.hash or self.generation != wanted.generation:
            return
        if wanted.seeder and self.step is None:
            self.seed()
        if wanted.ready and self.step is None:
            self.join()
        if wanted.ready and self.step is not None:
            self.share_states()
            self.compute()
            self.fetch()
            self.advance()
        self.send_due()

    def seed(self) -> None:
        """Give the servers the first values of the model, and the coordinator the first state."""
        if not self.seeds:
            self.seeds = True
            for chunk, values in self.begun.initial.items():
                message = Initial(self.generation, chunk, checksum(values), values)
                self.pushes[self.owner(chunk)].add((INITIAL, 0, chunk), message)
        self.share(RunState(self.generation, 0, self.begun.blob))

    def join(self) -> None:
        """Pull the weights of the step for which there is a state; then begin there."""
        target = self.wanted.step
        if self.state_here is None or self.state_here.step != target:
            if self.state_asked != target and not self.stranger:
                self.state_asked = target  # the answer has it, or it is sent when it is there
                self.say_how_it_is()
            return
        if self.want != target:
            self.pull(target)
        if len(self.incoming) == len(self.plan.chunks):
            self.step = self.given = target
            blob = self.state_here.blob
            self.effects.append(Rewind(self.generation, target, self.incoming, blob))
            self.want, self.incoming, self.state_here = None, {}, None
            self.say_how_it_is()

    def compute(self) -> None:
        """Let the training thread compute the next slot of ours, if there is one."""
        if self.computing is not None or self.ended or len(self.unanswered) > 1:
            return  # not more than two slots are held at a time: memory is bounded
        if todo := self.todo():
            step, slot = self.computing = min(todo)
            self.effects.append(Compute(self.generation, step, slot))

    def todo(self) -> list[tuple[int, int]]:
        """(step, slot) that are to be computed here, and can be."""
        todo = []
        for first, slot in () if self.wanted.hold else self.wanted.slots:
            step = existing(self.plan, max(first, self.next_step.get(slot, 0)), slot)
            if step >= self.wanted.until or step > self.step:
                continue
            if not self.mode.together or step == self.step == self.wanted.step:
                todo.append((step, slot))
        return todo

    def fetch(self) -> None:
        """Pull the next weights, when all of this step that is ours is at the servers."""
        if self.want is not None or self.computing is not None or self.ended or self.unanswered:
            return
        if not self.wanted.hold and self.step < self.plan.total_steps and not self.todo():
            follows = self.mode.together or self.wanted.slots or self.step in self.step_done
            if self.wanted.until > self.step and follows:
                self.pull(self.step + 1)

    def advance(self) -> None:
        """The next step begins, when its weights are whole and what comes before it is done."""
        if self.want is None or len(self.incoming) < len(self.plan.chunks) or self.computing:
            return
        if self.step not in self.states:  # the training thread is still on its way to this step
            return
        is_last = self.want == self.wanted.until
        if is_last or self.mode.is_barrier(self.plan, self.job, self.want):
            if any(step not in self.step_done for step in range(self.given, self.want)):
                return
        reports = []
        while self.given < self.want and self.given in self.step_done:
            reports += self.step_done.pop(self.given)
            self.given += 1
        self.step = self.want
        self.effects.append(Advance(self.generation, self.step, self.incoming, reports))
        self.want, self.incoming = None, {}
        self.say_how_it_is()
