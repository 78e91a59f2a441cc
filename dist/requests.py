"""What a worker asks of servers, and what they answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl_dist.checksum import checksum
from minidl_dist.messages import (
    COORDINATOR,
    HEAD,
    INITIAL,
    Ack,
    Finished,
    Head,
    Pull,
    Push,
    Refused,
    Report,
    Stale,
    Weights,
)
from minidl_dist.run_states import RunStates
from minidl_dist.window import Route, Window


class Requests(RunStates):
    """A part of the worker.

    Attributes:
        places: the server of each chunk; [] before that is known.
        routes: to the servers, over all generations.
        unanswered: (step, slot) -> how many of its requests no server has answered.
        reports: (step, slot) -> Report, of slots that are computed and not known to be done.
        pushes, pulls: server -> Window.
        want: the step whose weights are pulled, or None.
        pulled: the version that was asked for.
        incoming: chunk -> values of them.
        answered_at: server -> when it owed no answer, or gave one.
    """

    places: list[str]
    routes: dict[str, Route]
    unanswered: dict[tuple[int, int], int]
    reports: dict[tuple[int, int], Report]
    pushes: dict[str, Window]
    pulls: dict[str, Window]
    want: int | None
    pulled: int
    incoming: dict[int, np.ndarray]
    answered_at: dict[str, float]

    def forget_requests(self) -> None:
        """A generation begins."""
        self.unanswered, self.reports = {}, {}
        self.pushes, self.pulls = {}, {}
        self.set_servers()
        self.want, self.pulled, self.incoming = None, 0, {}
        self.answered_at = {}

    def set_servers(self) -> None:
        for server in self.job.servers if self.job else ():
            route = self.routes.setdefault(server, Route())
            self.pushes.setdefault(server, Window(route))
            self.pulls.setdefault(server, Window(route, measures=False))

    def owners(self) -> list[str]:
        """The server of each chunk."""
        if not self.places:
            self.places = [self.job.servers[n] for n in self.plan.place(len(self.job.servers))]
        return self.places

    def owner(self, chunk: int) -> str:
        return self.owners()[chunk]

    # --- asking ---------------------------------------------------------------------------------

    def ask(self, server: str, message: Push | Head) -> None:
        """Send it until it is acknowledged."""
        key = message.step, message.slot
        chunk = HEAD if isinstance(message, Head) else message.chunk
        self.pushes[server].add((*key, chunk), message)
        self.unanswered[key] = self.unanswered.get(key, 0) + 1

    def pull(self, step: int) -> None:
        """Ask for all weights of a step, the first layers first."""
        self.want, self.incoming, self.pulled = step, {}, self.version_of(step)
        for window in self.pulls.values():
            window.clear()
        for chunk, server in enumerate(self.owners()):
            self.pulls[server].add(chunk, Pull(self.generation, self.pulled, chunk))

    def version_of(self, step: int) -> int:
        """That weights must have to begin a step with."""
        if step == self.wanted.until:
            return step
        return self.mode.weights_of(self.plan, self.job, step)

    def send_due(self) -> None:
        """Requests that are new, lost or late, as far as there is room."""
        for windows in (self.pushes, self.pulls):
            for server, window in windows.items():
                if window.flying or window.waiting:
                    for message in window.due(self.now):
                        self.send(server, message)

    def reconnected(self, peer: str) -> None:
        """What was on its way when the connection broke is lost."""
        if peer == COORDINATOR:
            self.say_how_it_is()
        for windows in (self.pushes, self.pulls):
            if peer in windows:
                windows[peer].reconnected()

    # --- answers --------------------------------------------------------------------------------

    def from_server(self, server: str, message: Any) -> None:
        self.answered_at[server] = self.now
        if isinstance(message, Refused):
            self.end_with(message)
        elif message.generation != self.generation or server not in self.pushes:
            if isinstance(message, Stale) and message.generation > self.generation:
                self.beat_at = self.now  # ask soon what is wanted
            elif isinstance(message, Stale) and server in self.pushes:
                self.pushes[server].not_ready()
                self.pulls[server].not_ready()
        elif isinstance(message, Ack):
            self.take_ack(server, message)
        elif isinstance(message, Weights):
            self.take_weights(server, message)

    def take_ack(self, server: str, ack: Ack) -> None:
        if not self.pushes[server].answered((ack.step, ack.slot, ack.chunk), self.now):
            return
        if ack.step == INITIAL:
            return
        key = ack.step, ack.slot
        self.unanswered[key] -= 1
        if not self.unanswered[key]:
            del self.unanswered[key]
            if key in self.reports:  # all of the slot is at the servers
                self.send(COORDINATOR, self.reports[key])

    def take_weights(self, server: str, weights: Weights) -> None:
        if self.want is None or weights.version < self.version_of(self.want):
            return
        if self.mode.together and weights.version != self.want:
            return
        if checksum(weights.values) != weights.crc:  # damaged on the way: it is asked for again
            return
        if self.pulls[server].answered(weights.chunk, self.now):
            self.incoming[weights.chunk] = weights.values

    def end_with(self, message: Refused) -> None:
        self.refused(message)
        self.effects.insert(-1, Finished(self.effects[-1].reason, 2))  # before the Exit

    # --- how servers are ------------------------------------------------------------------------

    def waits_for(self) -> str:
        limit = self.now - self.job.dead / 2
        return next((s for s, at in self.answered_at.items() if at < limit), "")

    def look_at_servers(self) -> None:
        """Which of them owes an answer: to a push, or to a pull of what must be there by now."""
        must_be_there = self.want is not None and self.version_of(self.want) <= self.wanted.step
        for server in self.pushes:
            owes = len(self.pushes[server]) or (must_be_there and len(self.pulls[server]))
            if not owes or server not in self.answered_at:
                self.answered_at[server] = self.now

    def repeated(self) -> int:
        return sum(route.repeats for route in self.routes.values())
