"""Large messages that libzmq has not given to the system yet.

On a slow link a machine may repeat what is not lost, but waits in our own queue. Behind it a second
copy would do nothing but harm: of one message, to one peer, one is in the queue at a time.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import zmq

FEW = 64


class Queued:
    """Messages by a key each, until libzmq is done with them: sent, or lost with a connection."""

    def __init__(self) -> None:
        self.trackers: dict[Hashable, zmq.MessageTracker] = {}
        self.look_at = FEW  # how many there may be, before those that are gone are removed

    def has(self, key: Hashable) -> bool:
        tracker = self.trackers.get(key)
        return tracker is not None and not tracker.done

    def add(self, key: Hashable, tracker: zmq.MessageTracker) -> None:
        if len(self.trackers) >= self.look_at:
            self.trackers = {k: t for k, t in self.trackers.items() if not t.done}
            self.look_at = max(FEW, 2 * len(self.trackers))
        self.trackers[key] = tracker


def whole_numbers(message: Any) -> tuple[int, ...]:
    """What identifies a message among those of its kind: generation, step, chunk, checksum."""
    return tuple(value for value in vars(message).values() if type(value) is int)
