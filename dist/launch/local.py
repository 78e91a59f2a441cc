"""The engine for this machine: how a process is started, where it listens, how many threads it has.

An engine is a few things; launch/supervisor.py does the rest with any of them:

    place      a context manager: a folder for sockets, gone afterwards
    address    where a process listens; a port * is chosen by it, an interface found by it
    start      a process, as asyncio's subprocess, with pipes
    was_lost   whether an exit code says that the process did not end by itself
    is_secure  whether its sockets need keys
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minidl.errors import ArgumentError
from minidl_dist.launch.spec import WORKER
from minidl_dist.links import MAX_IPC
from minidl_dist.messages import COORDINATOR

THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Local:
    """Processes on this machine, with sockets in a folder that only this user may enter.

    Args:
        listen: instead of that folder, an interface or address of this machine, see tcp_address;
            then with keys.
    """

    folder: Path

    def __init__(self, listen: str = ""):
        self.listen, self.is_secure = listen, bool(listen)

    @contextmanager
    def place(self) -> Iterator[Path]:
        """Make the folder of the sockets (rights 0700), and remove it at the end.

        Raises:
            ArgumentError: its path is so long that no socket can be made in it.
        """
        folder = Path(tempfile.mkdtemp(prefix="minidl-"))
        try:
            longest = len(os.fsencode(folder / "coordinator-000"))
            if longest > MAX_IPC:
                raise ArgumentError(
                    "dist", f"paths of sockets may have {MAX_IPC} bytes; this has {longest}",
                    {"folder": str(folder)}, "set TMPDIR to a folder with a shorter path",
                )  # fmt: skip
            self.folder = folder
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def address(self, name: str, incarnation: int) -> str:
        """Where a process listens. The coordinator's address is the same in all its lives."""
        if self.listen:
            return tcp_address(self.listen, name)
        suffix = "" if name == COORDINATOR else f"-{incarnation}"
        return f"ipc://{self.folder}/{name}{suffix}"

    async def start(self, name: str, role: str, threads: int) -> asyncio.subprocess.Process:
        """A process that waits for its instructions on stdin.

        It is the first of a session of its own: Ctrl-C on the terminal reaches the launcher alone,
        which then ends the job in order.
        """
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "minidl_dist.member",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | environment(role, threads),
            start_new_session=True,
        )  # fmt: skip

    def was_lost(self, code: int) -> bool:
        """Whether a process did not end by itself, but by a signal."""
        return code < 0


def tcp_address(place: str, name: str) -> str:
    """Where a process listens: "eth0", "10.0.0.1", "10.0.0.1:5555" or "[fe80::1]:5555".

    A port is the coordinator's, which the others must find; theirs are any that are free. ZeroMQ
    looks up interfaces where it listens, so each machine takes its own address.

    >>> tcp_address("eth0", "server0"), tcp_address("eth0:5555", "coordinator")
    ('tcp://eth0:*', 'tcp://eth0:5555')

    Raises:
        ArgumentError: nobody can connect to such an address.
    """
    host, colon, port = place.rpartition(":")
    if not (colon and port.isdigit() and (":" not in host or host.endswith("]"))):
        host, port = (f"[{place}]" if ":" in place and place[:1] != "[" else place), "*"
    if host in ("", "*", "0.0.0.0", "[::]") or "/" in host or " " in host:
        raise ArgumentError(
            "dist", "an interface or address is one that others can connect to",
            {"--address": place}, "for example eth0, 10.0.0.1, or with a port 10.0.0.1:5555",
        )  # fmt: skip
    return f"tcp://{host}:{port if name == COORDINATOR else '*'}"


def environment(role: str, threads: int) -> dict[str, str]:
    """How many threads a process may use: a worker's are the job's, the others compute little."""
    settings = dict.fromkeys(THREADS, str(threads if role == WORKER else 1))
    return settings | {"PYTHONUNBUFFERED": "1"}


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
