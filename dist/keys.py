"""Who may talk to whom: CURVE keys, the list of allowed keys, and the handler that consults it.

Every process has a key pair of its own (CurveZMQ, rfc.zeromq.org/spec/26: Curve25519). Whoever
connects knows the public key of the peer beforehand (it is pinned), and whoever listens asks its
allow-list, by ZAP (rfc.zeromq.org/spec/27), whether the key of the one who connects is on it.

libzmq leaves the door open where one would not expect it:

- without a ZAP handler, or with a handler that died, it accepts EVERY key. So the handler is bound
  before the socket, runs in the node's own loop (it cannot die alone), and a random key must be
  denied before an address is announced: prove_closed.
- it asks once per connection. So the allow-list is consulted again for each message, by the key
  that libzmq verified (the property User-Id): a revoked key stops at once.

Keys are handed to a process by its standard input or by a file of mode 0600: never by arguments or
environment, which other users can read.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from minidl.errors import ArgumentError, MinidlError
from minidl_dist import messages as m

DOMAIN = b"minidl"
ZAP_ADDRESS = "inproc://zeromq.zap.01"
NAME = re.compile(r"(coordinator|server\d{1,5}|worker\d{1,5}|operator\d{0,5})\Z")
MAY_SEND: dict[tuple[str, str], tuple[type, ...]] = {  # (sender's role, ours)
    ("worker", "coordinator"): (
        m.Hello, m.Beat, m.Offer, m.Report, m.RunState, m.Publish, m.Failed, m.Bye,
    ),
    ("server", "coordinator"): (m.Hello, m.Beat, m.Norms, m.Saved, m.Failed, m.Bye),
    ("operator", "coordinator"): (m.Query,),
    ("worker", "server"): (m.Initial, m.Push, m.Head, m.Pull),
    ("coordinator", "worker"): (
        m.Welcome, m.Wanted, m.StepDone, m.RunState, m.Published, m.Refused, m.Answer,
    ),
    ("coordinator", "server"): (m.Welcome, m.Wanted, m.Norm, m.Counted, m.Refused, m.Answer),
    ("server", "worker"): (m.Ack, m.Weights, m.Stale, m.Refused),
    ("coordinator", "operator"): (m.Answer, m.Refused),
}  # fmt: skip
MAX_BUNDLE = 16 << 20  # bytes


class KeyProblem(MinidlError, ValueError):
    """A key, a bundle or the check of keys is not what it must be."""


@dataclass(frozen=True)
class KeyPair:
    """The two halves of one identity, in Z85: 40 characters each."""

    public: str
    secret: str = field(repr=False)  # never in a log or a traceback

    @staticmethod
    def new() -> KeyPair:
        public, secret = zmq.curve_keypair()
        return KeyPair(public.decode(), secret.decode())


def to_hex(key: str) -> str:
    """A public key in 64 digits, which no shell or address misunderstands, as Z85 would be.

    >>> from minidl_dist.keys import KeyPair, from_hex, to_hex
    >>> key = KeyPair.new().public
    >>> len(to_hex(key)), from_hex("example", to_hex(key)) == key
    (64, True)
    """
    return z85.decode(key.encode()).hex()


def from_hex(op: str, text: str) -> str:
    """The key that to_hex wrote.

    Raises:
        KeyProblem: it is none.
    """
    try:
        return check_key(op, z85.encode(bytes.fromhex(text)).decode())
    except ValueError:
        raise KeyProblem(op, "a public key has 64 hexadecimal digits", {"key": text}) from None


def role_of(name: str) -> str:
    """ "worker" of "worker3".

    Raises:
        KeyProblem: it is no name of a process.
    """
    if not isinstance(name, str) or not NAME.match(name):
        raise KeyProblem(
            "role_of", "a name is coordinator, or server, worker, operator and a number",
            {"name": name},
        )  # fmt: skip
    return name.rstrip("0123456789")


def check_key(op: str, key: Any, is_secret: bool = False) -> str:
    """A key as text.

    Raises:
        KeyProblem: it is no key in Z85. What a secret one was is not said: errors are logged.
    """
    try:
        if len(key) == 40 and len(z85.decode(key.encode())) == 32:
            return key
    except (AttributeError, TypeError, ValueError, KeyError, ArithmeticError):
        pass
    except Exception:  # noqa: BLE001 - struct.error and whatever else the decoder meets
        pass
    received = {"secret key": "(not shown)"} if is_secret else {"key": key}
    raise KeyProblem(op, "a CURVE key is 40 characters of Z85", received)


class AllowList:
    """The public keys that may connect, and the name of each one's owner. Roles come with names.

    >>> from minidl_dist.keys import AllowList, KeyPair
    >>> pair, allowed = KeyPair.new(), AllowList()
    >>> allowed.allow("worker0", pair.public)
    >>> allowed.owner(pair.public)
    'worker0'
    >>> allowed.revoke("worker0"); allowed.owner(pair.public)
    """

    def __init__(self, names: dict[str, str] | None = None):
        self.by_key: dict[str, str] = {}
        self.revoked: dict[str, str] = {}  # so that an error can say why
        for name, key in (names or {}).items():
            self.allow(name, key)

    def allow(self, name: str, key: str) -> None:
        """Let a key in as `name`; an older key of that name is revoked."""
        role_of(name)
        if self.by_key.get(check_key("allow", key)) == name:
            return
        self.revoke(name)
        self.revoked.pop(key, None)
        self.by_key[key] = name

    def revoke(self, name: str) -> None:
        for key in [key for key, owner in self.by_key.items() if owner == name]:
            self.revoked[key] = self.by_key.pop(key)

    def owner(self, key: str) -> str | None:
        """Whose key it is; None if nobody's (any more)."""
        return self.by_key.get(key)

    def as_dict(self) -> dict[str, str]:
        return {name: key for key, name in self.by_key.items()}


