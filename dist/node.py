"""A node runs one machine: it turns what happens into events, and carries out effects.

    sockets -> Received        Send  -> sockets
    timers  -> Timer           SetTimer, Note, Exit
    disk    -> Loaded, Stored  Load, Store, Remove, Sweep -> a thread, as fsync takes long
    other threads, signals -> post(event)             everything else -> `to_client`

Sockets and the clock are here and in links.py, nowhere else; the loop is `turn`. Machines stay
pure, so that simulate.py can run them in a world of its own.

What a stranger sends ends at the ZAP handler (keys.py), what is no message, or not for its sender
to send, at gate.py; it is counted. Nothing that comes from outside raises in here.
"""

from __future__ import annotations

import heapq
import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import zmq
from zmq.backend import Socket as PlainSocket
from zmq.backend import zmq_poll

from minidl.errors import MinidlError
from minidl.kernels.memory import keep_freed_memory, use_one_heap
from minidl_dist import intake
from minidl_dist import messages as m
from minidl_dist.checkpoint import Disk, DiskThread
from minidl_dist.events import Allowed, Revoked
from minidl_dist.gate import NOW, Gate
from minidl_dist.inbox import Inbox
from minidl_dist.keys import Bundle, KeyProblem, ZapHandler, role_of
from minidl_dist.links import LINGER, Link, LinkError, Listener
from minidl_dist.queued import Queued, whole_numbers
from minidl_dist.record import Lines, show_alarm
from minidl_dist.wire import COPY_BELOW, SAME_VERSION, Encoder, WireError

LOOK = 0.25  # seconds between looks at the monitors; intake.LOOK where it listens by TCP
GRACE = 2.5  # seconds that a link may be refused before it is an error
SILENCE = 10.0  # seconds without a connection, before that is said
PATIENCE = 30.0  # seconds until the coordinator must have been reached
MAX_OPERATORS = 32
MAX_FACT = 1000  # characters of a fact in a Failed
MORE = int(zmq.DONTWAIT | zmq.SNDMORE)
CODE_FAILED = 1
plain_send = PlainSocket.send  # without the options that Socket.send looks at each time


