"""What a process does and when: a tap between a node and its machine, for timeline.html.

It passes every event on and every effect back as they are, and adds a Note to those that a reader
of the timeline wants to see. Of a long run only some steps are noted, each doubling of the steps
adds as many as the one before, so that the files stay small.
"""

from __future__ import annotations

import sys
from typing import Any

from minidl_dist import messages as m
from minidl_dist.plan import SUM

ALL_OF_THE_FIRST = 256  # steps


class Recorder:
    """A machine that is watched.

    Args:
        machine: any of the three.

    Attributes:
        was_stopped: whether the coordinator has said that the job is over.
    """

    def __init__(self, machine: Any):
        self.machine, self.was_stopped = machine, False
        self.done = -1, -1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.machine, name)

    def handle(self, event: Any, now: float) -> list:
        notes = [note for note in self.of_event(event) if is_noted(note)]
        effects = self.machine.handle(event, now)
        for effect in effects:
            notes += [note for note in self.of_effect(effect) if is_noted(note)]
        return effects + [m.Note(note) for note in notes]

    def of_event(self, event: Any) -> list[dict[str, Any]]:
        match event:
            case m.SlotDone():
                facts = {"step": event.step, "slot": event.slot}
                return [{"what": "computed", **facts, "hidden": share_pushed(self.machine)}]
            case m.Doing():
                return [{"what": "doing", "state": event.state}]
            case m.Received(sender, m.Head() as head):
                return [{"what": "slot in", "step": head.step, "slot": head.slot, "of": sender}]
            case m.Received(m.COORDINATOR, m.Wanted(stop=stop)) if stop:
                self.was_stopped = True
            case m.Stored(name) if not event.error:
                return [{"what": "stored", "file": name}]
        return []

    def of_effect(self, effect: Any) -> list[dict[str, Any]]:
        match effect:
            case m.Compute():
                return [{"what": "compute", "step": effect.step, "slot": effect.slot}]
            case m.Advance():
                return [{"what": "advance", "step": effect.step}]
            case m.Rewind():
                facts = {"step": effect.step, "generation": effect.generation}
                return [{"what": "rewind", **facts}]
            case m.Send(_, m.Report() as report):
                return [{"what": "pushed", "step": report.step, "slot": report.slot}]
            case m.Send(_, m.StepDone() as done) if (done.generation, done.step) > self.done:
                self.done = done.generation, done.step
                return [{"what": "step done", "step": done.step}]
        return []


def share_pushed(worker: Any) -> float:
    """How much of a slot's gradient the servers have when backward ends: that did not cost time."""
    total = sum(chunk.nbytes for chunk in worker.plan.chunks if chunk.kind == SUM)
    left = 0
    for window in worker.pushes.values():
        messages = [
            *window.waiting.values(),
            *(flight.message for flight in window.flying.values()),
        ]
        left += sum(message.values.nbytes for message in messages if isinstance(message, m.Push))
    return round(max(0.0, 1 - left / max(total, 1)), 3)


def show_alarm(facts: dict[str, Any]) -> None:
    """Print what a user must know although the job goes on."""
    rest = {name: value for name, value in facts.items() if name not in ("what", "alarm")}
    more = ", ".join(f"{name} {value}" for name, value in rest.items())
    if isinstance(facts["alarm"], str):
        more = f"{facts['alarm']}" + (f" ({more})" if more else "")
    print(f"warning: {facts['what']}: {more}", file=sys.stderr, flush=True)


def is_noted(note: dict[str, Any]) -> bool:
    """Whether the step of a note is one of those that are written down."""
    step = note.get("step", 0)
    if step < ALL_OF_THE_FIRST or note["what"] in ("rewind", "generation"):
        return True
    return step % (1 << (step.bit_length() - ALL_OF_THE_FIRST.bit_length() + 1)) == 0
