"""Who this process is, for the program that it runs; and its word to the launcher."""

from __future__ import annotations

import json
import os
import select
import threading
from typing import Any

from minidl_dist.launch.spec import MARK, MORE, Instructions

SPEAKING = threading.Lock()  # one thread tells the launcher something at a time

told: Instructions | None = None  # set as a process of a job starts


def worker_name() -> str:
    """The name of this worker, "worker0" and so on; "" in a process that trains alone."""
    return told.name if told else ""


def life() -> int:
    """How often this worker was started before: 0, and more after it was lost."""
    return told.life if told else 0


def is_chief() -> bool:
    """Whether this process validates, prints and writes files: one of all, or the only one."""
    from minidl.training import slots

    return getattr(slots.in_use, "is_chief", True)


def tell_launcher(message: dict[str, Any]) -> None:
    """Lines for the launcher alone, each written at once and so short that a pipe keeps it whole.

    What another thread or a child prints meanwhile comes before or after such a line.
    """
    text, size = json.dumps(message), select.PIPE_BUF - len(MARK + MORE + "\n")
    with SPEAKING:
        while text:
            part, text = text[:size], text[size:]
            os.write(1, f"{MARK}{MORE if text else ''}{part}\n".encode())
