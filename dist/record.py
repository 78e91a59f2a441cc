"""What a process does and when: a tap between a node and its machine, for timeline.html.

It passes every event on and every effect back as they are, and adds a Note to those that a reader
of the timeline wants to see. Of a long run only some steps are noted, each doubling of the steps
adds as many as the one before, so that the files stay small.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from pathlib import Path
from typing import Any

from minidl_dist import here
from minidl_dist import messages as m
from minidl_dist.plan import SUM

ALL_OF_THE_FIRST = 256  # steps
OF_LAST = 400  # gradients whose staleness the status shows
LONGEST = 400  # characters of an alarm in the status


class Lines:
    """A file to which lines are appended. What a full disk does not take is lost, and counted.

    Args:
        path: its folder is made where it can be.
    """

    def __init__(self, path: str | Path):
        self.path, self.lost = Path(path), 0
        self.descriptor: int | None = None
        self.is_torn = False  # the last line is there in part
        self.opened()

    def opened(self) -> int | None:
        """The file, if it can be opened: its disk may be full, or read-only for a while."""
        if self.descriptor is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            except OSError:
                pass
        return self.descriptor

    def write(self, line: str) -> bool:
        """Append a line; whether it is there."""
        data = b"\n" * self.is_torn + line.encode(errors="backslashreplace") + b"\n"
        try:
            file = self.opened()
            written = os.write(file, data) if file is not None else 0
        except OSError:
            written = 0
        if written:
            self.is_torn = written < len(data)
        self.lost += written < len(data)
        return written == len(data)

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


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
        self.heads: set[tuple[int, int, int]] = set()  # (generation, step, slot) of the last steps
        self.folded = 0  # gradients that came, each once
        self.pulled: dict[str, int] = {}  # worker -> `folded` when it was last given weights
        self.stale: deque[int] = deque(maxlen=OF_LAST)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.machine, name)

    def handle(self, event: Any, now: float) -> list:
        notes = self.notes_of_event(event)
        effects = self.machine.handle(event, now)
        return effects + notes + self.notes_of_effects(effects)

    def notes_of_event(self, event: Any) -> list[m.Note]:
        return [m.Note(note) for note in self.of_event(event) if is_noted(note)]

    def notes_of_effects(self, effects: list) -> list[m.Note]:
        notes = (note for effect in effects for note in self.of_effect(effect))
        return [m.Note(note) for note in notes if is_noted(note)]

    def of_event(self, event: Any) -> list[dict[str, Any]]:
        match event:
            case m.SlotDone():
                facts = {"step": event.step, "slot": event.slot}
                return [{"what": "computed", **facts, "hidden": share_pushed(self.machine)}]
            case m.Doing():
                return [{"what": "doing", "state": event.state}]
            case m.Received(sender, m.Head() as head) if self.is_new(head):
                facts = {"step": head.step, "slot": head.slot, "of": sender}
                return [{"what": "slot in", **facts, "stale": self.staleness(sender)}]
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
            case m.Send(worker, m.Weights()):
                self.pulled[worker] = self.folded
            case m.Send(_, m.Report() as report):
                return [{"what": "pushed", "step": report.step, "slot": report.slot}]
            case m.Send(_, m.StepDone() as done) if (done.generation, done.step) > self.done:
                self.done = done.generation, done.step
                return [{"what": "step done", "step": done.step}]
        return []

    # --- staleness ------------------------------------------------------------------------------

    def is_new(self, head: m.Head) -> bool:
        """Whether a gradient comes for the first time, to a server that can use it."""
        key = head.generation, head.step, head.slot
        if key in self.heads or head.generation != self.machine.generation:
            return False
        if len(self.heads) > OF_LAST:
            recent = head.generation, head.step - OF_LAST // 4
            self.heads = {known for known in self.heads if known[:2] >= recent}
        self.heads.add(key)
        return True

    def staleness(self, worker: str) -> int:
        """How many gradients came since a worker was given the weights for the one that comes now.
        Where those of a step are applied together, none: all are of the weights they change."""
        stale = 0
        if not self.machine.mode.together:
            stale = self.folded - self.pulled.get(worker, self.folded)
        self.folded += 1
        self.stale.append(stale)
        return stale


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
    """Print what a user must know although the job goes on; status shows it, too."""
    rest = {name: value for name, value in facts.items() if name not in ("what", "alarm")}
    more = ", ".join(f"{name} {value}" for name, value in rest.items())
    if isinstance(facts["alarm"], str):
        more = f"{facts['alarm']}" + (f" ({more})" if more else "")
    text = f"{facts['what']}: {more}"
    print(f"warning: {text}", file=sys.stderr, flush=True)
    if here.told is not None:
        here.tell_launcher({"alarm": text[:LONGEST]})


def is_noted(note: dict[str, Any]) -> bool:
    """Whether the step of a note is one of those that are written down."""
    step = note.get("step", 0)
    if step < ALL_OF_THE_FIRST or note["what"] in ("rewind", "generation"):
        return True
    return step % (1 << (step.bit_length() - ALL_OF_THE_FIRST.bit_length() + 1)) == 0
