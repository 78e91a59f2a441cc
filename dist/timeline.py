"""timeline.html of a job: who computed, pushed and waited when, drawn from events/NAME.jsonl.

One file that loads nothing and runs nothing: its Content-Security-Policy forbids both. Every text
that comes from a job is escaped by the template engine.
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minidl.errors import CheckpointError
from minidl.io.atomic import write_atomically
from minidl_dist.folder import EVENTS, TIMELINE
from minidl_dist.members import natural

WIDTH, LABEL, LANE, GAP = 1120, 92, 22, 8  # of a chart: all, names of lanes, a lane, between two
MOST = 6_000  # bars of a chart
STALE = 120  # height of the chart of staleness
DETAIL = 6  # steps in the chart of some steps
KINDS = {"compute": "computes a slot", "push": "pushes its gradients", "wait": "waits for weights"}


@dataclass
class Bar:
    """Something that took time.

    Args:
        kind: of KINDS.
        begin, end: in seconds since the job began.
        step, slot: that it is about; slot None where it is about the step.
    """

    kind: str
    begin: float
    end: float
    step: int
    slot: int | None = None

    @property
    def words(self) -> str:
        slot = "" if self.slot is None else f", slot {self.slot}"
        took = 1000 * (self.end - self.begin)
        return f"step {self.step}{slot}: {KINDS[self.kind]}, {took:.1f} ms"


@dataclass
class Lane:
    """What one process did: bars, and moments (time, words)."""

    name: str
    bars: list[Bar] = field(default_factory=list)
    dots: list[tuple[float, str]] = field(default_factory=list)


@dataclass
class Story:
    """The events of a job, put together.

    Args:
        lanes: of the processes that have any.
        turns: (time, who, words) of what happened once: lost processes, rollbacks, the end.
        steps: step -> when it was done.
        stale: (time, staleness, words) of each gradient, as the first server got them.
        seconds: from the first event to the last.
    """

    lanes: list[Lane]
    turns: list[tuple[float, str, str]]
    steps: dict[int, float]
    seconds: float
    stale: list[tuple[float, int, str]] = field(default_factory=list)


def write_timeline(folder: Path) -> None:
    """Write timeline.html into the folder of a job; without events there is none. A job whose disk
    is full has succeeded nevertheless."""
    events = read_events(folder / EVENTS)
    try:
        if events:
            write_atomically(folder / TIMELINE, render(folder.name, tell(events)).encode(), "dist")
    except CheckpointError as error:
        print(f"warning: there is no {TIMELINE}: {error.rule}", file=sys.stderr)


def read_events(place: Path) -> list[dict[str, Any]]:
    """All events in the order of time. Half a line of a killed process is skipped."""
    found = []
    for path in sorted(place.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                event = json.loads(line)
                found.append({**event, "time": float(event["time"]), "node": str(event["node"])})
            except (ValueError, TypeError, KeyError):
                continue
    return sorted(found, key=lambda event: event["time"])


# --- from events to bars ------------------------------------------------------------------------


def tell(events: list[dict[str, Any]]) -> Story:
    """Put bars, moments and turns together."""
    start = events[0]["time"]
    lanes: dict[str, Lane] = {}
    open_bars: dict[tuple, float] = {}
    turns, steps, stale = [], {}, []
    first = min((e["node"] for e in events if e.get("what") == "slot in"), key=natural, default="")
    for event in events:
        now, name, what = event["time"] - start, event["node"], event.get("what")
        lane = lanes.setdefault(name, Lane(name))
        step, slot = event.get("step", -1), event.get("slot")
        if what == "compute":
            open_bars[name, "compute", step, slot] = now
        elif what == "computed":
            close(lane, open_bars, "compute", now, step, slot)
            open_bars.setdefault((name, "push", step, slot), now)
        elif what == "pushed" and close(lane, open_bars, "push", now, step, slot):
            open_bars[name, "wait", step, None] = now
        elif what == "advance":
            close(lane, open_bars, "wait", now, step - 1, None)
        elif what == "slot in":
            words = f"step {step}, slot {slot} from {event.get('of')}"
            lane.dots.append((now, words))
            if name == first and isinstance(event.get("stale"), int):
                stale.append((now, event["stale"], words))
        elif what == "step done":
            steps.setdefault(step, now)
            lane.dots.append((now, f"step {step} is done"))
        elif (words := turn_of(event)) is not None:
            turns.append((now, name, words))
            if what == "generation":
                open_bars.clear()
    used = [lane for lane in lanes.values() if lane.bars or lane.dots]
    seconds = events[-1]["time"] - start
    return Story(sorted(used, key=lambda lane: natural(lane.name)), turns, steps, seconds, stale)


def close(
    lane: Lane, open_bars: dict[tuple, float], kind: str, now: float, step: int, slot: int | None
) -> bool:
    """End a bar that was begun; whether it was."""
    begin = open_bars.pop((lane.name, kind, step, slot), None)
    if begin is not None:
        lane.bars.append(Bar(kind, begin, now, step, slot))
    return begin is not None


def turn_of(event: dict[str, Any]) -> str | None:
    """What happened, in words; None for what is no turn of the story."""
    match event:
        case {"what": "lost", "name": name, "why": why}:
            return None if why in ("done", "finished") else f"{name} is lost: {why}"
        case {"what": "generation", "step": step, "why": why}:
            return f"all begin at step {step}: {why}"
        case {"what": "joined", "name": name}:
            return f"{name} joins"
        case {"what": "checkpoint", "step": step}:
            return f"a checkpoint of step {step}"
        case {"what": "stopping", "why": why}:
            return f"asked to stop: {why}"
        case {"what": "over", "why": why}:
            return f"over: {why}"
        case {"what": what, "alarm": alarm} if alarm:
            more = alarm if isinstance(alarm, str) else event.get("error", event.get("why", ""))
            return f"{what}: {more}"
    return None


# --- from bars to a page ------------------------------------------------------------------------


def render(name: str, story: Story) -> str:
    """The page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    engine = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=StrictUndefined,
    )  # fmt: skip
    charts = []
    if story.lanes:
        charts.append(("All steps", chart(story, first_bar(story), story.seconds)))
        if len(story.steps) > 2 * DETAIL:
            begin, end = some_steps(story.steps)
            charts.append((f"{DETAIL} steps in the middle", chart(story, begin, end)))
    return engine.get_template("timeline.html.j2").render(
        name=name, figures=figures(story), charts=charts, kinds=KINDS, turns=story.turns,
        stale=stale_chart(story),
    )  # fmt: skip


