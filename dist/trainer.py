"""The training thread of a worker in the world of simulate.py: fit's loop as a machine of its own.

It does what client.py and minidl.fit do: computes slots, counts reports, validates at the end of an
epoch if it is the chief, waits for what the chief found if it is not, and goes back when told to.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl_dist import messages as m

if TYPE_CHECKING:
    from minidl_dist.simulate import Process, World


class Trainer:
    """The training thread of a worker: fit's loop as a machine of its own.

    Attributes:
        task: rises with a Rewind; what was scheduled before is dropped.
        run: what a checkpoint holds of the run: step, sums of the epoch, history, stop.
        at_step: generation and step that were announced by RunState; nothing is computed before.
        busy: a slot is being computed; whatever is asked meanwhile waits, as in a queue.
        asked: for the state of the run.
        pace: how many times as long it takes as others.
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
        self.busy, self.pace = False, 1.0
        self.asked: list[m.GiveState] = []

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
                self.busy, self.asked = False, []
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
            case m.GiveState():
                self.asked.append(effect)
                self.give_states()
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
        self.say(0.0, m.RunState(self.generation, step, b""))
        self.at_step = self.generation, step
        if self.run["stop"] or step == self.toy.plan.total_steps:
            self.say(0.0, m.Ended(self.generation, step))
        else:
            self.start_slot()

    def give_states(self) -> None:
        while self.asked and not self.busy:
            asked = self.asked.pop(0)
            if self.at_step == (asked.generation, asked.step):
                state = m.RunState(*self.at_step, json.dumps(self.run).encode())
                self.say(self.random.uniform(0.0, 0.05), state)

    def start_slot(self) -> None:
        is_over = self.run.get("stop", False)
        if self.waiting and self.at_step is not None and not self.hangs and not is_over:
            compute, self.waiting, self.busy = self.waiting, None, True
            after = self.random.uniform(0.01, 0.1) * self.world.pace * self.pace
            self.later(after, self.compute, compute)

    def compute(self, compute: m.Compute) -> None:
        self.busy = False
        where = compute.generation, compute.step, compute.slot
        chunks, done = self.toy.gradients(compute.step, compute.slot, self.tensors)
        for number in sorted(chunks, reverse=True):  # the last layers come first
            gone = sorted(self.toy.plan.chunks[number].tensors & set(done["missing"]))
            chunk = m.SlotChunk(*where, number, chunks[number], gone)
            self.say(self.random.uniform(0.0, 0.01), chunk)
        together = self.world.mode.together
        self.say(0.001, m.SlotDone(*where, **{**done, "clip": done["clip"] if together else None}))
        self.give_states()

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
