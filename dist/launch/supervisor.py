"""Keeps the processes of a job alive, and ends them all: the same for every engine.

Each process has a task that starts it, passes on what it prints, waits for its exit and starts it
again. A process that a signal killed is started again, a little later each time and not more often
than the job allows. One that ended with an error of its own would do so again: the job ends, and
the error that came first is the last thing that is printed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from minidl_dist.launch.spec import COORDINATOR, SERVER, WORKER, Bundle, Job

BACKOFF = 0.25  # seconds before the first restart; twice as long before each further one
DRAIN = 30.0  # seconds for a last checkpoint after Ctrl-C
GOODBYE = 5.0  # seconds to end after SIGTERM
MARK = "\x1e"  # begins a line of a process that is for the launcher, not for people


@dataclass
class Member:
    """A process of the job over all its lives.

    Args:
        name, role: as in its Bundle.
        state: "starting", "running", "waiting" (for a restart), "done", "failed".
        process: of the present life.
        restarts: lives before this one.
        last_lines: what it printed last.
    """

    name: str
    role: str
    state: str = "starting"
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=15))

    def tell(self, message: dict[str, Any]) -> None:
        """A line to its stdin; one that is gone hears nothing."""
        if self.process is not None and self.process.returncode is None:
            try:
                self.process.stdin.write(json.dumps(message).encode() + b"\n")
            except (BrokenPipeError, ConnectionResetError):
                pass


@dataclass
class Failure:
    """Why the job failed."""

    name: str
    how: str
    lines: list[str]


class Supervisor:
    """Runs one job.

    Args:
        job: with all numbers filled in.
        folder: of the job.
        engine: how processes start, see launch/local.py.
        output: where lines of stdout and of stderr of the workers go; the latter also of the
            others.

    Attributes:
        members: name -> Member.
        failure: the first one; None while all is well.
        interrupted: the reason why someone ended the job, "" if nobody did.
        facts: what the coordinator last said about the training, for status.json.
    """

    def __init__(self, job: Job, folder: Path, engine: Any, output: tuple[TextIO, TextIO]):
        self.job, self.folder, self.engine = job, folder, engine
        self.output = output
        self.members: dict[str, Member] = {}
        self.tasks: dict[str, asyncio.Task] = {}
        self.failure: Failure | None = None
        self.interrupted = ""
        self.facts: dict[str, Any] = {}
        self.over = asyncio.Event()
        self.width = len(f"worker{job.workers - 1}")
        self.watchers: list[Callable[[], None]] = []

    async def run(self) -> None:
        """The job, from the first start to the last exit."""
        loop = asyncio.get_running_loop()
        for number, reason in ((signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")):
            loop.add_signal_handler(number, self.stop, reason)
        (self.folder / "logs").mkdir(exist_ok=True)
        with self.engine.place():
            try:
                self.add(COORDINATOR, COORDINATOR)
                for number in range(self.job.servers):
                    self.add(f"server{number}", SERVER)
                for number in range(self.job.workers):
                    self.add(f"worker{number}", WORKER)
                await self.over.wait()
            finally:
                await self.end_all()

    def add(self, name: str, role: str) -> None:
        """One more process."""
        self.members[name] = Member(name, role)
        self.tasks[name] = asyncio.create_task(self.keep_guarded(self.members[name]))

    # --- the life of a process ------------------------------------------------------------------

    async def keep_guarded(self, member: Member) -> None:
        """A fault of the launcher itself ends the job as well, and is not lost in a task."""
        try:
            await self.keep(member)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.fail(member, f"could not be started: {type(error).__name__}: {error}")

    async def keep(self, member: Member) -> None:
        """Start a process until it has done its work, or must not be started again."""
        while True:
            code = await self.live(member)
            self.changed()
            if code == 0:
                member.state = "done"
                self.leave(member, "done")
                break
            how = ended(code)
            self.leave(member, how)
            if self.interrupted or self.over.is_set():
                break
            if code > 0:
                return self.fail(member, how)
            if member.restarts == self.job.restarts:
                return self.fail(member, f"{how}, after {member.restarts} restarts")
            wait = BACKOFF * 2**member.restarts
            member.restarts += 1
            member.state = "waiting"
            self.say(member, f"{how}; starts again in {wait:g} s "
                     f"({member.restarts} of {self.job.restarts})")  # fmt: skip
            self.changed()
            await asyncio.sleep(wait)
        self.look_for_the_end()

    async def live(self, member: Member) -> int:
        """One life of a process: its exit code, negative for a signal."""
        member.state = "starting"
        process = await self.engine.start(member.role, self.job.threads)
        member.process = process
        process.stdin.write(self.bundle(member).line())
        member.state = "running"
        self.changed()
        if self.interrupted:
            member.tell({"stop": self.interrupted})
        with open(self.folder / "logs" / f"{member.name}.log", "a", encoding="utf-8") as log:
            await asyncio.gather(
                self.pass_on(member, process.stdout, log, 0),
                self.pass_on(member, process.stderr, log, 1),
            )
        return await process.wait()

    def bundle(self, member: Member) -> Bundle:
        listens = member.role != WORKER
        return Bundle(
            role=member.role,
            name=member.name,
            incarnation=member.restarts,
            listen=self.engine.address(member.name, member.restarts) if listens else None,
            coordinator=self.engine.address(COORDINATOR, 0),
            job=self.job.to_json(),
            folder=str(self.folder),
        )

    async def pass_on(self, member: Member, stream: Any, log: TextIO, number: int) -> None:
        """Print what a process prints, each line with its name."""
        rest = b""
        while True:
            data = await stream.read(1 << 16)
            *lines, rest = (rest + data).split(b"\n")
            if not data and rest:
                lines, rest = [rest], b""
            for line in lines:
                text = line.decode(errors="backslashreplace").rstrip("\r")
                if text.startswith(MARK):
                    self.heard(member, json.loads(text[1:]))
                    continue
                member.last_lines.append(text)
                print(text, file=log, flush=True)
                self.show(member, text, number)
            if not data:
                return

    def show(self, member: Member, text: str, number: int = 1) -> None:
        print(f"{member.name:<{self.width}} | {text}", file=self.output[number], flush=True)

    def say(self, member: Member, text: str) -> None:
        """A line of the launcher about a process."""
        self.show(member, f"({text})")

    def heard(self, member: Member, message: dict[str, Any]) -> None:
        """What a process tells the launcher alone."""
        if member.role == COORDINATOR:
            self.facts |= message
        self.changed()

    # --- the end --------------------------------------------------------------------------------

    def leave(self, member: Member, how: str) -> None:
        """Tell the coordinator at once: it need not wait for silence."""
        if member.role != COORDINATOR:
            self.members[COORDINATOR].tell(
                {"left": member.name, "incarnation": member.restarts, "how": how}
            )

    def fail(self, member: Member, how: str) -> None:
        """The job has failed; only the first failure counts."""
        member.state = "failed"
        if self.failure is None and not self.over.is_set():
            self.failure = Failure(member.name, how, list(member.last_lines))
        self.over.set()
        self.changed()

    def look_for_the_end(self) -> None:
        """The job is done when its coordinator is; without workers it has nothing more to do."""
        states = {m.role: set() for m in self.members.values()}
        for member in self.members.values():
            states[member.role].add(member.state)
        if states[COORDINATOR] == {"done"}:
            self.over.set()
        elif states[WORKER] == {"done"}:
            self.members[COORDINATOR].tell({"stop": "done"})

    def stop(self, reason: str) -> None:
        """Ctrl-C, SIGTERM or `minidl dist cancel`: in order at first, at once the second time."""
        if self.interrupted:
            return self.over.set()
        self.interrupted = reason
        print(f"{reason}: a last checkpoint, then the end", file=self.output[1], flush=True)
        self.members[COORDINATOR].tell({"stop": reason})
        asyncio.get_running_loop().call_later(DRAIN, self.over.set)
        self.changed()

    async def end_all(self) -> None:
        """No process outlives the job.

        When all went well, or someone stopped the job, the processes end by themselves. Otherwise
        they get SIGTERM, and SIGKILL after a while.
        """
        running = [m for m in self.members.values() if is_running(m)]
        in_order = self.failure is None and not self.interrupted
        if not in_order or not await exits(running, GOODBYE):
            for number in (signal.SIGTERM, signal.SIGKILL):
                for member in filter(is_running, running):
                    member.process.send_signal(number)
                if await exits(running, GOODBYE):
                    break
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    def changed(self) -> None:
        """Tell those who watch, such as the writer of status.json."""
        for watcher in self.watchers:
            watcher()

    def status(self) -> dict[str, Any]:
        """What status.json says of the processes."""
        return {
            "time": time.time(),
            "interrupted": self.interrupted,
            "failure": vars(self.failure) if self.failure else None,
            "members": [
                {
                    "name": m.name, "role": m.role, "state": m.state, "restarts": m.restarts,
                    "pid": m.process.pid if is_running(m) else None,
                }
                for m in self.members.values()
            ],
            **self.facts,
        }  # fmt: skip


def is_running(member: Member) -> bool:
    return member.process is not None and member.process.returncode is None


async def exits(members: list[Member], seconds: float) -> bool:
    """Wait that long for all to end; whether they did."""
    waits = [asyncio.create_task(m.process.wait()) for m in members if is_running(m)]
    if not waits:
        return True
    _, pending = await asyncio.wait(waits, timeout=seconds)
    for wait in pending:
        wait.cancel()
    return not pending


def ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
