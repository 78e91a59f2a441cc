"""SIGTERM, which `kill` and a scheduler whose time is over send, ends a command as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minidl.training import slots


class Terminated(KeyboardInterrupt):
    """A KeyboardInterrupt for SIGTERM."""


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Hand SIGTERM to whatever handles Ctrl-C at that moment: a training saves its state first.

    Nothing changes where SIGTERM is ignored or handled already, nor in a process that trains
    together with others: its launcher decides when it ends.

    Raises:
        Terminated: in place of a KeyboardInterrupt that SIGTERM caused.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    is_usual = in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not is_usual or slots.in_use is not None:
        yield
        return
    heard = False

    def hand_over(number: int, frame: Any) -> None:
        nonlocal heard
        heard = True
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # Ctrl-C is ignored, as in the background of a script
            raise KeyboardInterrupt
        handler(number, frame)

    signal.signal(signal.SIGTERM, hand_over)
    try:
        yield
    except KeyboardInterrupt as error:
        if not heard:
            raise
        raise Terminated(*error.args) from error
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
