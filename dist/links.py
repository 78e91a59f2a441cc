"""The sockets of a node: where it listens, whom it is linked to, and their troubles in words.

    Listener   a ROUTER that others connect to. Every connection has a random id of its own; who is
               behind it says the verified key (tcp), or the message (ipc, in a folder that only
               this user can enter)
    Link       a DEALER to one peer that listens

Names are not used as routing ids: a second connection by the same name, while the first is not yet
noticed to be dead, would be dropped silently; and whoever took another's name would take its
replies. The id that a name's newest message came from is where answers go.

libzmq reports nothing by itself: a wrong key and a dead peer look alike, a socket that tries for
ever. Its monitor does report, and `Link.look` says what its events mean.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket as socket_module
import stat
import time
from pathlib import Path
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from minidl.errors import MinidlError
from minidl_dist import keys, wire

MAX_IPC = 107  # bytes of a path, set by struct sockaddr_un of Linux
HIGH_WATER = 64  # messages; the credit window of the machines is far below
MAX_TRIES = 3  # failed handshakes of one kind, before it is no accident
LINGER = 1000  # ms, for the last messages
Event = zmq.Event
FAILED = {
    int(Event.HANDSHAKE_FAILED_AUTH): "denied",
    int(Event.HANDSHAKE_FAILED_NO_DETAIL): "hung up",
    int(Event.HANDSHAKE_FAILED_PROTOCOL): "protocol",
}
WATCHED = (
    Event.CONNECTED | Event.CONNECT_RETRIED | Event.DISCONNECTED | Event.ACCEPT_FAILED
    | Event.HANDSHAKE_SUCCEEDED | Event.HANDSHAKE_FAILED_AUTH
    | Event.HANDSHAKE_FAILED_NO_DETAIL | Event.HANDSHAKE_FAILED_PROTOCOL
)  # fmt: skip


class LinkError(MinidlError, ConnectionError):
    """A node cannot listen, or cannot reach a peer, and this is why."""


class Listener:
    """A bound ROUTER.

    Args:
        context: of the node.
        address: "ipc:///path" or "tcp://interface:port"; port * is any that is free.
        pair, handler: keys and the ZAP handler that guards them; None only for ipc, or with
            `insecure`.
        insecure: listen on tcp without keys, for measurements on a network of one's own.

    Attributes:
        address: the same with the port that was chosen.
    """

    def __init__(
        self,
        context: zmq.Context,
        address: str,
        pair: keys.KeyPair | None = None,
        handler: keys.ZapHandler | None = None,
        insecure: bool = False,
    ):
        check_address(address)
        if address.startswith("tcp:") and not insecure and (pair is None or handler is None):
            raise LinkError(
                "listen", "tcp is used with keys only: others can reach the port",
                {"address": address}, "minidl dist run --hosts makes them; on one machine use ipc",
            )  # fmt: skip
        self.socket = new_socket(context, zmq.ROUTER, address)
        self.socket.router_mandatory = True
        self.monitor = self.socket.get_monitor_socket(WATCHED)
        self.file: tuple[str, int] | None = None
        try:
            if pair is not None:
                keys.listen_with(self.socket, pair)
            self.socket.bind(address)
            self.address = self.socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
            self.file = file_of(self.address)
            if pair is not None and handler is not None:
                keys.prove_closed(handler, self.address, pair.public)
        except zmq.ZMQError as error:
            self.close()
            raise LinkError(
                "listen", f"cannot listen: {error.strerror}", {"address": address},
                why_not(error.errno),
            ) from None  # fmt: skip
        except BaseException:
            self.close()
            raise

    def look(self) -> list[str]:
        """What happened at the door: "denied", "hung up", "protocol", "accept failed"."""
        return [
            FAILED.get(event, "accept failed")
            for event in events_of(self.monitor)
            if event in FAILED or event == Event.ACCEPT_FAILED
        ]

    def close(self, linger: int = 0) -> None:
        """Remove the file of an ipc socket, too, which libzmq leaves; not where it is another's."""
        close(self.socket, self.monitor, linger)
        if self.file is not None and file_of(self.address) == self.file:
            with contextlib.suppress(OSError):  # whoever started us may be cleaning up, too
                os.unlink(self.file[0])


