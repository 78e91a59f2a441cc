"""Machines in virtual time, for forecast.py: cores, threads, links; and where the time went.

What happens has a reason, which had a reason: a message came because it was sent, it was sent
because another was handled. Each step on such a way takes its time on a core, in a queue or on a
link. A `Path` is the seconds on the way to the present event by what they were spent on; they add
up to the time since the start. What a step waits for in the end, is what the last of its events
waited for, so the paths of what begins a step say what its time was made of.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

# What seconds are spent on. "cores": a thread that could run, but other threads had the cores.
PARTS = (
    "compute", "stragglers", "cores", "worker", "network", "server", "coordinator", "timers",
)  # fmt: skip
Path = tuple[float, ...]  # seconds of each part
START: Path = (0.0,) * len(PARTS)
NUMBER = {part: number for number, part in enumerate(PARTS)}
STRAGGLERS, CORES = NUMBER["stragglers"], NUMBER["cores"]
NETWORK, TIMERS = NUMBER["network"], NUMBER["timers"]
THREADS = 3  # of a process, at most


def plus(path: Path, part: int, seconds: float) -> Path:
    """A path that went on.

    >>> plus(START, NETWORK, 2.0)[NETWORK]
    2.0
    """
    return (*path[:part], path[part] + seconds, *path[part + 1 :])


class Clock:
    """A heap of what will happen, in virtual time."""

    def __init__(self) -> None:
        self.now, self.count = 0.0, 0
        self.heap: list[tuple[float, int, Callable, tuple]] = []

    def at(self, when: float, then: Callable, *arguments: Any) -> None:
        self.count += 1
        heapq.heappush(self.heap, (when, self.count, then, arguments))

    def step(self) -> bool:
        """Let the next thing happen. False: there is none."""
        if not self.heap:
            return False
        self.now, _, then, arguments = heapq.heappop(self.heap)
        then(*arguments)
        return True


class Cores:
    """The cores of a host: threads that have something to do share them evenly.

    Args:
        clock: of the world.
        count: of cores.
    """

    def __init__(self, clock: Clock, count: int):
        self.clock, self.count = clock, count
        self.share = 0.0  # seconds of a core that a thread has had that ran from the beginning
        self.since = 0.0  # up to when that is counted
        self.started = 0
        self.running: list[tuple[float, int, Callable]] = []  # share at which it is done; ...
        self.next: float | None = None  # when the first of them is done

    def start(self, seconds: float, then: Callable[[], None]) -> None:
        """Run a thread for so many seconds of a core."""
        self.bring_up_to_date()
        self.started += 1
        heapq.heappush(self.running, (self.share + seconds, self.started, then))
        self.look_ahead()

    def rate(self) -> float:
        """Seconds of a core that each running thread has in a second."""
        return min(1.0, self.count / len(self.running))

    def bring_up_to_date(self) -> None:
        if self.running:
            self.share += (self.clock.now - self.since) * self.rate()
        self.since = self.clock.now

    def look_ahead(self) -> None:
        if self.running:
            left = max(self.running[0][0] - self.share, 0.0)
            when = self.clock.now + left / self.rate()
            if when != self.next:
                self.next = when
                self.clock.at(when, self.end, when)

    def end(self, when: float) -> None:
        """The first of the running threads is done, unless something came in between."""
        if when != self.next:
            return
        self.next = None
        self.bring_up_to_date()
        done, _, then = heapq.heappop(self.running)
        self.share = max(self.share, done)
        then()
        self.look_ahead()


class Thread:
    """A thread: does one thing after the other.

    Args:
        clock: of the world.
        cores: of its host; None where there are enough of them for all threads.
        part: of PARTS, what its time counts as.

    Attributes:
        busy: seconds of a core that it was given to do.
    """

    def __init__(self, clock: Clock, cores: Cores | None, part: str):
        self.clock, self.cores, self.part = clock, cores, NUMBER[part]
        self.jobs: deque = deque()
        self.runs = False
        self.busy = 0.0

    def add(
        self,
        seconds: float,
        path: Path,
        then: Callable[[Path], Any],
        extra: float = 0.0,
        part: int | None = None,
    ) -> None:
        """Do something when all before it is done.

        Args:
            seconds: of a core.
            path: of what it is done for.
            then: called with the path at its end. It may return more to do for the same thing,
                (seconds, then) of each, which comes before what others wait for.
            extra: seconds that it takes longer than usual, or less: that of a straggler.
            part: what its time counts as, if not as the thread's.
        """
        part = self.part if part is None else part
        self.jobs.append((seconds, extra, part, path, self.clock.now, then))
        if not self.runs:
            self.next()

    def next(self) -> None:
        self.runs = bool(self.jobs)
        if self.runs:
            job = self.jobs.popleft()
            self.busy += job[0] + job[1]
            if self.cores is None:
                clock = self.clock
                clock.at(clock.now + job[0] + job[1], self.done, clock.now, job)
            else:
                self.cores.start(job[0] + job[1], partial(self.done, self.clock.now, job))

    def done(self, began: float, job: tuple) -> None:
        seconds, extra, part, path, asked, then = job
        now = self.clock.now
        path = plus(path, part, began - asked + seconds)
        if extra:
            path = plus(path, STRAGGLERS, extra)
        if self.cores is not None:
            path = plus(path, CORES, now - began - seconds - extra)
        for more, after in reversed(then(path) or ()):
            self.jobs.appendleft((more, 0.0, part, path, now, after))
        self.next()


class Link:
    """One direction of a network card: bytes go one after the other.

    Args:
        rate: bytes a second.
    """

    def __init__(self, rate: float):
        self.rate = rate
        self.free = self.busy = 0.0

    def take(self, now: float, nbytes: float) -> tuple[float, float]:
        """When so many bytes begin to go, and when the last of them has gone."""
        seconds = nbytes / self.rate
        begin = max(now, self.free)
        self.free = begin + seconds
        self.busy += seconds
        return begin, self.free


class Host:
    """A machine: cores, and a network card with a link each way.

    Args:
        clock: of the world.
        cores: how many.
        rate: bytes a second of each link; 0: all processes are on this host, else one is.
    """

    def __init__(self, clock: Clock, cores: int, rate: float):
        self.cores = None if rate and cores >= THREADS else Cores(clock, cores)
        self.out, self.into = (Link(rate), Link(rate)) if rate else (None, None)
