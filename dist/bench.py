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
import re
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from minidl.errors import ArgumentError
from minidl_dist.bare import BareClient, RawClient, serve_bare, serve_raw
from minidl_dist.other_process import read_told, serve_node, started
from minidl_dist.transfers import CHUNK, Holder, NodeClient

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
    with started("minidl_dist.bench", way, folder, chunks=chunks) as server:
        if way == "zmq alone":
            one: Any = BareClient(server.address, chunks)
        elif way.startswith("raw"):
            one = RawClient(way, server.address, chunks)
        else:
            one = NodeClient(server, chunks)
        yield one
        one.close()


def serve() -> None:
    """The server's process."""
    told = read_told()
    way, chunks = told["way"], told["chunks"]
    if way.startswith("raw"):
        serve_raw(way, Path(told["folder"]), chunks)
    elif way == "zmq alone":
        serve_bare(chunks)
    else:
        serve_node(Holder(chunks), told)


if __name__ == "__main__":
    serve()
