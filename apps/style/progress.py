"""How far a command is: on a terminal a bar, elsewhere a line now and then, with the time left.

While Numba compiles, both say so.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from minidl.training.callbacks.progress import COMPILING, clock, is_compiling, make_bar

LINE_EVERY = 10.0  # seconds from one line to the next
DRAWN_EVERY = 0.1  # seconds from one state of the bar to the next
COMPILES_FOR = 2.0  # seconds, at least, before a line says so


class Progress:
    """`with Progress(note) as progress:` progress.show(...) after each step.

    Args:
        note: called with a line of text, where the output is no terminal.
    """

    def __init__(self, note: Callable[[str], None]):
        self.note = note
        self.bar: Any = None
        self.waiter: threading.Timer | None = None

    def __enter__(self) -> Progress:
        self.said = time.perf_counter()
        if sys.stderr.isatty():
            from rich.console import Console

            self.bar = make_bar(Console(stderr=True))
            self.bar.start()
            self.task = self.bar.add_task("", total=None, text="")
            self.said = 0.0
        else:
            self.waiter = threading.Timer(COMPILES_FOR, self.say_compiling)
            self.waiter.daemon = True
            self.waiter.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.waiter is not None:
            self.waiter.cancel()
        if self.bar is not None:
            self.bar.stop()

    def say_compiling(self) -> None:
        if is_compiling():
            self.note(COMPILING)

    def show(self, done: int, total: int, label: str, text: str, line: str) -> None:
        """That much of so much is done.

        Args:
            done, total: of the bar.
            label, text: in front of the bar and behind it.
            line: what is told instead where there is no bar.
        """
        now = time.perf_counter()
        if self.bar is not None:
            if now - self.said > DRAWN_EVERY or done == total:
                self.said = now
                self.bar.update(
                    self.task, completed=done, total=total, description=label, text=text
                )
        elif now - self.said > LINE_EVERY:
            self.said = now
            self.note(line)


class Pace:
    """Seconds that one of something takes, the mean over about the last steps.

    Args:
        lately: how many steps count.
    """

    def __init__(self, lately: int):
        self.lately, self.last = lately, time.perf_counter()
        self.seconds: float | None = None

    def learn(self, count: float, is_first: bool = False) -> None:
        """So many more are done; the first ones compile, and are forgotten when others follow."""
        now = time.perf_counter()
        pace, self.last = (now - self.last) / count, now
        if self.seconds is None or is_first:
            self.seconds = pace
        self.seconds += (pace - self.seconds) / self.lately

    def left(self, count: float) -> str:
        """How long so many take: "0:03 left"."""
        return f"{clock(max(count, 0) * (self.seconds or 0.0))} left"


class Counted:
    """`with Counted("pixels", note) as counted:` counted.show(done, total) after each step.

    Args:
        what: is counted, in the plural.
        note: called with a line of text, where the output is no terminal.
    """

    def __init__(self, what: str, note: Callable[[str], None]):
        self.what, self.progress = what, Progress(note)
        self.started: tuple[float, int] | None = None

    def __enter__(self) -> Counted:
        self.progress.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.__exit__()

    def show(self, done: int, total: int) -> None:
        """That much of so much is done."""
        if self.started is None:  # the first step may have compiled
            self.started = time.perf_counter(), done
        text = self.text(done, total)
        self.progress.show(done, total, self.what, text, text)

    def text(self, done: int, total: int) -> str:
        """ "1,200 of 16,384 pixels, 0:03 left"."""
        start, first = self.started or (0.0, done)
        text = f"{done:,} of {total:,} {self.what}"
        if done > first:
            left = (time.perf_counter() - start) / (done - first) * (total - done)
            text += f", {clock(left)} left"
        return text
