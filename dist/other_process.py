"""A server in a process of its own, which bench.py and calibrate.py measure."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minidl.errors import MinidlError
from minidl_dist.keys import AllowList, Bundle, KeyPair
from minidl_dist.links import ipc_address
from minidl_dist.node import Node

CURVE, IPC = "curve", "ipc"  # ways that need keys, or a folder


@dataclass(frozen=True)
class Server:
    """What a client must know of it.

    Attributes:
        address: where it listens.
        pid: of its process.
        client: keys for the client's node; None where the way has none.
        key: the server's public key, "" for none.
    """

    address: str
    pid: int
    client: Bundle | None
    key: str


@contextlib.contextmanager
def started(module: str, way: str, folder: Path, **more: Any) -> Iterator[Server]:
    """Start a module that listens; it ends with the context, or with this process.

    Args:
        module: its main part calls read_told, and prints where it listens.
        way: "curve", "ipc" or another that the module knows.
        folder: for its sockets.
        more: what else it is told.

    Raises:
        MinidlError: it ended before it listened.
    """
    told = {"way": way, "folder": str(folder), **more}
    pair, mine = KeyPair.new(), KeyPair.new()
    if way == CURVE:
        allowed = AllowList({"worker0": mine.public})
        told["bundle"] = Bundle("server0", pair, {}, allowed).to_json()
    process = subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.flush()
        address = process.stdout.readline().strip()
        if not address:
            raise MinidlError(
                "dist", "the server that is to be measured did not start",
                {"module": module, "way": way, "exit code": process.wait()},
            )  # fmt: skip
        is_secure = way == CURVE
        client = Bundle("worker0", mine) if is_secure else None
        yield Server(address, process.pid, client, pair.public if is_secure else "")
    finally:
        process.kill()
        with contextlib.suppress(BrokenPipeError):  # of what it did not read
            process.communicate()


def read_told() -> dict[str, Any]:
    """In the server's process: what it is told. It ends when whoever started it is gone."""
    told = json.loads(sys.stdin.readline())

    def end_with_parent() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    return told


def serve_node(machine: Any, told: dict[str, Any]) -> None:
    """Run a machine in a node that listens, and say where."""
    bundle = Bundle.from_json(told["bundle"]) if "bundle" in told else None
    node = Node(machine, "server0", bundle, insecure=bundle is None)
    is_ipc = told["way"] == IPC
    folder = Path(told["folder"]) / "s"
    print(
        node.listen(ipc_address(folder, "server0") if is_ipc else "tcp://127.0.0.1:*"), flush=True
    )
    node.run()
