"""Requests to one server: each repeated until it is answered, a bounded number at a time.

ZeroMQ loses what is in flight when a connection breaks, without an error. So requests are repeated
at once when a connection is there again, and otherwise when the server has been silent for much
longer than it takes to answer, at first less often each time; it knows a duplicate when it sees
one. That time is measured: on a slow link, a fixed one would send everything several times, and
make the link slower still.

The bound keeps a server that is asked by many from having to hold everything that they would like
to send at once.

Source: Karn and Partridge, "Improving Round-Trip Time Estimates in Reliable Transport Protocols",
SIGCOMM 1987: an answer to what was sent twice measures nothing, and waiting times double.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from minidl_dist.messages import WINDOW

FIRST = 1.0  # seconds of silence until requests are repeated, before anything was measured
SHORTEST, SLOWEST = 0.5, 30.0  # afterwards
LONGEST = 2.0  # to which silence makes that time rise: several tries must fit into Job.dead
TRIPS = 4  # times the longest of the last round trips
FADING = 0.9  # of the longest, with each that is shorter


class Route:
    """The way to a server and back, over all generations of a job.

    Attributes:
        longest: of the last round trips, in seconds; of requests that are answered at once.
        usual: seconds in which something is heard, as measured.
        patience: seconds of silence until something is repeated; longer after a silence.
        repeats: how many requests were sent again.

    >>> route = Route()
    >>> route.patience
    1.0
    >>> route.took(0.3); route.patience
    1.2
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.patience = self.usual = FIRST
        self.repeats = 0

    def took(self, seconds: float) -> None:
        self.longest = max(seconds, FADING * self.longest)
        self.patience = self.usual = min(max(TRIPS * self.longest, SHORTEST), SLOWEST)

    def was_silent(self) -> None:
        """Something is sent again: until the next measurement, wait longer for all.

        But no longer than LONGEST, unless that was measured: where many messages are lost, most are
        sent again, and those measure nothing.
        """
        self.patience = max(self.usual, min(2 * self.patience, LONGEST))


@dataclass
class Flight:
    """A request that was sent, and not answered yet.

    Attributes:
        sent: when, the last time.
        patience: how long to wait for an answer to it, or to any.
        is_lost: the connection broke; it may be.
        again: it was sent more than once.
    """

    message: Any
    sent: float
    patience: float
    is_lost: bool = False
    again: bool = False


class Window:
    """Requests under a key each; at most WINDOW are in flight, the others wait in order.

    Args:
        route: to the server and back.
        measures: whether these requests are answered at once, so that they tell how long it is.

    Attributes:
        waiting: key -> message, not sent yet.
        flying: key -> Flight.
        heard: when the last answer came.
        next_look: no request is late before.

    >>> window = Window()
    >>> window.add("a", "request"); window.due(now=0.0), window.due(now=0.1), window.due(now=1.1)
    (['request'], [], ['request'])
    >>> window.answered("a", now=1.2), window.answered("a", now=1.3)
    (True, False)
    """

    def __init__(self, route: Route | None = None, measures: bool = True) -> None:
        self.route, self.measures = route or Route(), measures
        self.waiting: dict[Hashable, Any] = {}
        self.flying: dict[Hashable, Flight] = {}
        self.heard = self.next_look = 0.0

    def add(self, key: Hashable, message: Any) -> None:
        if key not in self.flying:
            self.waiting[key] = message

    def answered(self, key: Hashable, now: float) -> bool:
        """Whether an answer to this is the first: answers, too, can come twice."""
        flight = self.flying.pop(key, None)
        if flight is None:  # perhaps to an earlier life of the request
            return self.waiting.pop(key, None) is not None
        self.heard = now
        if self.measures and not flight.again:
            self.route.took(now - flight.sent)
        self.next_look = min(self.next_look, now + self.route.usual)
        return True

    def reconnected(self) -> None:
        """The connection broke, and is there again: what was in flight may be lost."""
        for flight in self.flying.values():
            flight.is_lost = True
        self.next_look = 0.0

    def not_ready(self) -> None:
        """The server says that it could not take something yet: it soon can."""
        for flight in self.flying.values():
            flight.patience = min(flight.patience, SHORTEST)
        self.next_look = 0.0

    def due(self, now: float) -> list[Any]:
        """What is to be sent now: again, or for the first time as far as there is room."""
        messages = self.again(now) if self.flying and now >= self.next_look else []
        while self.waiting and len(self.flying) < WINDOW:
            key = next(iter(self.waiting))
            message = self.waiting.pop(key)
            self.flying[key] = Flight(message, now, self.route.patience)
            self.next_look = min(self.next_look, now + self.route.patience)
            messages.append(message)
        return messages

    def again(self, now: float) -> list[Any]:
        """What is lost or late, and when to look again."""
        messages = []
        was_silent = False
        for flight in self.flying.values():
            is_late = now >= self.late_at(flight)
            if flight.is_lost or is_late:
                was_silent |= is_late
                flight.patience = max(flight.patience, min(2 * flight.patience, LONGEST))
                flight.sent, flight.again, flight.is_lost = now, True, False
                self.route.repeats += 1
                messages.append(flight.message)
        if was_silent and self.measures:
            self.route.was_silent()
        self.next_look = min(map(self.late_at, self.flying.values()))
        return messages

    def late_at(self, flight: Flight) -> float:
        """When to ask again: soon after the last answer to another request, if there was one."""
        if self.heard > flight.sent:
            return self.heard + min(flight.patience, self.route.usual)
        return flight.sent + flight.patience

    def clear(self) -> None:
        self.waiting, self.flying = {}, {}

    def __len__(self) -> int:
        return len(self.waiting) + len(self.flying)
