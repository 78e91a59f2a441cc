"""How far a synthesis is: on a terminal a bar with the time left, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from apps.shared.page import duration
from minidl.training.callbacks.progress import clock, make_bar

LINE_EVERY = 10.0  # seconds


class Progress:
    """`with Progress("pixels", note) as progress:` progress.show(done, total) after each step.

    Args:
        what: is counted, in the plural.
        note: called with a line of text, where the output is no terminal.
    """

    def __init__(self, what: str, note: Callable[[str], None]):
        self.what, self.note = what, note
        self.bar = None

    def __enter__(self) -> Progress:
        self.said = time.perf_counter()
        self.started: tuple[float, int] | None = None
        if sys.stderr.isatty():
            from rich.console import Console

            self.bar = make_bar(Console(stderr=True))
            self.bar.start()
            self.task = self.bar.add_task(self.what, total=None, text="")
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def show(self, done: int, total: int) -> None:
        """That much of so much is done."""
        now = time.perf_counter()
        if self.started is None:  # the first step may have compiled
            self.started = now, done
        if self.bar is not None:
            if now - self.said > 0.1 or done == total:
                self.said = now
                self.bar.update(self.task, completed=done, total=total, text=self.text(done, total))
        elif now - self.said > LINE_EVERY:
            self.said = now
            self.note(self.text(done, total))

    def text(self, done: int, total: int) -> str:
        """ "1,200 of 16,384 pixels, 0:03 left"."""
        start, first = self.started or (time.perf_counter(), done)
        text = f"{done:,} of {total:,} {self.what}"
        if done > first:
            left = (time.perf_counter() - start) / (done - first) * (total - done)
            text += f", {clock(left)} left"
        return text


def about(seconds: float) -> str:
    """ "about 12 s", or "less than 1 s"."""
    return "less than 1 s" if seconds < 1 else f"about {duration(seconds)}"
