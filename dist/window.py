"""Requests to one server: each repeated until it is answered, a bounded number at a time.

ZeroMQ loses what is in flight when a connection breaks, without an error, so every request is
repeated; the server knows a duplicate when it sees one. The bound keeps a server that is asked by
many from having to hold everything that they would like to send at once.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from minidl_dist.messages import WINDOW

RETRY = 0.5  # seconds until a request is repeated; then twice as long, and so on
LONGEST = 4.0


class Window:
    """Requests under a key each; at most WINDOW are in flight, the others wait in order.

    Attributes:
        waiting: key -> message, not sent yet.
        flying: key -> [message, when it is sent again, how long to wait then].

    >>> window = Window()
    >>> window.add("a", "request"); window.due(now=0.0), window.due(now=0.1), window.due(now=0.6)
    (['request'], [], ['request'])
    >>> window.answered("a"), window.answered("a")
    (True, False)
    """

    def __init__(self) -> None:
        self.waiting: dict[Hashable, Any] = {}
        self.flying: dict[Hashable, list] = {}

    def add(self, key: Hashable, message: Any) -> None:
        if key not in self.flying:
            self.waiting[key] = message

    def answered(self, key: Hashable) -> bool:
        """Whether an answer to this is the first: answers, too, can come twice."""
        if self.flying.pop(key, None) is not None:
            return True
        return self.waiting.pop(key, None) is not None  # answered to an earlier life of the request

    def due(self, now: float) -> list[Any]:
        """What is to be sent now: again, or for the first time as far as there is room."""
        messages = []
        for flight in self.flying.values():
            if now >= flight[1]:
                flight[2] = min(2 * flight[2], LONGEST)
                flight[1] = now + flight[2]
                messages.append(flight[0])
        while self.waiting and len(self.flying) < WINDOW:
            key = next(iter(self.waiting))
            message = self.waiting.pop(key)
            self.flying[key] = [message, now + RETRY, RETRY]
            messages.append(message)
        return messages

    def clear(self) -> None:
        self.waiting, self.flying = {}, {}

    def __len__(self) -> int:
        return len(self.waiting) + len(self.flying)