class Node:
    """Runs a machine on this process's sockets, clock and disk.

    Args:
        machine: has handle(event, now) -> effects, and `plan` and `codec` once it knows it.
        name: of the process: coordinator, server0, worker3, operator.
        bundle: its keys; None on ipc.
        disk: where Store and Load go; None for machines without.
        log: file that Notes go to, one JSON object a line; None for nowhere.
        to_client: called with the effects that are none of the node's, from the node's thread.
        patience: seconds until the coordinator must have been reached.
        insecure: allows tcp without keys, for measurements.

    Attributes:
        sent, received: kind of message -> how many.
        counts: messages dropped by cause, or not sent; strangers.
    """

    def __init__(
        self,
        machine: Any,
        name: str,
        bundle: Bundle | None = None,
        disk: Disk | None = None,
        log: str | Path | None = None,
        to_client: Callable[[Any], None] | None = None,
        patience: float = PATIENCE,
        insecure: bool = False,
    ):
        self.machine, self.name, self.role = machine, name, role_of(name)
        self.bundle, self.to_client = bundle, to_client
        self.patience, self.insecure = patience, insecure
        self.clock = time.monotonic
        keep_freed_memory()  # messages of 1 MiB come and go
        if self.role == "server":
            use_one_heap()
        self.context = zmq.Context()
        self.handler: ZapHandler | None = None
        self.listener: Listener | None = None
        self.gate = Gate(self.role, self.values_of)
        self.links: dict[str, Link] = {}
        self.queued = Queued()
        self.encoder = Encoder(name)
        self.peers: dict[str, bytes] = {}  # name -> routing id of its newest connection
        self.readers: dict[Any, Callable[[], None]] = {}  # socket or file descriptor -> reader
        self.polled: list[tuple[Any, int]] = []
        self.timers: list[tuple[float, int, str]] = []
        self.armed: dict[str, int] = {}  # name of a timer -> its number; older ones are void
        self.numbers = 0
        self.sent: Counter[type] = Counter()
        self.received: Counter[type] = Counter()
        self.counts: Counter[str] = Counter()
        self.log = Lines(log) if log is not None else None
        self.bytes_out = 0
        self.ended: m.Exit | None = None
        self.failure: MinidlError | None = None
        self.inbox = Inbox()
        self.watch(self.inbox.reader, self.read_inbox)
        self.disk = DiskThread(disk, self.post, self.take_note)
        self.started = self.next_look = self.clock()
        self.carry = {
            m.Send: self.send, m.SetTimer: self.set_timer, m.Note: self.take_note,
            m.Exit: self.end, m.Store: self.disk.jobs.put, m.Load: self.disk.jobs.put,
            m.Remove: self.disk.jobs.put, m.Sweep: self.disk.jobs.put,
        }  # fmt: skip

    # --- before it runs -------------------------------------------------------------------------

    def listen(self, address: str) -> str:
        """Let others connect.

        Returns:
            The address, with the port that was chosen.

        Raises:
            LinkError, KeyProblem: the port is in use, the path too long, a stranger was let in.
        """
        pair = None
        if self.bundle is not None and address.startswith("tcp:"):
            self.handler = ZapHandler(self.context, self.bundle.allowed)
            pair = self.bundle.pair
        self.listener = Listener(self.context, address, pair, self.handler, self.insecure)
        if self.handler is not None:
            self.watch(self.handler.socket, self.handler.answer)
        listener = self.listener
        if listener.address.startswith("tcp:"):
            self.gate.intake = intake.Intake(int(listener.address.rpartition(":")[2]))
        self.watch(listener.socket, partial(self.read_listener, listener))
        return listener.address

    def connect(self, name: str, address: str, key: str = "", again: bool = False) -> None:
        """Link to a peer that listens; another address or key than before replaces the link.

        Raises:
            LinkError, KeyProblem: it is no address, or no key where one is needed.
        """
        link = self.links.get(name)
        if link is not None and (link.address, link.key) == (address, key) and not again:
            return
        secure = address.startswith("tcp:") and not self.insecure
        if secure and (self.bundle is None or not key):
            raise KeyProblem(
                "connect", "tcp is used with keys only", {"peer": name, "address": address},
                "minidl dist run --hosts makes them; on one machine use ipc",
            )  # fmt: skip
        pair = self.bundle.pair if self.bundle is not None and secure else None
        new = Link(self.context, name, address, pair, key)
        if link is not None:
            if again:
                new.take_over(link)
            self.unlink(link)
        self.links[name] = new
        self.watch(new.socket, partial(self.read_link, new))

    def unlink(self, link: Link) -> None:
        self.unwatch(link.socket)
        link.close()
        del self.links[link.name]

    def watch(self, source: Any, read: Callable[[], None]) -> None:
        """Call `read` whenever a socket or file descriptor has something to read."""
        self.readers[source] = read
        self.polled.append((source, zmq.POLLIN))

    def unwatch(self, source: Any) -> None:
        self.readers.pop(source, None)
        self.polled = [(other, event) for other, event in self.polled if other is not source]

    def catch_signals(self) -> None:
        """SIGTERM and Ctrl-C become StopAsked; the second one ends the process at once. To be
        called in the main thread."""

        def ask(number: int, _: Any) -> None:
            signal.signal(number, signal.SIG_DFL)
            self.post(m.StopAsked(signal.Signals(number).name))

        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:  # see launch/slurm.py
                signal.signal(number, ask)

    # --- the loop -------------------------------------------------------------------------------

    def run(self) -> m.Exit:
        """Run the machine to its end.

        Returns:
            Exit with code and reason. Where the node itself failed, `failure` is the error.
        """
        self.disk.start()
        try:
            self.give(m.Started())
            while self.ended is None:
                self.turn()
        except MinidlError as error:
            self.fail(error)
        finally:
            self.close()
        assert self.ended is not None
        return self.ended

    def fail(self, error: MinidlError) -> None:
        """End with an error that this process cannot go on with; so can the job, which is told."""
        self.failure = error
        self.end(m.Exit(CODE_FAILED, str(error)))
        link = self.links.get(m.COORDINATOR)
        if link is not None and not isinstance(error, LinkError | KeyProblem):
            facts = {name: str(value)[:MAX_FACT] for name, value in error.received.items()}
            if error.hint:
                facts["hint"] = str(error.hint)
            self.transmit(link.socket, m.Failed(error.rule, {"process": self.name, **facts}))

    def turn(self) -> None:
        """Wait for whatever comes first, and handle it."""
        now = self.clock()
        while self.timers and self.timers[0][0] <= now and self.ended is None:
            _, number, name = heapq.heappop(self.timers)
            if self.armed.get(name) == number:
                del self.armed[name]
                self.give(m.Timer(name))
        if now >= self.next_look:
            self.look(now)
        if self.ended is not None:
            return
        until = min(self.next_look, self.timers[0][0]) if self.timers else self.next_look
        wait = int((until - now) * 1000) + 1 if until > now else 0
        for source, _ in zmq_poll(self.polled, wait):
            read = self.readers.get(source)  # None: another reader has just closed it
            if read is not None and self.ended is None:
                read()

    def give(self, event: Any) -> None:
        """Hand an event to the machine and do what it says."""
        for effect in self.machine.handle(event, self.clock()):
            carry = self.carry.get(type(effect))
            if carry is not None:
                carry(effect)
            elif self.to_client is not None:
                self.to_client(effect)

    def post(self, event: Any) -> None:
        """Give an event to the machine from any thread or signal handler."""
        self.inbox.post(event)

    def read_inbox(self) -> None:
        for event in self.inbox.take():
            if self.ended is not None:
                return
            if isinstance(event, Allowed) and self.bundle is not None:
                self.bundle.allowed.allow(event.name, event.key)
            elif isinstance(event, Revoked) and self.bundle is not None:
                self.bundle.allowed.revoke(event.name)
            else:
                self.give(event)

    # --- in -------------------------------------------------------------------------------------

    def read_listener(self, listener: Listener) -> None:
        """Take one message; the loop comes back for the next."""
        identity = listener.socket.recv(NOW)
        try:
            allowed = self.handler.allowed if self.handler is not None else None
            sender, message = self.gate.take(listener.socket, allowed)
        except WireError as error:
            self.drop(error)
            if error.cause in ("revoked", "version"):
                refused = m.Refused(error.rule, error.received, str(error.hint))
                self.transmit(listener.socket, refused, identity)
            return
        if self.peers.get(sender) != identity:
            sender = self.known(sender, identity)
        self.received[type(message)] += 1
        self.give(m.Received(sender, message))

    def read_link(self, link: Link) -> None:
        try:
            sender, message = self.gate.take(link.socket, expected=link.name)
        except WireError as error:
            self.drop(error)
            if error.cause == "version" and link.name == m.COORDINATOR:
                place = {"address": link.address}
                rule = f"{link.name} cannot be talked to: {error.rule}"
                raise LinkError("connect", rule, place, SAME_VERSION) from None
            return
        kind = type(message)
        self.received[kind] += 1
        if kind is m.Wanted and sender == m.COORDINATOR and self.role == "worker":
            self.follow(message.servers)
        self.give(m.Received(sender, message))

    def known(self, sender: str, identity: bytes) -> str:
        """Remember where answers to a sender go. Each operator's connection is its own."""
        if sender.startswith("operator"):
            sender = f"{sender}-{identity.hex()}"
            operators = [name for name in self.peers if name.startswith("operator")]
            if sender not in self.peers and len(operators) >= MAX_OPERATORS:
                del self.peers[operators[0]]
        self.peers[sender] = identity
        return sender

    def values_of(self, message: Any) -> tuple[str, int] | None:
        """dtype and size of the values of a message, by the plan."""
        plan, codec = (getattr(self.machine, name, None) for name in ("plan", "codec"))
        if plan is None or not 0 <= message.chunk < len(plan.chunks):
            return None
        if codec is not None:  # gradients may be compressed
            return codec.form_of(message)
        chunk = plan.chunks[message.chunk]
        return chunk.dtype, chunk.size

    def follow(self, servers: dict) -> None:
        """Link to the servers that the coordinator names, where they are now."""
        for name, place in servers.items():
            try:
                if role_of(name) != "server":
                    raise WireError("servers", f"{name} is no server")
                address, key = place
                if address:
                    self.connect(name, str(address), str(key))
            except (MinidlError, ValueError, TypeError) as error:
                self.counts["dropped: servers"] += 1
                if self.counts["dropped: servers"] == 1:
                    facts = {"what": "no link", "peer": str(name), "alarm": str(error)}
                    self.take_note(m.Note(facts))

    def drop(self, error: WireError) -> None:
        """Count what is no message; the first of each cause is noted."""
        cause = f"dropped: {error.cause}"
        self.counts[cause] += 1
        if self.counts[cause] == 1:
            self.take_note(m.Note({"what": "dropped", "cause": error.cause, "why": error.rule}))

    # --- out ------------------------------------------------------------------------------------

    def send(self, effect: m.Send) -> None:
        link = self.links.get(effect.to)
        if link is not None:
            self.transmit(link.socket, effect.message)
        elif (identity := self.peers.get(effect.to)) is not None and self.listener is not None:
            self.transmit(self.listener.socket, effect.message, identity)
        else:
            self.counts["unsent: no connection"] += 1

    def transmit(self, socket: zmq.Socket, message: Any, identity: bytes | None = None) -> None:
        """Hand a message to libzmq, or drop it: machines repeat what is not answered.

        Raises:
            WireError: nobody could receive it.
        """
        frames = self.encoder.frames(message)
        last = frames[-1]
        is_large = len(last) >= COPY_BELOW
        if is_large:
            key = (identity or socket, type(message), *whole_numbers(message))
            if self.queued.has(key):
                self.counts["unsent: still in the queue"] += 1
                return
        try:
            if identity is not None:
                plain_send(socket, identity, MORE)
            if last is not frames[0]:
                plain_send(socket, frames[0], MORE)
                self.bytes_out += len(frames[0])
            if is_large:
                self.queued.add(key, socket.send(last, NOW, copy=False, track=True))
            else:
                plain_send(socket, last, NOW)
            self.bytes_out += len(last)
            self.sent[type(message)] += 1
        except zmq.Again:
            self.counts["unsent: queue full"] += 1
        except zmq.ZMQError as error:
            self.counts[f"unsent: {error.strerror}"] += 1

    def set_timer(self, effect: m.SetTimer) -> None:
        self.numbers += 1
        self.armed[effect.name] = self.numbers
        when = self.clock() + effect.after
        heapq.heappush(self.timers, (when, self.numbers, effect.name))

    def take_note(self, note: m.Note) -> None:
        """Write a line of the log, and show an alarm; a full disk does not end a node."""
        if note.facts.get("alarm"):
            show_alarm(note.facts)
        if self.log is None:
            return
        facts = {"time": round(time.time(), 3), "node": self.name, **note.facts}
        if not self.log.write(json.dumps(facts, default=str)):
            self.counts["notes lost"] += 1

    def end(self, effect: m.Exit) -> None:
        if self.ended is None:
            self.ended = effect

    # --- links, disk, the end -------------------------------------------------------------------

    def look(self, now: float) -> None:
        """See what the monitors report.

        Raises:
            LinkError: a peer will never be reached, and why.
        """
        self.next_look = now + (LOOK if self.gate.intake is None else intake.LOOK)
        for link in list(self.links.values()):
            for facts in link.look():
                self.take_note(m.Note(facts))
                if facts["what"] == "reconnected":
                    self.give(m.Reconnected(link.name))
            problem = link.problem()
            if problem is not None:
                if now - link.trouble > GRACE:
                    raise problem
                if link.is_dead:  # perhaps our key is on its way to its list
                    self.connect(link.name, link.address, link.key, again=True)
            elif link.name == m.COORDINATOR and not link.ever:
                if now - self.started > self.patience:
                    raise link.silence(self.patience)
            if not link.up and not link.said and now - link.down > SILENCE:
                link.said = True
                facts = {"what": "no connection", "alarm": link.silence(SILENCE).rule}
                self.take_note(m.Note(facts))
        if self.gate.intake is not None:
            for peer in self.gate.intake.look(now):
                self.counts["dropped: endless"] += 1
                facts = {"what": "closed", "peer": peer, "alarm": "it sends a message without end"}
                self.take_note(m.Note(facts))
        if self.listener is not None:
            for what in self.listener.look():
                self.counts[f"stranger: {what}"] += 1
                if self.counts[f"stranger: {what}"] == 1:
                    self.take_note(m.Note({"what": "stranger", "how": what}))

    def close(self) -> None:
        """Finish what the disk is at, let the last messages go, close everything."""
        self.disk.finish()
        facts = {"what": "end", **self.summary()}
        if self.ended is not None:
            facts |= {"code": self.ended.code, "reason": self.ended.reason}
        self.take_note(m.Note(facts))
        for link in self.links.values():
            link.close(LINGER)
        if self.listener is not None:
            self.listener.close(LINGER)
        if self.handler is not None:
            self.handler.close()
        self.context.term()
        self.inbox.close()
        if self.log is not None:
            self.log.close()

    def troubles(self) -> dict[str, int]:
        """How many messages were lost here, and how many that came were none: for status."""
        found = Counter()
        for what, count in self.counts.copy().items():
            found["lost"] += count if what.startswith("unsent") else 0
            found["garbage"] += count if what.startswith("dropped") else 0
        return {what: count for what, count in found.items() if count}

    def summary(self) -> dict[str, Any]:
        """Counters, for status and log."""
        return {
            "sent": {kind.__name__: n for kind, n in self.sent.items()},
            "received": {kind.__name__: n for kind, n in self.received.items()},
            "counts": {
                **self.counts,
                "bytes in": self.gate.bytes_in,
                "bytes out": self.bytes_out,
            },
        }
