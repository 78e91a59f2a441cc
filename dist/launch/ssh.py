"""The engine for several machines: each process is started through ssh, or what stands in for it.

    ssh HOST 'cd DIR && exec env NUMBA_NUM_THREADS=1 ... python -m minidl_dist.member'

ssh carries stdin, by which a process gets its instructions and keys, and closes it when the
launcher is gone; and stdout, which comes back with the names of processes. So a machine needs
nothing but minidl and the files of the job, in the same places as here, and a key for ssh. Every
socket is TCP on the address of its machine, encrypted, and open to the processes of the job alone
(keys.py). What stands in for ssh may be `ip netns exec`: the tests do so.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import sys
from contextlib import nullcontext
from dataclasses import dataclass

from minidl.errors import ArgumentError
from minidl_dist.launch.local import environment, tcp_address

SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")
LOST = 255  # ssh's own exit code: no connection, or a signal on the other side


@dataclass(frozen=True)
class Host:
    """A machine: what ssh calls it, and the address at which the others reach it."""

    name: str
    address: str


def parse_hosts(text: str) -> list[Host]:
    """Hosts of --hosts: "a,b", or "a=10.0.0.1,b=10.0.0.2" where the network to use has its own.

    Raises:
        ArgumentError: one has no address.
    """
    hosts = []
    for word in filter(None, text.split(",")):
        name, _, address = word.partition("=")
        if not address:
            try:
                address = socket.gethostbyname(name.rpartition("@")[2])
            except OSError as error:
                raise ArgumentError(
                    "dist", f"a host has no address that can be found: {error}", {"host": name},
                    f"--hosts {name}=ADDRESS",
                ) from None  # fmt: skip
        hosts.append(Host(name, address))
    if not hosts:
        raise ArgumentError("dist", "--hosts names at least one machine", {"--hosts": text})
    return hosts


class Ssh:
    """Processes on other machines; servers and workers take turns over the hosts.

    Args:
        hosts: the machines; the first also has the coordinator.
        shell: what is put before a host's name and a command.
        listen: interface on which processes listen, instead of their host's address.
        python: the interpreter there.
    """

    is_secure = True
    place = nullcontext  # no folder is needed

    def __init__(
        self,
        hosts: list[Host],
        shell: tuple[str, ...] = SSH,
        listen: str = "",
        python: str = sys.executable,
    ):
        self.hosts, self.shell, self.listen, self.python = hosts, shell, listen, python

    def host_of(self, name: str) -> Host:
        number = int("".join(filter(str.isdigit, name)) or 0)
        return self.hosts[number % len(self.hosts)]

    def address(self, name: str, life: int) -> str:
        return tcp_address(self.listen or self.host_of(name).address, name)

    async def start(self, name: str, role: str, threads: int) -> asyncio.subprocess.Process:
        settings = environment(role, threads)
        return await self.run_there(self.host_of(name), "minidl_dist.member", settings)

    async def run_there(
        self, host: Host, module: str, settings: dict[str, str]
    ) -> asyncio.subprocess.Process:
        """A module of Python on a machine, with pipes."""
        words = [f"{key}={value}" for key, value in settings.items()]
        command = ["exec", "env", *words, self.python, "-m", module]
        there = f"cd {shlex.quote(os.getcwd())} && {shlex.join(command)}"
        is_ssh = os.path.basename(self.shell[0]) == "ssh"  # which gives the line to a shell itself
        line = [there] if is_ssh else ["sh", "-c", there]
        return await asyncio.create_subprocess_exec(
            *self.shell, host.name, *line,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    def was_lost(self, code: int) -> bool:
        """Whether a process did not end by itself: ssh's code says so, or it was ssh that died."""
        return code < 0 or code == LOST