class Link:
    """A DEALER that is connected, or tries to be, to one peer.

    Attributes:
        name, address, key: of the peer.
        up: whether the peer and its key were found to be right, now.
        ever: whether it was ever up.
        tries: attempts since it was last up, by what came of them.
        trouble: time of the first of them, by time.monotonic.
        down: since when it is not up.
        said: whether that was said.
        is_dead: libzmq has given it up; only a new Link can try again.
    """

    def __init__(
        self,
        context: zmq.Context,
        name: str,
        address: str,
        pair: keys.KeyPair | None = None,
        key: str = "",
    ):
        check_address(address)
        self.name, self.address, self.key = name, address, key
        self.up = self.ever = False
        self.tries: dict[str, int] = {}
        self.trouble, self.is_dead = 0.0, False
        self.before = 0  # the event before the next one
        self.down, self.said = time.monotonic(), False
        self.socket = new_socket(context, zmq.DEALER, address)
        self.monitor = self.socket.get_monitor_socket(WATCHED)
        try:
            if key and pair is not None:
                keys.connect_with(self.socket, pair, key)
            self.socket.connect(address)
        except BaseException as error:
            self.close()
            if isinstance(error, zmq.ZMQError):
                raise LinkError(
                    "connect", f"cannot connect to {name}: {error.strerror}", {"address": address}
                ) from None
            raise

    def look(self) -> list[dict[str, Any]]:
        """What changed since the last look, as facts for Notes."""
        changes: list[dict[str, Any]] = []
        for event in events_of(self.monitor):
            if event == Event.HANDSHAKE_SUCCEEDED:
                what = "reconnected" if self.ever else "connected"
                self.up, self.ever, self.tries = True, True, {}
                changes.append({"what": what, "peer": self.name, "address": self.address})
            elif event == Event.DISCONNECTED and self.up:
                self.up, self.down, self.said = False, time.monotonic(), False
                changes.append({"what": "disconnected", "peer": self.name})
            elif event == Event.DISCONNECTED and self.before == Event.CONNECTED:
                self.count("protocol")  # its greeting was none, and libzmq does not try again
                self.is_dead = True
            elif event in FAILED:
                self.count(FAILED[event])
                self.is_dead = event != Event.HANDSHAKE_FAILED_NO_DETAIL
            elif event == Event.CONNECT_RETRIED:
                self.count("nobody")
            self.before = event
        return changes

    def count(self, outcome: str) -> None:
        if not self.tries:
            self.trouble = time.monotonic()
        self.tries[outcome] = self.tries.get(outcome, 0) + 1

    def take_over(self, older: Link) -> None:
        """Go on counting where a dead link to the same peer stopped."""
        self.ever, self.tries, self.trouble = older.ever, older.tries, older.trouble

    def problem(self) -> LinkError | None:
        """Why it will never be up, as far as can be known."""
        place = {"peer": self.name, "address": self.address}
        if self.tries.get("denied"):
            return LinkError(
                "connect", f"{self.name} does not accept our key: it is not on its list, or was"
                " revoked", place, "every process has a key of its own; start it by minidl dist",
            )  # fmt: skip
        if self.tries.get("protocol"):
            return LinkError(
                "connect", f"{self.name} speaks another protocol: one side uses keys, the other"
                " does not", place, "is another program listening there?",
            )  # fmt: skip
        if self.tries.get("hung up", 0) >= MAX_TRIES and not self.ever:
            return LinkError(
                "connect", f"the key of {self.name} is not the one we know; or one side uses keys,"
                " the other does not; or it is no minidl process",
                {**place, "expected key": self.key or "none"},
                "do keys and address come from the same job?",
            )  # fmt: skip
        return None

    def silence(self, seconds: float) -> LinkError:
        """The error of a peer that was not up for so long."""
        return LinkError(
            "connect", f"{self.name} was not reached within {seconds:g} s: "
            + ("nobody listens there" if self.tries.get("nobody") else "no answer from there"),
            {"address": self.address}, "does it run, and is this the interface that it listens on?",
        )  # fmt: skip

    def close(self, linger: int = 0) -> None:
        close(self.socket, self.monitor, linger)


