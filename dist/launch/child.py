"""A process of a job, as its launcher sees it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from minidl_dist.launch.spec import MARK, MORE, STUCK

POLL = 0.05  # seconds between two looks whether a process has ended


@dataclass
class Child:
    """A process of the job over all its lives.

    Attributes:
        name, role: as in its Instructions.
        state: "starting", "running", "waiting" (for its next start), "done", "failed", "left" (the
            job was scaled down, or it died too often).
        process: of the present life.
        restarts: lives before this one.
        strikes: those of them that followed each other quickly.
        is_victim: it said that it ends because of another.
        is_chief: it is the worker that writes the results.
        comes_again: it has done its work, and will be wanted once more when it has ended.
        last_lines: what it printed last.
        alarms: the last ones, {"time", "text"}: what it warns of although the job goes on.
        unfinished: the beginning of a message to the launcher that comes in several lines.
        has_begun: it has its instructions, which are the first line that it is told.
    """

    name: str
    role: str
    state: str = "starting"
    process: Any = None
    restarts: int = 0
    strikes: int = 0
    is_victim: bool = False
    is_chief: bool = False
    comes_again: bool = False
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=15))
    alarms: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=3))
    unfinished: str = ""
    has_begun: bool = False

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def tell(self, message: dict[str, Any]) -> None:
        """A line to its stdin. One that is gone hears nothing; one that has no instructions yet
        will find it in them.
        """
        if self.is_running and self.has_begun:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")

    def read(self, text: str) -> tuple[str, dict[str, Any] | None]:
        """Of a line that it printed: what is for people, and a message to the launcher.

        A program may print the mark of such messages itself, or begin a line that one comes into.
        """
        before, mark, after = text.rpartition(MARK)
        if not mark:
            return text, None
        if after.startswith(MORE):
            self.unfinished += after.removeprefix(MORE)
            return before, {}
        try:
            message = json.loads(self.unfinished + after)
        except ValueError:
            message = None
        self.unfinished = ""
        return (before, message) if isinstance(message, dict) else (text, None)

    def send_signal(self, number: int) -> None:
        """To the process and those that it started."""
        if self.is_running:
            signal_group(self.process.pid, number)

    def begin(self, instructions: bytes) -> None:
        """The first line."""
        self.process.stdin.write(instructions)
        self.has_begun = True


@dataclass
class Failure:
    """A process that ended with an error: its name, how it ended, what it printed last."""

    name: str
    how: str
    code: int
    lines: list[str]
    is_victim: bool


def signal_group(leader: int, number: int) -> None:
    """Send a signal to all processes of a group; to none if it is empty by now."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        pass


async def exit_of(process: asyncio.subprocess.Process) -> int:
    """Wait for a process to end; its exit code, negative for a signal.

    asyncio's own wait() also waits, in some versions of Python, until nobody holds the pipes to the
    process any more. A program that it started may hold them for hours.
    """
    while process.returncode is None:
        await asyncio.sleep(POLL)
    return process.returncode


async def exits(children: list[Child], seconds: float) -> bool:
    """Wait that long for all to end; whether they did."""
    waits = [asyncio.create_task(exit_of(child.process)) for child in children if child.is_running]
    if not waits:
        return True
    _, pending = await asyncio.wait(waits, timeout=seconds)
    for wait in pending:
        wait.cancel()
    return not pending


def ended(code: int, lost: bool) -> str:
    """An exit code in words; lost: whether it says that the process was killed, or its machine."""
    if code > 0 and lost:
        return f"was lost: exit code {code} of what started it"
    if code >= 0:
        return "was given up" if code == STUCK else f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
