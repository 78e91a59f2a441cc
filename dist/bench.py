"""What the wire costs on this machine: `minidl dist bench [--size 250MB]`.

Every way carries the same work: a client pushes chunks of 1 MiB, the server takes a step of SGD
with each, the client pulls the new chunks; eight are in flight. Values go with a checksum, which is
made by who sends them and compared by who takes them. In turn, the same by nodes (as in a job) and
by plain sockets, whose headers are numbers in a fixed place that nobody checks:

    tcp       ZeroMQ over loopback, without keys     beside raw TCP
    zmq alone the same sockets without a node        beside raw TCP
    curve     tcp, encrypted                         beside raw TCP
    ipc       ZeroMQ over a Unix socket              beside a raw Unix socket

Each round measures all ways one after the other, so that a busy moment of the machine meets them
all; the ratio of a round is that of its own two times, and medians are of rounds.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import zmq

from minidl.errors import ArgumentError
from minidl.kernels.memory import keep_freed_memory
from minidl_dist import messages as m
from minidl_dist.checksum import checksum
from minidl_dist.keys import AllowList, Bundle, KeyPair
from minidl_dist.links import ipc_address
from minidl_dist.node import Node

CHUNK = 1 << 18  # elements of float32: 1 MiB
WINDOW = m.WINDOW
RATE = np.float32(0.01)
SMALL = 8  # elements; with a raw header of 16 bytes and an answer of 48, 64 bytes both ways
RAW_HEADER = struct.Struct("<iiq")  # what, chunk, checksum
PUSH, PULL = 0, 1
WAYS = ("raw tcp", "tcp", "zmq alone", "curve", "raw unix", "ipc")
UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def parse_size(text: str) -> int:
    """Bytes of "250MB".

    Raises:
        ArgumentError: it is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([kmg]?b)", text.strip().lower())
    size = round(float(match[1]) * UNITS[match[2]]) if match else 0
    if size < 1:
        raise ArgumentError(
            "bench", "a size is a number and a unit: B, kB, MB or GB", {"size": text}, "250MB"
        )
    return size


def report(size: int, found: dict[str, dict[str, float]]) -> str:
    """The figures as text."""
    lines = [f"{'':9}{'push + pull':>14}{'of raw':>9}{'64 bytes, p50':>16}{'of raw':>9}"]
    for way, one in found.items():
        rate = f"{2 * size / one['seconds'] / 1e6:,.0f} MB/s"
        small = f"{one['p50'] * 1e6:.0f} us"
        lines.append(f"{way:9}{rate:>14}{one['ratio']:>9.0%}{small:>16}{one['p50 ratio']:>8.1f}x")
    return "\n".join(lines)


def bench(
    size: int = 250_000_000, rounds: int = 5, pings: int = 2000, ways: Sequence[str] = WAYS
) -> dict[str, dict[str, float]]:
    """Measure some ways.

    Args:
        size: bytes of the model that is pushed and pulled.
        rounds: how often; results are medians.
        pings: small requests, one after the other, in each round.
        ways: of WAYS; the raw socket of each must be among them.

    Returns:
        way -> {"seconds", "p50", "ratio", "p50 ratio"}: seconds of a push and pull, and of a small
        request; how fast the former is, and how slow the latter, compared with the raw socket.
    """
    chunks = max(1, round(size / (CHUNK * 4)))
    found: dict[str, dict[str, list[float]]] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="minidl-")))
        clients = {way: stack.enter_context(client(way, chunks, folder)) for way in ways}
        for number in range(rounds + 1):
            for way, one in clients.items():
                seconds, p50 = one.transfer(), one.ping(pings)
                if number:  # the first is for warming up
                    entry = found.setdefault(way, {"seconds": [], "p50": []})
                    entry["seconds"].append(seconds)
                    entry["p50"].append(p50)
    return {way: summary(way, found) for way in found}