@dataclass
class Bundle:
    """All that a process must know before it can talk.

    Attributes:
        name: of the process, which says its role.
        pair: its own keys.
        pinned: name -> public key of those it connects to (the coordinator; the keys of servers
            come from the coordinator).
        allowed: who may connect to it.
    """

    name: str
    pair: KeyPair
    pinned: dict[str, str] = field(default_factory=dict)
    allowed: AllowList = field(default_factory=AllowList)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "public": self.pair.public,
            "secret": self.pair.secret,
            "pinned": self.pinned,
            "allowed": self.allowed.as_dict(),
        }

    @staticmethod
    def from_json(content: Any) -> Bundle:
        """The bundle of a dict.

        Raises:
            KeyProblem: something is missing or no key.
        """
        keys = {"name", "public", "secret", "pinned", "allowed"}
        if not isinstance(content, dict) or set(content) != keys:
            raise KeyProblem("bundle", f"a bundle of keys has the entries {', '.join(keys)}")
        role_of(content["name"])
        for part in ("pinned", "allowed"):
            if not isinstance(content[part], dict):
                raise KeyProblem("bundle", f"{part} maps names to keys")
        for name, key in content["pinned"].items():
            role_of(name)
            check_key("bundle", key)
        public, secret = check_key("bundle", content["public"]), content["secret"]
        pair = KeyPair(public, check_key("bundle", secret, is_secret=True))
        return Bundle(content["name"], pair, content["pinned"], AllowList(content["allowed"]))


