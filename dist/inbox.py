"""Events that other threads and signal handlers have for a node, and the pipe that wakes it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any


class Inbox:
    """A queue whose reader waits for a file descriptor, as for its sockets.

    Attributes:
        reader: the descriptor; it has something to read when an event may be there.
    """

    def __init__(self) -> None:
        self.events: deque[Any] = deque()
        self.reader, self.writer = os.pipe()
        for descriptor in (self.reader, self.writer):
            os.set_blocking(descriptor, False)
        # Between a look at is_closed and the write nobody may close: the number would soon be that
        # of another file. Reentrant, as a signal handler may interrupt its own thread here.
        self.lock = threading.RLock()
        self.is_closed = False

    def post(self, event: Any) -> None:
        """Add an event, from anywhere. What comes after the end is dropped."""
        with self.lock:
            if self.is_closed:
                return
            self.events.append(event)
            try:
                os.write(self.writer, b"\0")
            except BlockingIOError:
                pass  # the pipe is full: it wakes anyway

    def take(self) -> Iterator[Any]:
        """The events that are there, and those that come meanwhile."""
        try:
            os.read(self.reader, 4096)
        except BlockingIOError:
            pass
        while self.events:
            yield self.events.popleft()

    def close(self) -> None:
        with self.lock:
            self.is_closed = True
            for descriptor in (self.reader, self.writer):
                os.close(descriptor)
