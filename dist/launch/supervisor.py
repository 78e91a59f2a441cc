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
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

from minidl_dist.decisions import DRAIN as LAST_STEP
from minidl_dist.decisions import LINGER
from minidl_dist.keys import to_hex
from minidl_dist.launch.child import (
    Child,
    Failure,
    ended,
    exit_of,
    exits,
    signal_group,
)
from minidl_dist.launch.keyring import Keyring
from minidl_dist.launch.output import Output
from minidl_dist.launch.spec import LATE, SCALE, SERVER, STUCK, WORKER, Instructions, Launch
from minidl_dist.messages import COORDINATOR
from minidl_dist.record import Lines

BACKOFF = 0.25  # seconds before the first restart; twice as long before each further one
STABLE = 600.0  # seconds of a life after which restarts are counted anew
LAST_LINES = 1.0  # seconds to read what a process printed before it ended
GOODBYE = 5.0  # seconds to end, once there is nothing more to do, or after SIGTERM
DRAIN = LAST_STEP + LINGER + 2 * GOODBYE  # seconds for all of a stop; the coordinator ends before


class Supervisor:
    """Runs one job.

    Args:
        launch: with all numbers filled in.
        folder: of the job.
        engine: how processes start, see launch/local.py.
        output: where lines go that the processes print to stdout and to stderr.

    Attributes:
        children: name -> Child.
        failures: in the order in which they came.
        interrupted: the reason why someone ended the job, "" if nobody did.
        facts: what the coordinator last said about the training, for status.json.
        watchers: are called after each change.
    """

    def __init__(self, launch: Launch, folder: Path, engine: Any, output: tuple[TextIO, TextIO]):
        self.launch, self.folder, self.engine = launch, folder, engine
        self.output = Output(output)
        self.children: dict[str, Child] = {}
        self.tasks: dict[str, asyncio.Task] = {}
        self.failures: list[Failure] = []
        self.interrupted = ""
        self.facts: dict[str, Any] = {}
        self.coordinator = ""  # where it listens
        self.is_open = asyncio.Event()  # whether that is known
        self.keys: Keyring | None = None
        self.watchers: list[Callable[[], None]] = []
        self.reached = -1  # the highest step; a rollback goes below it
        self.ending, self.why = False, ""
        self.hurry = False  # the end must not wait
        self.over = asyncio.Event()

    @property
    def failure(self) -> Failure | None:
        """The first one that was not the consequence of another."""
        return next((f for f in self.failures if not f.is_victim), next(iter(self.failures), None))

    async def run(self) -> None:
        """The job, from the first start to the last exit."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.interrupt, "interrupted")
        loop.add_signal_handler(signal.SIGTERM, self.interrupt, "terminated")
        loop.add_signal_handler(signal.SIGHUP, self.interrupt, "hung up")
        loop.add_signal_handler(signal.SIGUSR1, self.scale)
        roles = {COORDINATOR: COORDINATOR}
        roles |= {f"server{number}": SERVER for number in range(self.launch.servers)}
        roles |= {f"worker{number}": WORKER for number in range(self.launch.workers)}
        with self.engine.place():
            if self.engine.is_secure:
                self.keys = Keyring(list(roles), self.launch.operator)
            else:
                self.opened(self.engine.address(COORDINATOR, 0))
            try:
                for name, role in roles.items():
                    self.add(name, role)
                await self.over.wait()
            finally:
                await self.end_all()

    def opened(self, address: str) -> None:
        """The coordinator listens there, or will."""
        self.coordinator = address
        self.is_open.set()

    def add(self, name: str, role: str) -> None:
        """One more process, or a new life of one that has ended."""
        child = self.children.setdefault(name, Child(name, role))
        self.tasks[name] = asyncio.create_task(self.keep_guarded(child))

    # --- the life of a process ------------------------------------------------------------------

    async def keep_guarded(self, child: Child) -> None:
        """A fault of the launcher itself ends the job as well, and is not lost in a task."""
        try:
            await self.keep(child)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.fail(child, 1, f"could not be started: {type(error).__name__}: {error}")
        self.changed()
        self.look_for_the_end()

    async def keep(self, child: Child) -> None:
        """Start a process until it has done its work, or must not be started again."""
        while True:
            started = time.monotonic()
            code = await self.live(child)
            is_lost = self.engine.was_lost(code)
            how = "done" if code == 0 else ended(code, is_lost)
            if child.role != COORDINATOR:  # which need not wait for silence then
                self.children[COORDINATOR].tell({"left": child.name, "how": how})
            if code or child.state == "left":
                self.revoke_key(child.name)
            if child.state == "left":
                return
            if code == 0 and child.comes_again and not self.ending:
                child.comes_again, child.restarts = False, child.restarts + 1
                continue
            is_error = code not in (0, STUCK, LATE) and not is_lost
            if is_error and not (self.interrupted and child.role == WORKER):
                return self.fail(child, code, how)
            if code == 0 or self.ending or not self.is_needed(child):
                child.state = "done"
                return
            if time.monotonic() - started > STABLE:
                child.strikes = 0
            if child.strikes == self.launch.restarts:
                number = child.restarts
                how = f"{how}, after {number} restart{'' if number == 1 else 's'}"
                if self.can_be_spared(child):
                    return self.leave_out(child, how)
                return self.fail(child, 1, how)
            child.state, wait = "waiting", BACKOFF * 2**child.strikes
            child.restarts, child.strikes = child.restarts + 1, child.strikes + 1
            of_all = f"{child.strikes} of {self.launch.restarts} restarts"
            self.output.show(child, f"({how}; starts again in {wait:g} s: {of_all})", 1)
            self.changed()
            await asyncio.sleep(wait)
            if not self.is_needed(child):
                child.state = "done"
                return
            if self.children[COORDINATOR].state == "done":
                self.serve_again()

    async def live(self, child: Child) -> int:
        """One life of a process: its exit code, negative for a signal."""
        child.state, child.is_victim, child.is_chief = "starting", False, False
        child.unfinished = ""
        self.renew_key(child)
        child.has_begun = False
        process = await self.engine.start(child.name, child.role, self.launch.threads)
        child.process = process
        child.begin((await self.instructions(child)).line())
        child.state = "running"
        self.changed()
        if self.ending and child.role == COORDINATOR:
            child.tell({"stop": self.why})
        self.tell_if_too_late(child)
        with closing(Lines(self.folder / "logs" / f"{child.name}.log")) as log:
            streams = process.stdout, process.stderr
            readers = [
                asyncio.create_task(self.output.pass_on(child, stream, log, number, self.heard))
                for number, stream in enumerate(streams)
            ]
            code = await exit_of(process)
            signal_group(process.pid, signal.SIGKILL)  # what it started, and left behind
            _, unread = await asyncio.wait(readers, timeout=LAST_LINES)
            for reader in unread:
                reader.cancel()
            if unread:  # somebody who left the group holds a pipe, and asyncio keeps it open
                process._transport.close()
            for reader in set(readers) - unread:
                reader.result()  # raises what the reader raised
        return code

    async def instructions(self, child: Child) -> Instructions:
        """What a process is told. All but the coordinator are told where that listens."""
        listen: str | None = self.engine.address(child.name, child.restarts)
        if child.role == COORDINATOR:
            listen = self.coordinator or listen  # in later lives where the others know it to be
        else:
            await self.is_open.wait()
        if child.role == WORKER:
            listen = None
        return Instructions(
            role=child.role,
            name=child.name,
            life=child.restarts,
            listen=listen,
            coordinator=self.coordinator,
            launch=self.launch.to_json(),
            folder=str(self.folder),
            keys=self.keys.bundle(child.name) if self.keys else None,
        )

    def is_needed(self, child: Child) -> bool:
        """Whether a process that died has still something to do.

        After the training that is the chief, which writes the results: if it is the one that died.
        """
        if self.children[COORDINATOR].state != "done":
            return True
        if self.ending or child.role != WORKER:
            return False
        return not any(other.is_chief for other in self.children.values() if other is not child)

    def can_be_spared(self, child: Child) -> bool:
        """Whether other workers train on without it."""
        if child.role != WORKER or self.ending or self.children[COORDINATOR].state == "done":
            return False
        others = [c for c in self.children.values() if c.role == WORKER and c is not child]
        return any(other.state in ("starting", "running", "waiting") for other in others)

    def leave_out(self, child: Child, how: str) -> None:
        """A worker that dies again and again starts no more; the others compute its slots."""
        child.state, child.is_chief = "left", False
        self.output.show(child, f"({how}: left out, the other workers go on)", 1)

    def serve_again(self) -> None:
        """The chief that died after the training wants the last weights once more."""
        for child in list(self.children.values()):
            if child.role != WORKER and child.state != "done":
                child.comes_again = True  # it is just ending
            elif child.role != WORKER:
                child.state, child.restarts = "waiting", child.restarts + 1
                self.add(child.name, child.role)

    # --- what processes say ---------------------------------------------------------------------

    def heard(self, child: Child, message: dict[str, Any]) -> None:
        """What a process tells the launcher alone."""
        child.is_victim |= message.get("victim", False)
        child.is_chief = message.get("chief", child.is_chief)
        if "alarm" in message:
            child.alarms.append({"time": time.time(), "text": message.pop("alarm")})
        if child.role == COORDINATOR:
            if "listening" in message:
                self.opened(message.pop("listening"))
            if message.pop("cancel", False) and not self.ending:
                self.interrupt("cancelled")
            if "scale" in message:
                self.scale_to(message.pop("scale"))
            self.facts |= message
            self.reached = max(self.reached, self.facts.get("step", -1))
            self.output.is_said_once = not self.has_trained
        self.changed()

    @property
    def has_trained(self) -> bool:
        """Whether a first step was begun."""
        return self.facts.get("step", -1) >= 0

    # --- the end --------------------------------------------------------------------------------

    def fail(self, child: Child, code: int, how: str) -> None:
        """A process failed: the others may save what there is, and end."""
        child.state = "failed"
        lines = list(child.last_lines)
        self.failures.append(Failure(child.name, how, code, lines, child.is_victim))
        self.stop(f"{child.name}: {how}", GOODBYE)

    def interrupt(self, reason: str) -> None:
        """Ctrl-C, SIGTERM or `minidl dist cancel`: in order at first, at once the second time."""
        if self.interrupted:
            self.hurry = True
            return self.over.set()
        self.interrupted = reason
        self.output.note(f"{reason}: a last checkpoint, then the end; again: at once")
        self.stop(reason, DRAIN)

    def stop(self, reason: str, seconds: float) -> None:
        """The coordinator ends the job; what is left of it after so many seconds is killed."""
        if not self.ending:
            self.ending, self.why = True, reason
            self.children[COORDINATOR].tell({"stop": reason})
            asyncio.get_running_loop().call_later(seconds, self.over.set)
        self.changed()

    def look_for_the_end(self) -> None:
        """The job is over when all is done, or when those that serve have nobody to serve."""
        states = [c.state for c in self.children.values()]
        workers = [c.state for c in self.children.values() if c.role == WORKER]
        at_rest = ("done", "failed", "left")
        if all(state in at_rest for state in states):
            return self.over.set()
        if all(state in at_rest for state in workers):
            self.stop("finished", GOODBYE)
        for child in self.children.values():
            self.tell_if_too_late(child)

    def tell_if_too_late(self, child: Child) -> None:
        """Who has not reached the coordinator cannot know that it is done: it would wait, and then
        fail, in a job that ended well."""
        if child.role != COORDINATOR and self.children[COORDINATOR].state == "done":
            child.tell({"finished": True})

    async def end_all(self) -> None:
        """No process outlives the job: SIGTERM, and SIGKILL after a while."""
        self.ending = True
        running = [child for child in self.children.values() if child.is_running]
        for number in [signal.SIGKILL] if self.hurry else [signal.SIGTERM, signal.SIGKILL]:
            for child in running:
                child.send_signal(number)
            if await exits(running, GOODBYE):
                break
        await asyncio.wait(self.tasks.values(), timeout=GOODBYE)  # they print the last lines
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    # --- while it runs --------------------------------------------------------------------------

    def scale(self) -> None:
        """`minidl dist scale`: as many workers as the file in the folder says."""
        try:
            self.scale_to(int(json.loads((self.folder / SCALE).read_text())[WORKER]))
        except (OSError, ValueError, KeyError, TypeError):
            return

    def scale_to(self, wanted: int) -> None:
        if self.ending:
            return  # nobody would end those that are added now
        here = [c for c in self.children.values() if c.role == WORKER and c.state != "left"]
        for child in here[max(wanted, 1) :]:
            child.state = "left"
            child.send_signal(signal.SIGTERM)
        number = 0
        for _ in range(wanted - len(here)):
            while f"worker{number}" in self.children:
                number += 1
            self.add(f"worker{number}", WORKER)

    def renew_key(self, child: Child) -> None:
        """A new key for a further life, or one that nobody knows yet: tell those who listen."""
        if self.keys is None or child.role == COORDINATOR:
            return
        if child.name not in self.keys.pairs or child.has_begun:
            key = self.keys.renew(child.name)
            for other in self.children.values():
                if self.keys.lets_in(other.name, child.name):
                    other.tell({"allow": key})

    def revoke_key(self, name: str) -> None:
        """The key of a life that is over opens nothing any more, but for the coordinator's: that
        is the same in all its lives, as the others know it by this key.
        """
        if self.keys is not None and name != COORDINATOR and name in self.keys.pairs:
            self.keys.remove(name)
            for child in self.children.values():
                child.tell({"revoke": name})

    @property
    def door(self) -> str:
        """Where an operator reaches the job from elsewhere, with the key to expect there."""
        if self.keys is None or not self.launch.operator or not self.coordinator:
            return ""
        return f"{self.coordinator}/{to_hex(self.keys.pairs[COORDINATOR].public)}"

    def changed(self) -> None:
        for watcher in self.watchers:
            watcher()

    def status(self) -> dict[str, Any]:
        """What status.json says."""
        failure = self.failure
        return {
            **self.facts,
            "reached": self.reached,
            "time": time.time(),
            "door": self.door,
            "finished": self.over.is_set() and not failure and not self.interrupted,
            "interrupted": self.interrupted,
            "failure": {"name": failure.name, "how": failure.how} if failure else None,
            "members": [
                {
                    "name": c.name, "role": c.role, "state": c.state, "restarts": c.restarts,
                    "pid": c.process.pid if c.is_running else None, "alarms": list(c.alarms),
                }
                for c in self.children.values()
            ],
        }  # fmt: skip
