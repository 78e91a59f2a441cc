"""Signals that reach a launcher when its training is over, while it writes and uploads the rest.

asyncio has taken its handlers away by then, and without one a signal ends a process at once: with
files in the store that are not whole, and a status that does not say so.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal came. No Exception: whatever is asked again after an error must not take it."""


class EndSignals:
    """Hears signals, for as long as it is entered.

    Attributes:
        heard: name of the first signal, such as "SIGTERM", or "".
    """

    def __init__(self) -> None:
        self.heard = ""
        self.raises = False

    def __enter__(self) -> EndSignals:
        self.before = {number: signal.signal(number, self.hear) for number in ENDING}
        # `scale` comes too late: by default this signal would end the process.
        self.before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def hear(self, number: int, _: Any) -> None:
        self.heard = self.heard or signal.Signals(number).name
        if self.raises:
            self.raises = False  # once: what comes next is short
            raise Interrupted(self.heard)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """What may take long, and can be done again.

        Raises:
            Interrupted: a signal comes, or came before.
        """
        if self.heard:
            raise Interrupted(self.heard)
        self.raises = True
        try:
            yield
        finally:
            self.raises = False
