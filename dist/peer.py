"""What server and worker share: saying who they are and how, and hearing what is wanted of them.

Nothing hangs on a single message. A Beat says what this process is; Wanted says what it should be;
both come again and again, and each is the whole truth of its moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl_dist.compress import Codec
from minidl_dist.messages import (
    COORDINATOR,
    VERSION,
    Beat,
    Bye,
    Exit,
    Hello,
    Refused,
    Send,
    SetTimer,
    Wanted,
    Welcome,
)
from minidl_dist.modes import Mode, parse
from minidl_dist.plan import Job, Plan

TICK = 0.25  # seconds between looks at what is unanswered
PATIENCE = 30.0  # seconds that a process which was asked to stop waits for the coordinator's word
MAX_REASON = 4000  # characters: an error may hold anything, a message may not
STOPPED = 5.0  # seconds between two ticks after which the process itself was stopped
NOTHING = Wanted(token=0, generation=0, number=0, step=-1, until=-1, ready=False, plan_hash="")


class Peer:
    """A machine that follows the coordinator.

    Args:
        name: of the process, unique in the job: "worker0".
        incarnation: of this life of it, higher than in earlier ones.
        address, key: where others find it.
        fingerprint: what its results depend on: name -> text.

    Attributes:
        wanted: the newest Wanted.
        generation: that this process is in.
        job, mode, plan: None until they are known.
        codec: of the two, which packs gradients.
    """

    role = ""
    read_plan = staticmethod(Plan.from_dict)

    def __init__(
        self,
        name: str,
        incarnation: int,
        address: str = "",
        key: str = "",
        fingerprint: dict | None = None,
    ):
        self.name, self.incarnation, self.address, self.key = name, incarnation, address, key
        self.fingerprint = fingerprint or {}
        self.wanted = NOTHING
        self.generation = 0
        self.job: Job | None = None
        self.mode: Mode | None = None
        self.plan: Plan | None = None
        self.codec: Codec | None = None
        self.troubles: Callable[[], dict[str, int]] = dict  # of the node, with messages
        self.stranger = True  # the coordinator does not know this incarnation yet
        self.beats = 0
        self.beat_at = self.heard_at = self.ticked_at = 0.0
        self.stop_at: float | None = None  # until when to wait for the coordinator's word
        self.effects: list = []
        self.now = 0.0

    # --- for subclasses to fill in --------------------------------------------------------------

    def state(self) -> str:
        raise NotImplementedError

    def step_of_beat(self) -> int:
        return -1

    def step_given(self) -> int:
        return 0

    def progress(self) -> int:
        return 0

    def wants(self) -> str:
        return ""

    def waits_for(self) -> str:
        return ""

    def repeated(self) -> int:
        """How many requests were sent again."""
        return 0

    # --- talking --------------------------------------------------------------------------------

    def send(self, to: str, message: Any) -> None:
        self.effects.append(Send(to, message))

    def tick(self) -> None:
        """Say how we are, if it is time. End if nobody has answered for long."""
        if self.now - self.ticked_at > STOPPED:  # it was this process that was silent
            self.heard_at = self.now
        self.ticked_at = self.now
        if self.job is not None and self.now - self.heard_at > self.job.missing:
            self.leave(1, f"nothing was heard of the coordinator for {self.job.missing:g} s")
        if self.now >= self.beat_at:
            self.say_how_it_is()
        if self.stop_at is not None and self.now >= self.stop_at:
            self.leave(1, "asked to stop, and the coordinator does not answer")
        self.effects.append(SetTimer(TICK, "tick"))

    def say_how_it_is(self) -> None:
        """Hello where the coordinator does not know us, else Beat."""
        self.beat_at = self.now + (self.job.beat if self.job else 0.5)
        plan_hash = self.plan.hash if self.plan else ""
        if self.stranger or self.job is None:
            self.send(COORDINATOR, Hello(
                self.role, self.name, self.incarnation, self.wanted.token, self.address, self.key,
                VERSION, self.fingerprint, plan_hash,
            ))  # fmt: skip
            return
        self.beats += 1
        self.send(COORDINATOR, Beat(
            self.name, self.incarnation, self.wanted.token, self.generation, self.wanted.number,
            self.step_of_beat(), self.state(), self.progress(), plan_hash, self.wants(),
            self.step_given(), self.all_troubles(), self.waits_for(), self.beats,
        ))  # fmt: skip

    def all_troubles(self) -> dict[str, float]:
        """Counters of messages: only those that are not 0."""
        repeated = self.repeated()
        return {**self.troubles(), **({"repeated": repeated} if repeated else {})}

    def leave(self, code: int, reason: str) -> None:
        self.send(COORDINATOR, Bye(self.name, reason[-MAX_REASON:]))
        self.effects.append(Exit(code, reason))

    def asked_to_stop(self) -> None:
        """SIGTERM: the coordinator decides what is finished before."""
        if self.stop_at is None:
            self.stop_at = self.now + PATIENCE
        self.say_how_it_is()

    # --- hearing --------------------------------------------------------------------------------

    def take_wanted(self, wanted: Wanted) -> bool:
        """Whether this is the newest; it then replaces what was wanted before."""
        old, self.heard_at = self.wanted, self.now
        if (wanted.generation, wanted.number) < (old.generation, old.number):
            return False
        if wanted.token < old.token:
            return False  # a coordinator that does not know yet that it was replaced
        self.wanted, self.stranger = wanted, wanted.hello
        if wanted.hello:
            self.say_how_it_is()
        return True

    def take_welcome(self, welcome: Welcome) -> bool:
        """Whether job or plan were news."""
        if welcome.token < self.wanted.token:
            return False
        before = self.job, self.plan
        self.job = Job.from_dict(welcome.job)
        if welcome.plan:
            plan = self.read_plan(welcome.plan)
            if self.plan is None or self.plan.hash != plan.hash:
                self.plan = plan
        self.mode = parse(self.job.mode)
        if (self.job, self.plan) == before:
            return False
        self.find_codec()
        return True

    def find_codec(self) -> None:
        if self.job is not None and self.plan is not None:
            self.codec = Codec(self.plan, self.job)

    def refused(self, message: Refused) -> None:
        received = "".join(f"\n  {name}  {value}" for name, value in message.received.items())
        hint = f"\n  hint: {message.hint}" if message.hint else ""
        self.effects.append(Exit(2, message.rule + received + hint))