def summary(way: str, found: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    mine = found[way]
    raw = found["raw unix" if way in ("ipc", "raw unix") else "raw tcp"]
    return {
        "seconds": statistics.median(mine["seconds"]),
        "p50": statistics.median(mine["p50"]),
        "ratio": statistics.median(b / a for a, b in zip(mine["seconds"], raw["seconds"])),
        "p50 ratio": statistics.median(a / b for a, b in zip(mine["p50"], raw["p50"])),
    }


@contextlib.contextmanager
def client(way: str, chunks: int, folder: Path) -> Iterator[Any]:
    """A client of a server process of its own."""
    told: dict[str, Any] = {"way": way, "chunks": chunks, "folder": str(folder)}
    pair, mine = KeyPair.new(), KeyPair.new()
    if way == "curve":
        allowed = AllowList({"worker0": mine.public})
        told["bundle"] = Bundle("server0", pair, {}, allowed).to_json()
    server = subprocess.Popen(
        [sys.executable, "-m", "minidl_dist.bench"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(told) + "\n")
        server.stdin.flush()
        address = server.stdout.readline().strip()
        if way == "zmq alone":
            one: Any = BareClient(address, chunks)
        elif way.startswith("raw"):
            one = RawClient(way, address, chunks)
        else:
            one = NodeClient(way, address, chunks, mine, pair.public)
        yield one
        one.close()
    finally:
        server.kill()
        server.wait()


def serve() -> None:
    """The server's process; it ends when it is killed."""
    told = json.loads(sys.stdin.readline())
    way, folder = told["way"], Path(told["folder"])
    if way.startswith("raw"):
        serve_raw(way, folder, told["chunks"])
        return
    if way == "zmq alone":
        serve_bare(told["chunks"])
        return
    bundle = Bundle.from_json(told["bundle"]) if "bundle" in told else None
    node = Node(Holder(told["chunks"]), "server0", bundle, insecure=bundle is None)
    address = ipc_address(folder / "s", "server0") if way == "ipc" else "tcp://127.0.0.1:*"
    print(node.listen(address), flush=True)
    node.run()


def check(values: np.ndarray, crc: int) -> None:
    """What server.py and worker.py do with values that they take."""
    if checksum(values) != crc:
        raise ValueError("values have changed on their way")


# --- by nodes -----------------------------------------------------------------------------------


def plan_of(chunks: int) -> Any:
    sizes = [CHUNK] * chunks + [SMALL]
    return SimpleNamespace(chunks=[SimpleNamespace(dtype="float32", size=size) for size in sizes])


class Holder:
    """A server that takes a step of SGD with every push."""

    def __init__(self, chunks: int):
        self.plan = plan_of(chunks)
        self.values = [np.ones(chunk.size, np.float32) for chunk in self.plan.chunks]
        self.crcs = [checksum(values) for values in self.values]

    def handle(self, event: Any, now: float) -> list:
        if not isinstance(event, m.Received):
            return []
        message = event.message
        if isinstance(message, m.Push):
            step = message.values
            check(step, message.crc)
            step *= -RATE
            step += self.values[message.chunk]
            self.values[message.chunk] = step
            self.crcs[message.chunk] = checksum(step)
            return [m.Send(event.sender, m.Ack(1, message.step, message.slot, message.chunk))]
        number = message.chunk
        values = self.values[number]
        return [
            m.Send(event.sender, m.Weights(1, message.version, number, self.crcs[number], values))
        ]


class Transfers:
    """A worker that pushes all chunks, then pulls them, or sends small requests."""

    def __init__(self, chunks: int):
        self.plan = plan_of(chunks)
        self.gradients = [np.full(CHUNK, 0.5, np.float32) for _ in range(chunks)]
        self.small = np.zeros(SMALL, np.float32)
        self.waiting: list[Any] = []
        self.times: list[float] = []
        self.flying = 0

    def handle(self, event: Any, now: float) -> list:
        if isinstance(event, m.StopAsked):
            return [m.Exit(0, "")]
        if isinstance(event, list):
            self.waiting, self.flying = event[::-1], 0
            return [effect for _ in range(WINDOW) for effect in self.next()]
        if isinstance(event, int):
            self.times, self.left = [], event
            return self.ping()
        if isinstance(event, m.Received):
            if isinstance(event.message, m.Weights):
                check(event.message.values, event.message.crc)
            if event.message.chunk == len(self.plan.chunks) - 1:
                self.times.append(time.perf_counter() - self.asked)
                return self.ping()
            self.flying -= 1
            return self.next()
        return []

    def next(self) -> list:
        if self.waiting:
            what, chunk = self.waiting.pop()
            self.flying += 1
            if what == PULL:
                return [m.Send("server0", m.Pull(1, 0, chunk))]
            values = self.gradients[chunk]
            return [m.Send("server0", m.Push(1, 0, 0, chunk, checksum(values), [], values))]
        return [Done()] if not self.flying else []

    def ping(self) -> list:
        if not self.left:
            return [Done()]
        self.left -= 1
        self.asked = time.perf_counter()
        chunk = len(self.plan.chunks) - 1
        return [m.Send("server0", m.Pull(1, 0, chunk))]


class Done:
    """An effect: what was asked for has been done."""


class NodeClient:
    """Runs Transfers in a node, turn by turn."""

    def __init__(self, way: str, address: str, chunks: int, pair: KeyPair, server_key: str):
        self.machine = Transfers(chunks)
        bundle = Bundle("worker0", pair) if way == "curve" else None
        self.done = False
        self.node = Node(
            self.machine, "worker0", bundle, insecure=bundle is None, to_client=self.finish
        )
        self.node.connect("server0", address, server_key if way == "curve" else "")
        self.chunks = chunks

    def finish(self, _: Any) -> None:
        self.done = True

    def until_done(self, event: Any) -> float:
        self.done = False
        start = time.perf_counter()
        self.node.give(event)
        while not self.done:
            self.node.turn()
        return time.perf_counter() - start

    def transfer(self) -> float:
        """Seconds of a push and pull of everything."""
        return sum(
            self.until_done([(what, chunk) for chunk in range(self.chunks)])
            for what in (PUSH, PULL)
        )

    def ping(self, times: int) -> float:
        """Median seconds of a small request."""
        self.until_done(times)
        return statistics.median(self.machine.times)

    def close(self) -> None:
        self.node.end(m.Exit(0, ""))
        self.node.close()


# --- by ZeroMQ alone: what no node on it can do better ------------------------------------------


def serve_bare(chunks: int) -> None:
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind("tcp://127.0.0.1:*")
    print(socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"), flush=True)
    holder = Holder(chunks)
    while True:
        identity, header = socket.recv(), socket.recv()
        what, chunk, crc = RAW_HEADER.unpack(header)
        socket.send(identity, zmq.SNDMORE)
        if what == PUSH:
            gradient = np.frombuffer(socket.recv(copy=False), np.float32)
            holder.handle(m.Received("worker0", m.Push(1, 0, 0, chunk, crc, [], gradient)), 0.0)
            socket.send(header)
        else:
            values = holder.values[chunk]
            head = RAW_HEADER.pack(PULL, chunk, holder.crcs[chunk])
            if chunk == chunks:
                socket.send(head + values.tobytes())
            else:
                socket.send(head, zmq.SNDMORE)
                socket.send(values, copy=False)


class BareClient:
    """The same work by sockets of ZeroMQ that nobody polls, and headers that nobody checks."""

    def __init__(self, address: str, chunks: int):
        keep_freed_memory()
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.connect(address)
        self.chunks = chunks
        self.gradient = np.full(CHUNK, 0.5, np.float32)

    def transfer(self) -> float:
        start = time.perf_counter()
        for answer in range(-WINDOW, self.chunks):
            if answer + WINDOW < self.chunks:
                header = RAW_HEADER.pack(PUSH, answer + WINDOW, checksum(self.gradient))
                self.socket.send(header, zmq.SNDMORE)
                self.socket.send(self.gradient, copy=False)
            if answer >= 0:
                self.socket.recv()
        for answer in range(-WINDOW, self.chunks):
            if answer + WINDOW < self.chunks:
                self.socket.send(RAW_HEADER.pack(PULL, answer + WINDOW, 0))
            if answer >= 0:
                crc = RAW_HEADER.unpack(self.socket.recv())[2]
                check(np.frombuffer(self.socket.recv(copy=False), np.float32), crc)
        return time.perf_counter() - start

    def ping(self, times: int) -> float:
        found = []
        for _ in range(times):
            start = time.perf_counter()
            self.socket.send(RAW_HEADER.pack(PULL, self.chunks, 0))
            place = self.socket.recv()
            crc = RAW_HEADER.unpack_from(place)[2]
            check(np.frombuffer(place, np.float32, offset=RAW_HEADER.size), crc)
            found.append(time.perf_counter() - start)
        return statistics.median(found)

    def close(self) -> None:
        self.context.destroy(linger=0)


# --- by raw sockets -----------------------------------------------------------------------------


def serve_raw(way: str, folder: Path, chunks: int) -> None:
    if way == "raw unix":
        path = str(folder / "raw")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        print(path, flush=True)
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        print("%s:%d" % listener.getsockname(), flush=True)  # noqa: UP031
    peer, _ = listener.accept()
    plain(peer)
    values = [np.ones(CHUNK, np.float32) for _ in range(chunks)]
    values.append(np.zeros(SMALL, np.float32))
    crcs = [checksum(one) for one in values]
    header = bytearray(RAW_HEADER.size)
    gradient = np.empty(CHUNK, np.float32)
    while receive(peer, header):
        what, chunk, crc = RAW_HEADER.unpack(header)
        if what == PUSH:
            receive(peer, gradient.view(np.uint8).data)
            check(gradient, crc)
            gradient *= -RATE
            values[chunk] += gradient
            crcs[chunk] = checksum(values[chunk])
            peer.sendall(header)
        else:
            head = RAW_HEADER.pack(PULL, chunk, crcs[chunk])
            if chunk == chunks:
                peer.sendall(head + values[chunk].tobytes())
            else:
                peer.sendall(head)
                peer.sendall(values[chunk].view(np.uint8).data)


def plain(one: socket.socket) -> None:
    if one.family == socket.AF_INET:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def receive(one: socket.socket, place: Any) -> bool:
    """Fill `place`; False at the end of the connection."""
    view, got = memoryview(place), 0
    while got < len(view):
        count = one.recv_into(view[got:])
        if not count:
            return False
        got += count
    return True


class RawClient:
    """The same work by bare sockets."""

    def __init__(self, way: str, address: str, chunks: int):
        if way == "raw unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address)
        else:
            host, port = address.split(":")
            self.socket = socket.create_connection((host, int(port)))
        plain(self.socket)
        self.chunks = chunks
        self.gradients = [np.full(CHUNK, 0.5, np.float32) for _ in range(chunks)]
        self.weights = [np.zeros(CHUNK, np.float32) for _ in range(chunks)]
        self.header = bytearray(RAW_HEADER.size)

    def transfer(self) -> float:
        start = time.perf_counter()
        for answer in range(-WINDOW, self.chunks):
            ask = answer + WINDOW
            if ask < self.chunks:
                crc = checksum(self.gradients[ask])
                self.socket.sendall(RAW_HEADER.pack(PUSH, ask, crc))
                self.socket.sendall(self.gradients[ask].view(np.uint8).data)
            if answer >= 0:
                receive(self.socket, self.header)
        for answer in range(-WINDOW, self.chunks):
            if answer + WINDOW < self.chunks:
                self.socket.sendall(RAW_HEADER.pack(PULL, answer + WINDOW, 0))
            if answer >= 0:
                receive(self.socket, self.header)
                receive(self.socket, self.weights[answer].view(np.uint8).data)
                check(self.weights[answer], RAW_HEADER.unpack(self.header)[2])
        return time.perf_counter() - start

    def ping(self, times: int) -> float:
        found, place = [], bytearray(RAW_HEADER.size + 4 * SMALL)
        for _ in range(times):
            start = time.perf_counter()
            self.socket.sendall(RAW_HEADER.pack(PULL, self.chunks, 0))
            receive(self.socket, place)
            crc = RAW_HEADER.unpack_from(place)[2]
            check(np.frombuffer(place, np.float32, offset=RAW_HEADER.size), crc)
            found.append(time.perf_counter() - start)
        return statistics.median(found)

    def close(self) -> None:
        self.socket.close()


if __name__ == "__main__":
    serve()