def write_bundle(bundle: Bundle, file: str | Path) -> None:
    """Write a bundle to a new file that its owner alone can read.

    Raises:
        ArgumentError: the file is there already.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ArgumentError(
            "write_bundle", "keys are never written over", {"file": str(file)}, "delete it first"
        ) from None
    with os.fdopen(descriptor, "w") as stream:
        stream.write(json.dumps(bundle.to_json()) + "\n")


def read_bundle(source: str | Path | IO[str]) -> Bundle:
    """Read a bundle from a file, or one line of a stream such as standard input.

    Raises:
        KeyProblem: the file can be read by others, or there is no bundle in it.
    """
    if isinstance(source, str | Path):
        with open(source) as stream:
            found = os.fstat(stream.fileno())
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise KeyProblem(
                    "read_bundle", "a file of keys belongs to its reader and has mode 0600",
                    {"file": str(source), "mode": oct(stat.S_IMODE(found.st_mode))},
                    f"chmod 600 {source}; if others may have read it, make new keys",
                )  # fmt: skip
            line = stream.readline(MAX_BUNDLE)
    else:
        line = source.readline(MAX_BUNDLE)
    try:
        content = json.loads(line)
    except ValueError:
        raise KeyProblem("read_bundle", "the keys are one line of JSON") from None
    return Bundle.from_json(content)


# --- sockets ------------------------------------------------------------------------------------


def listen_with(socket: zmq.Socket, pair: KeyPair) -> None:
    """Make a socket accept only clients that the ZAP handler knows; before bind."""
    socket.zap_domain = DOMAIN
    socket.curve_publickey, socket.curve_secretkey = pair.public.encode(), pair.secret.encode()
    socket.curve_server = True


def connect_with(socket: zmq.Socket, pair: KeyPair, server_key: str) -> None:
    """Make a socket talk only to the owner of server_key; before connect."""
    socket.curve_publickey, socket.curve_secretkey = pair.public.encode(), pair.secret.encode()
    socket.curve_serverkey = check_key("connect", server_key).encode()


class ZapHandler:
    """Answers libzmq's question whether a key may connect. Bind the socket that asks afterwards.

    The node polls `socket` and calls answer(). An error in it is the node's error and ends it.
    """

    def __init__(self, context: zmq.Context, allowed: AllowList):
        self.allowed = allowed
        self.accepted = self.denied = 0
        self.socket = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(ZAP_ADDRESS)

    def answer(self) -> None:
        """Answer the questions that are there."""
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            self.socket.send_multipart(self.verdict(frames))

    def verdict(self, frames: list[bytes]) -> list[bytes]:
        """The answer to one question; the frames are those of ZAP 1.0 behind a routing id."""
        envelope, rest = frames[:2], frames[2:]
        version, request = (*rest[:2], b"", b"")[:2]
        key = None
        if version == b"1.0" and len(rest) == 7 and rest[2] == DOMAIN and rest[5] == b"CURVE":
            key = z85.encode(rest[6]).decode() if len(rest[6]) == 32 else None
        if key is not None and self.allowed.owner(key) is not None:
            self.accepted += 1
            return [*envelope, b"1.0", request, b"200", b"OK", key.encode(), b""]
        self.denied += 1
        return [*envelope, b"1.0", request, b"400", b"this key is not allowed", b"", b""]

    def close(self) -> None:
        self.socket.close()


def prove_closed(handler: ZapHandler, address: str, public: str, seconds: float = 10.0) -> None:
    """Knock at our own door with a key that nobody has: it must be denied.

    Args:
        handler: of the listening socket.
        address: where it listens.
        public: its public key.
        seconds: how long the check may take.

    Raises:
        KeyProblem: the stranger was let in, or no verdict came.
    """
    context = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.linger = 0
    connect_with(stranger, KeyPair.new(), public)
    monitor = stranger.get_monitor_socket()
    found = None
    try:
        stranger.connect(reachable(address))
        poller = zmq.Poller()
        poller.register(handler.socket, zmq.POLLIN)
        poller.register(monitor, zmq.POLLIN)
        end = time.monotonic() + seconds
        while found is None and (left := end - time.monotonic()) > 0:
            ready = dict(poller.poll(round(left * 1000)))
            if handler.socket in ready:
                handler.answer()
            if monitor in ready:
                event = zmq.Event(recv_monitor_message(monitor)["event"])
                if event & (zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.HANDSHAKE_FAILED_AUTH):
                    found = event
    finally:
        stranger.disable_monitor()
        monitor.close(linger=0)
        stranger.close()
        context.term()
    if found == zmq.Event.HANDSHAKE_SUCCEEDED:
        raise KeyProblem(
            "listen", "a stranger's key was accepted: this port is open to everybody",
            {"address": address}, "nothing was announced; no message was taken",
        )  # fmt: skip
    if found is None:
        raise KeyProblem(
            "listen", f"no verdict about a stranger's key within {seconds:g} s",
            {"address": address},
        )  # fmt: skip


def reachable(address: str) -> str:
    """The address as a client on this machine writes it."""
    return address.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:")
