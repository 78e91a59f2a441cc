"""The engine for Ray: the launcher starts a relay for each process, and that an actor on a node.

    minidl dist submit JOB --engine ray
        python -m minidl_dist.run FOLDER                 on this machine, a node of the cluster
            python -m minidl_dist.member                 coordinator, on this machine, too
            python -m minidl_dist.launch.ray NAME CORES  a relay for each server and worker
                actor on a node that has the cores: python -m minidl_dist.member

A relay is to the launcher what ssh is: it carries stdin, by which a process gets its instructions
and keys, and stdout and stderr, which come back; it ends with the exit code of the process. When it
is killed, Ray ends its actor, and the process loses its stdin. Ray starts nothing again by itself:
the launcher does, and counts. Ray's own connections are as secret as the cluster is (RAY_USE_TLS);
gradients do not pass through them. minidl and the files of the job are in the same places on all
nodes. Each relay is a driver in Ray's words, of about 100 MB and some seconds to start.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from typing import Any

from minidl.errors import ArgumentError
from minidl_dist.launch.local import Local, environment, tcp_address
from minidl_dist.launch.spec import WORKER
from minidl_dist.launch.ssh import LOST
from minidl_dist.messages import COORDINATOR

NODE = "ray-node"  # in an address: that of the node on which Ray starts the process
PATIENCE = 60.0  # seconds for Ray to find a node; after that, and each time again, it is said


class Ray:
    """Processes on the nodes of a Ray cluster, of which this machine is one.

    Args:
        listen: interface on which processes listen, instead of their node's address.
    """

    is_secure = True
    place = nullcontext

    def __init__(self, listen: str = ""):
        self.listen = listen
        self.here = Local()

    def address(self, name: str, life: int) -> str:
        own = self.listen
        if not own and name == COORDINATOR:
            import ray

            own = ray.util.get_node_ip_address()
        return tcp_address(own or NODE, name)

    async def start(self, name: str, role: str, threads: int) -> asyncio.subprocess.Process:
        if name == COORDINATOR:
            return await self.here.start(name, role, threads)
        cores = threads if role == WORKER else 0  # servers share those of the workers
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "minidl_dist.launch.ray", name, str(cores),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | environment(role, threads),
            start_new_session=True,
        )  # fmt: skip

    def was_lost(self, code: int) -> bool:
        """Whether a process did not end by itself, but by a signal or with its node."""
        return code < 0 or code == LOST


def check_cluster() -> None:
    """Find the cluster of which this machine is a node, in a process of its own: what cannot reach
    Ray's head may be ended by Ray itself.

    Raises:
        ArgumentError: there is none.
    """
    command = [sys.executable, "-m", "minidl_dist.launch.ray"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise ArgumentError(
            "dist", "this machine is no node of a Ray cluster", {"Ray": said[-1] if said else ""},
            "ray start --head makes one of this machine; RAY_ADDRESS names another than the newest",
        )  # fmt: skip


def connect() -> Any:
    """The module ray, connected to the cluster."""
    import ray

    ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
    return ray


# --- on a node ----------------------------------------------------------------------------------


class Starter:
    """The actor: runs a process of a job, and hands on its pipes.

    Args:
        variables: of its environment; none of them is a secret.
        folder: in which it runs.
    """

    def __init__(self, variables: dict[str, str], folder: str):
        self.found: queue.Queue[tuple[int, bytes]] = queue.Queue(1000)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "minidl_dist.member"], cwd=folder, env=os.environ | variables,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        for number, stream in enumerate((self.process.stdout, self.process.stderr), 1):
            threading.Thread(target=self.read, args=(number, stream), daemon=True).start()

    def read(self, number: int, stream: Any) -> None:
        while data := os.read(stream.fileno(), 1 << 16):
            self.found.put((number, data))
        self.found.put((number, b""))

    def write(self, data: bytes, is_first: bool) -> None:
        """To its stdin. The first line says where to listen, which is known here alone."""
        if is_first:
            import ray

            told = json.loads(data)
            here = ray.util.get_node_ip_address()
            told["listen"] = told["listen"] and told["listen"].replace(NODE, here)
            data = json.dumps(told).encode() + b"\n"
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except OSError:
            pass  # it has ended

    def next(self) -> tuple[int, bytes]:
        """What it printed: (1 for stdout, 2 for stderr; b"" at the end)."""
        return self.found.get()

    def wait(self) -> int:
        return self.process.wait()

    def send_signal(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except OSError:
            pass


# --- the relay ----------------------------------------------------------------------------------


def relay(name: str, cores: int) -> int:
    """Run a process on a node; its exit code, LOST if it was killed or its node was lost."""
    ray = connect()
    kept = ("PYTHONUNBUFFERED", *(key for key in os.environ if key.endswith("_NUM_THREADS")))
    variables = {key: os.environ[key] for key in kept}
    remote = ray.remote(num_cpus=cores, max_restarts=0, max_task_retries=0, max_concurrency=4)
    actor = remote(Starter).remote(variables, os.getcwd())
    signal.signal(signal.SIGTERM, lambda number, _: actor.send_signal.remote(number))
    try:
        while not ray.wait([actor.__ray_ready__.remote()], timeout=PATIENCE)[0]:
            print(f"no node of the Ray cluster has {cores} free cores yet", file=sys.stderr)
        threading.Thread(target=pass_on, args=(ray, actor), daemon=True).start()
        ends = 0
        while ends < 2:
            number, data = ray.get(actor.next.remote())
            ends += not data
            while data:
                data = data[os.write(number, data) :]
        code = ray.get(actor.wait.remote())
    except ray.exceptions.RayActorError as error:
        said = str(error).splitlines()[0]
        print(f"{name}: its node was lost: {said}", file=sys.stderr, flush=True)
        return LOST
    return code if code >= 0 else LOST


def pass_on(ray: Any, actor: Any) -> None:
    """Lines of the launcher; when there is none any more, it is gone, and the actor goes too."""
    try:
        for number, line in enumerate(sys.stdin.buffer):
            ray.get(actor.write.remote(line, number == 0))  # one after the other
    except ray.exceptions.RayError:
        return  # relay() says why
    os._exit(LOST)


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(connect() is None)
    os._exit(relay(sys.argv[1], int(sys.argv[2])))  # a thread waits for lines that will not come