def first_bar(story: Story) -> float:
    """When the first slot was begun; starting processes and compiling kernels comes before."""
    return min((bar.begin for lane in story.lanes for bar in lane.bars), default=0.0)


def some_steps(steps: dict[int, float]) -> tuple[float, float]:
    """When the steps in the middle began and ended: only consecutive ones tell of each other."""
    runs = [n for n in sorted(steps) if all(n + k in steps for k in range(DETAIL + 1))]
    first = runs[len(runs) // 2] if runs else min(steps)
    return steps[first], steps.get(first + DETAIL, max(steps.values()))


def figures(story: Story) -> list[tuple[str, str, str]]:
    """(what, value, note) of the headline figures."""
    found = [("Duration", f"{story.seconds:.1f} s", "from the first start to the last exit")]
    if story.steps:
        found.append(("Steps", f"{max(story.steps) + 1:,}", "of all slots"))
    done = story.steps
    times = [1000 * (done[n + 1] - when) for n, when in done.items() if n + 1 in done]
    if times:
        found.append(("A step takes", f"{statistics.median(times):.1f} ms", "median"))
    spent = dict.fromkeys(KINDS, 0.0)
    for lane in story.lanes:
        for bar in lane.bars:
            spent[bar.kind] += bar.end - bar.begin
    total = sum(spent.values())
    if total:
        note = f"pushing {spent['push'] / total:.0%}, waiting {spent['wait'] / total:.0%}"
        found.append(("Workers compute", f"{spent['compute'] / total:.0%}", note))
    if story.stale:
        values = [value for _, value, _ in story.stale]
        note = f"others in between, at most {max(values)}" if any(values) else "none was late"
        found.append(("Staleness", f"{statistics.mean(values):.2g}", note))
    lost = sum("is lost" in words for _, _, words in story.turns)
    found.append(("Processes lost", str(lost), "and replaced" if lost else "all went well"))
    return found


def chart(story: Story, begin: float, end: float) -> dict[str, Any]:
    """Rectangles, dots and lines of the lanes between two times, in pixels."""
    scale = (WIDTH - LABEL - 8) / max(end - begin, 1e-9)

    def x(when: float) -> float:
        return round(LABEL + (min(max(when, begin), end) - begin) * scale, 2)

    lanes = []
    for number, lane in enumerate(story.lanes):
        bars = thin([bar for bar in lane.bars if bar.end > begin and bar.begin < end], MOST)
        dots = thin([dot for dot in lane.dots if begin <= dot[0] <= end], MOST // 2)
        lanes.append({
            "name": lane.name,
            "y": number * (LANE + GAP),
            "bars": [
                (bar.kind, x(bar.begin), round(max(x(bar.end) - x(bar.begin), 0.3), 2), bar.words)
                for bar in bars
            ],
            "dots": [(x(when), words) for when, words in dots],
        })  # fmt: skip
    return {
        "lanes": lanes,
        "height": len(lanes) * (LANE + GAP),
        "ticks": [(x(when), words) for when, words in ticks(begin, end)],
        "turns": [(x(when), words) for when, _, words in story.turns if begin < when < end],
        "width": WIDTH, "label": LABEL, "lane": LANE,
    }  # fmt: skip


def stale_chart(story: Story) -> dict[str, Any] | None:
    """A dot for each gradient: when it came, and how many others were applied since its weights
    were read. None where no gradient is late."""
    most = max((value for _, value, _ in story.stale), default=0)
    if not most:
        return None
    begin, end = first_bar(story), story.seconds
    scale = (WIDTH - LABEL - 8) / max(end - begin, 1e-9)
    lines = sorted({0, most // 2, most})
    return {
        "dots": [
            (round(LABEL + (max(when, begin) - begin) * scale, 2), level(value, most), value, words)
            for when, value, words in thin(story.stale, MOST)
        ],
        "lines": [(level(value, most), value) for value in lines],
        "ticks": [(LABEL + (when - begin) * scale, words) for when, words in ticks(begin, end)],
        "width": WIDTH, "label": LABEL, "height": STALE + 12,
    }  # fmt: skip


def level(value: int, most: int) -> float:
    """Height of a value in the chart of staleness."""
    return round(6 + STALE * (1 - value / most), 2)


def thin(things: list, most: int) -> list:
    """Every n-th, where there are too many to see."""
    return things[:: -(-len(things) // most)] if len(things) > most else things


def ticks(begin: float, end: float) -> list[tuple[float, str]]:
    """Round times after `begin`, four to ten of them, and how they are written."""
    span = max(end - begin, 1e-9)
    unit, factor = 1e-9, 0
    while span / unit > 10:  # 1, 2, 5, 10, 20, 50 ...
        unit *= (2.0, 2.5, 2.0)[factor % 3]
        factor += 1
    times = [unit * k for k in range(int(span / unit) + 1)]
    if span >= 1:
        return [(begin + t, f"{t:.10g} s") for t in times]
    return [(begin + t, f"{1000 * t:.10g} ms") for t in times]