def why_not(number: int | None) -> str:
    """A hint to an error of bind."""
    if number == errno.EADDRINUSE:
        return "another process uses this port; tcp://HOST:* takes a free one"
    if number in (errno.ENODEV, errno.EADDRNOTAVAIL):
        names = ", ".join(name for _, name in socket_module.if_nameindex())
        return f"an address of this machine, or one of its interfaces: {names}"
    return ""


def new_socket(context: zmq.Context, kind: int, address: str) -> zmq.Socket:
    """A socket with limits: nothing waits or grows for ever. (For messages whose parts never end
    libzmq has none: see intake.py.)"""
    socket = context.socket(kind)
    socket.linger = 0
    socket.maxmsgsize = max(wire.MAX_HEADER, wire.MAX_VALUES)
    socket.sndhwm = socket.rcvhwm = HIGH_WATER
    socket.sndtimeo = 0
    socket.reconnect_ivl, socket.reconnect_ivl_max = 50, 1000  # ms
    socket.handshake_ivl = 10_000  # ms; strangers that only connect must go
    if address.startswith("tcp:"):
        socket.heartbeat_ivl, socket.heartbeat_timeout = 2000, 10_000  # ms; a cut cable
        socket.connect_timeout = 5000
        socket.ipv6 = "[" in address
    return socket


def events_of(monitor: zmq.Socket) -> list[int]:
    """What libzmq has reported since."""
    found = []
    while monitor.poll(0):
        found.append(int(recv_monitor_message(monitor)["event"]))
    return found


def close(socket: zmq.Socket, monitor: zmq.Socket, linger: int) -> None:
    socket.disable_monitor()
    monitor.close(linger=0)
    socket.close(linger=linger)


def file_of(address: str) -> tuple[str, int] | None:
    """(path, inode) of an ipc socket's file; None where there is none."""
    kind, _, path = address.partition("://")
    try:
        return (path, os.stat(path).st_ino) if kind == "ipc" else None
    except OSError:
        return None


# --- addresses ----------------------------------------------------------------------------------


def check_address(address: str) -> None:
    """
    Raises:
        LinkError: it is neither ipc nor tcp, or its path is too long.
    """
    kind, separator, place = address.partition("://")
    if not separator or kind not in ("ipc", "tcp") or not place:
        raise LinkError("address", "an address begins with ipc:// or tcp://", {"address": address})
    if kind == "ipc" and len(os.fsencode(place)) > MAX_IPC:
        raise LinkError(
            "address", f"the path of a socket has at most {MAX_IPC} bytes",
            {"path": place, "bytes": len(os.fsencode(place))}, "use a folder with a shorter name",
        )  # fmt: skip


def ipc_address(folder: str | Path, name: str) -> str:
    """The address of a process in a folder, which is made with mode 0700 if it is not there.

    Raises:
        LinkError: others can enter the folder, or the path is too long.
    """
    folder = Path(folder).absolute()
    address = f"ipc://{folder / name}"
    check_address(address)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LinkError(
            "address", f"no folder for sockets: {error.strerror}", {"folder": str(folder)}
        ) from None
    found = folder.stat()
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise LinkError(
            "address", "sockets are in a folder that nobody else can enter (mode 0700)",
            {"folder": str(folder), "mode": oct(stat.S_IMODE(found.st_mode))},
            f"chmod 700 {folder}, or another folder",
        )  # fmt: skip
    return address
