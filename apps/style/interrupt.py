"""Ctrl-C at the end of an iteration, so that the state of a run is always whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any


class Interrupt:
    """`with Interrupt(note) as interrupt:` Ctrl-C sets interrupt.asked; a second one stops at once.

    Outside of the main thread, where Python hands out no signals, nothing changes.

    Args:
        note: called with a line of text when Ctrl-C was pressed.
    """

    def __init__(self, note: Callable[[str], None]):
        self.note, self.asked = note, False
        self.before: Any = None  # who was called before

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self.handle)
        return self

    def __exit__(self, *exception: object) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def handle(self, *signal_and_frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self.note("stopping after this iteration; Ctrl-C again stops at once")
