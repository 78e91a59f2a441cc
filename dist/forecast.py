"""What N workers and S servers would do: `minidl dist forecast`.

A rehearsal of each number of workers (rehearse.py), a steady part of which is looked at: steps a
second, what the time of a step is made of (hardware.py), and which thread or link is the busiest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from minidl_dist.costs import Costs
from minidl_dist.hardware import PARTS
from minidl_dist.rehearse import Rehearsal
from minidl_dist.scenario import WARM_UP, Scenario

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
FULL = 0.9  # of its time: a thread or link that is this busy is what limits the job
SHOWN = 0.005  # share of a step's time; less is not shown


@dataclass(frozen=True)
class Forecast:
    """What came out.

    Attributes:
        workers, servers, mode: of the scenario.
        steps: a second. In ssp and async, slots / workers.
        slots: a second, of those that count.
        speedup: how many workers that need not talk would compute as many.
        parts: what the time of a step is spent on: share of each of hardware.PARTS.
        busiest: a thread, link or host.
        busy: the share of its time.
        repeated: requests that were sent again for each slot, because no answer came for long.
        events: that machines handled in the rehearsal.
    """

    workers: int
    servers: int
    mode: str
    steps: float
    slots: float
    speedup: float
    parts: dict[str, float]
    busiest: str
    busy: float
    repeated: float
    events: int

    @property
    def limit(self) -> str:
        """What has to be faster for more steps a second."""
        if self.busy >= FULL:
            return self.busiest
        return max(self.parts, key=lambda part: self.parts[part])


def forecast(scenario: Scenario, costs: Costs) -> Forecast:
    """Rehearse a job, and see how fast it is.

    Raises:
        ArgumentError: there is no such job.
    """
    world = Rehearsal(scenario, costs)
    counted = world.mode.counted(world.plan, 0)
    world.run_until(WARM_UP * counted)
    began, first, before = world.clock.now, world.slots, busy_seconds(world)
    repeats = repeated(world)
    world.run_until(first + scenario.measured_steps * counted)
    seconds, slots = world.clock.now - began, world.slots - first
    busiest, busy = max(
        ((name, (total - before[name]) / seconds) for name, total in busy_seconds(world).items()),
        key=lambda pair: pair[1],
    )
    return Forecast(
        scenario.workers, scenario.servers, scenario.mode, slots / counted / seconds,
        slots / seconds, slots / seconds * scenario.compute, parts_of(world, began), busiest,
        min(busy, 1.0), (repeated(world) - repeats) / slots, world.events,
    )  # fmt: skip


def busy_seconds(world: Rehearsal) -> dict[str, float]:
    """Thread, link or host -> seconds that it was busy."""
    found: dict[str, float] = {}

    def add(name: str, seconds: float) -> None:
        found[name] = max(found.get(name, 0.0), seconds)

    for process in world.processes.values():
        for what, thread in process.threads().items():
            if what != "training":  # it computes: that is no limit, but what all is for
                add(f"{process.role}'s {what}", thread.busy)
        for name, link in (("in", process.host.into), ("out", process.host.out)):
            if link is not None:
                add(f"{process.role}'s network, {name}", link.busy)
    if world.shared is not None:
        threads = [t for p in world.processes.values() for t in p.threads().values()]
        add("cores", sum(thread.busy for thread in threads) / world.scenario.cores)
    return found


def parts_of(world: Rehearsal, began: float) -> dict[str, float]:
    """Share of each part in the time of a step, on the mean of all workers."""
    sums = [0.0] * len(PARTS)
    for steps in world.advanced.values():
        seen = [(when, path) for when, path in steps if when >= began]
        if len(seen) > 1:
            (_, first), (_, last) = seen[0], seen[-1]
            sums = [total + b - a for total, a, b in zip(sums, first, last)]
    total = sum(sums)
    return {part: seconds / total if total else 0.0 for part, seconds in zip(PARTS, sums)}


def repeated(world: Rehearsal) -> int:
    return sum(p.machine.repeated() for p in world.processes.values() if p.role == "worker")


# --- the command --------------------------------------------------------------------------------


def forecasts(scenario: Scenario, workers: Iterable[int], costs: Costs) -> list[Forecast]:
    """One for each number of workers, in their order."""
    return [forecast(replace(scenario, workers=n), costs) for n in workers]


def as_json(found: list[Forecast], scenario: Scenario, costs: Costs) -> dict[str, Any]:
    facts = {**asdict(scenario), "costs": costs.machine}
    del facts["workers"]
    return {**facts, "forecasts": [{**asdict(one), "limit": one.limit} for one in found]}


def rows_of(found: list[Forecast]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table: parts that nobody spends time on are left out."""
    parts = [part for part in PARTS if any(one.parts[part] >= SHOWN for one in found)]
    columns = ["workers", "steps/s", "speed-up", *parts, "busiest", ""]
    rows = [
        [
            f"{one.workers:,}", figure(one.steps), figure(one.speedup),
            *(percent(one.parts[part]) for part in parts), one.busiest, percent(one.busy),
        ]
        for one in found
    ]  # fmt: skip
    if any(one.repeated >= SHOWN for one in found):
        columns.append("repeated")
        for row, one in zip(rows, found):
            row.append(f"{one.repeated:.2f}")
    return columns, rows


def figure(value: float) -> str:
    """Three digits of it.

    >>> figure(0.01234), figure(1.234), figure(123.4), figure(1234.5)
    ('0.0123', '1.23', '123', '1,234')
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percent(share: float) -> str:
    return f"{share:.0%}" if share >= SHOWN else ""


def show(found: list[Forecast], scenario: Scenario, costs: Costs) -> None:
    """Print the table, and what it holds for."""
    columns, rows = rows_of(found)
    print(sentence(scenario))
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, header_style="bold")
        for column in columns:
            table.add_column(column, justify="left" if column == "busiest" else "right")
        for row in rows:
            table.add_row(*row)
        Console(highlight=False).print(table)
    else:
        widths = [max(map(len, column)) for column in zip(columns, *rows)]
        for row in [columns, *rows]:
            print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)).rstrip())
    print("what a step waits for, in % of its time; costs: " + costs.machine)


def sentence(scenario: Scenario) -> str:
    """The scenario in words."""
    s = scenario
    network = (
        f"a network card of {s.network * 8 / 1e9:g} Gbit each, {s.rtt * 1e6:g} us there and back,"
        f" encrypted, {s.cores} cores each" if s.network else f"one machine of {s.cores} cores"
    )  # fmt: skip
    stragglers = f", stragglers {s.straggler}" if s.straggler != "none" else ""
    servers = f"{s.servers} server{'s' * (s.servers > 1)}"
    return (
        f"{s.mode}, {servers}, {s.size / 1e6:,.3g} MB of weights, {s.compute:g} s to compute a"
        f" slot{stragglers}; {network}"
    )
