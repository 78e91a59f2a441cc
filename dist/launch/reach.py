"""Whether machines reach each other: on each one a program listens, and knocks at all the others.

`minidl dist test JOB --hosts A,B` starts it by ssh, as a job would start its processes. What can
fail is found before a job: a machine without minidl, a name that only some know, an address that
belongs to another network, a firewall between two of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import signal
import socket
import sys
import threading
from typing import Any

from minidl.errors import MinidlError
from minidl_dist.launch.child import exit_of, signal_group
from minidl_dist.launch.ssh import Ssh

STARTS_WITHIN = 30.0  # seconds for ssh, and for Python there
ANSWERS_WITHIN = 3.0  # seconds for a knock
GOODBYE = 5.0  # seconds to end
MODULE = "minidl_dist.launch.reach"


def check_hosts(engine: Ssh) -> None:
    """Every machine reaches every other one at its address, or an error says which does not.

    Raises:
        MinidlError: names each pair, with the cause.
    """
    problems = asyncio.run(problems_between(engine))
    if problems:
        lines = "".join(f"\n  {pair}: {cause}" for pair, cause in problems.items())
        raise MinidlError(
            "dist test", f"not every machine reaches every other one{lines}", {},
            "--hosts NAME=ADDRESS says at which address the others reach a machine; a firewall "
            "between them must let all ports through",
        )  # fmt: skip


async def problems_between(engine: Ssh) -> dict[str, str]:
    """ "a -> b at 10.0.0.2": why not; {} if all is well."""
    hosts, token = list(dict.fromkeys(engine.hosts)), secrets.token_hex(8)
    starts = (engine.run_there(host, MODULE, {"PYTHONUNBUFFERED": "1"}) for host in hosts)
    processes = await asyncio.gather(*starts)
    try:
        tells = [{"address": host.address, "token": token} for host in hosts]
        said = await asyncio.gather(*map(ask, processes, tells))
        problems = {host.name: one["error"] for host, one in zip(hosts, said) if "error" in one}
        if problems:
            return problems
        doors = [[h.name, h.address, one["port"]] for h, one in zip(hosts, said)]
        said = await asyncio.gather(*(ask(process, {"doors": doors}) for process in processes))
        return {
            f"{host.name} -> {to}": cause
            for host, one in zip(hosts, said)
            for to, cause in (one.get("found") or {"all": one.get("error", "")}).items()
            if cause
        }
    finally:
        for process in processes:
            process.stdin.close()
        ends = (asyncio.wait_for(exit_of(process), GOODBYE) for process in processes)
        await asyncio.gather(*ends, return_exceptions=True)
        for process in processes:
            signal_group(process.pid, signal.SIGKILL)
            await exit_of(process)


async def ask(process: asyncio.subprocess.Process, question: dict[str, Any]) -> dict[str, Any]:
    """A machine's answer; {"error"} with what was said there if it has none."""
    try:
        process.stdin.write(json.dumps(question).encode() + b"\n")
        await process.stdin.drain()
        return await asyncio.wait_for(answer_of(process), STARTS_WITHIN)
    except (asyncio.TimeoutError, ConnectionError):
        signal_group(process.pid, signal.SIGKILL)
    said = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
    return {"error": said[-1] if said else f"no answer within {STARTS_WITHIN:g} s"}


async def answer_of(process: asyncio.subprocess.Process) -> dict[str, Any]:
    while line := await process.stdout.readline():
        if line.startswith(b"{"):  # a shell's greeting may come before
            return json.loads(line)
    raise ConnectionError


# --- on a machine -------------------------------------------------------------------------------


def main() -> None:
    told = json.loads(sys.stdin.readline())
    try:
        door = socket.create_server((told["address"], 0))
    except OSError as error:
        return say({"error": f"it has no address {told['address']}: {words_of(error)}"})
    threading.Thread(target=open_to_all, args=(door, told["token"]), daemon=True).start()
    say({"port": door.getsockname()[1]})
    doors = json.loads(sys.stdin.readline() or '{"doors": []}')["doors"]
    say({"found": {f"{name} at {address}": knock(address, port, told["token"])
                   for name, address, port in doors}})  # fmt: skip
    sys.stdin.readline()  # until all others have knocked, too


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def open_to_all(door: socket.socket, token: str) -> None:
    while True:
        guest, _ = door.accept()
        with guest, contextlib.suppress(OSError):  # a guest that hangs up must not close the door
            guest.sendall(token.encode())


def knock(address: str, port: int, token: str) -> str:
    """Why nobody opened; "" if the right one did."""
    try:
        with socket.create_connection((address, port), ANSWERS_WITHIN) as guest:
            heard = b""
            while data := guest.recv(100):
                heard += data
    except OSError as error:
        return words_of(error)
    return "" if heard == token.encode() else "another program answers there"


def words_of(error: OSError) -> str:
    match error:
        case socket.gaierror():
            return "its name is not known"
        case TimeoutError():
            return f"no answer within {ANSWERS_WITHIN:g} s"
        case ConnectionRefusedError():
            return "refused"
    return error.strerror or str(error)


if __name__ == "__main__":
    main()
