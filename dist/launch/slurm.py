"""The engine for Slurm: the launcher runs as a batch script, and starts the others by srun.

    minidl dist submit JOB --engine slurm
        sbatch FOLDER/slurm.sh                                   waits until there are machines
            python -m minidl_dist.run FOLDER                     on the first of them: the launcher
                python -m minidl_dist.member                     coordinator, on the same machine
                srun --overlap -w NODE python -m minidl_dist.member         each server and worker

srun carries stdin, by which a process gets its instructions and keys, and stdout, which comes back.
The folder of the job, its code and minidl are in the same places on all machines, as they are where
a cluster shares its disks. A worker is a task in Slurm's eyes and gets its cores; servers take
little, and share those of the workers.

`scancel` sends SIGTERM to all processes at once, and SIGKILL half a minute later. All but launcher
and coordinator are deaf to the first, so that the job can save a checkpoint meanwhile. A SIGTERM to
srun ends them nevertheless.

launch/sbatch.py is what others do with such a job, outside of its allocation.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from contextlib import nullcontext

from minidl.errors import ArgumentError
from minidl_dist.launch.local import Local, environment, tcp_address
from minidl_dist.launch.sbatch import ask
from minidl_dist.launch.spec import WORKER
from minidl_dist.launch.ssh import LOST, Host
from minidl_dist.messages import COORDINATOR

DEAF = ("sh", "-c", 'trap "" TERM; exec "$@"', "sh")  # to SIGTERM
SIGNALLED = 128  # srun's exit code when a signal ended the process: this, and its number


class Slurm:
    """Processes on the machines of an allocation.

    Args:
        tasks: the machine of each task; workers and servers take turns over them.
        listen: interface on which processes listen, instead of their machine's address.
    """

    is_secure = True
    place = nullcontext

    def __init__(self, tasks: list[Host], listen: str = ""):
        self.tasks, self.listen = tasks, listen
        self.here = Local()

    @staticmethod
    def of_allocation(listen: str = "") -> Slurm:
        """The engine of the allocation in which this process runs.

        Raises:
            ArgumentError: it runs in none.
        """
        nodes = os.environ.get("SLURM_JOB_NODELIST")
        if nodes is None:
            raise ArgumentError(
                "dist", "the launcher of this job runs in an allocation of Slurm",
                {"SLURM_JOB_NODELIST": None}, "minidl dist submit --engine slurm, or resume",
            )  # fmt: skip
        shown = ask("scontrol", "show", "nodes", "--oneliner", nodes)
        counts = os.environ.get("SLURM_TASKS_PER_NODE", "1")
        return Slurm(tasks_of(shown, counts), listen)

    def host_of(self, name: str) -> Host:
        if name == COORDINATOR:  # where the launcher is: the first machine
            return self.tasks[0]
        return self.tasks[int(re.sub(r"\D", "", name)) % len(self.tasks)]

    def address(self, name: str, life: int) -> str:
        return tcp_address(self.listen or self.host_of(name).address, name)

    async def start(self, name: str, role: str, threads: int) -> asyncio.subprocess.Process:
        if name == COORDINATOR:
            return await self.here.start(name, role, threads)
        cores = threads if role == WORKER else 1
        return await asyncio.create_subprocess_exec(
            "srun", "--overlap", "--nodes=1", "--ntasks=1", f"--cpus-per-task={cores}",
            f"--nodelist={self.host_of(name).name}", f"--job-name={name}", "--mpi=none", "--quiet",
            *DEAF, sys.executable, "-m", "minidl_dist.member",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | environment(role, threads) | {"SLURM_EXIT_ERROR": str(LOST)},
            start_new_session=True,
        )  # fmt: skip

    def was_lost(self, code: int) -> bool:
        """Whether a process did not end by itself: srun says so, or it was srun that died."""
        return code < 0 or code == LOST or SIGNALLED < code <= SIGNALLED + signal.NSIG


def tasks_of(shown: str, counts: str) -> list[Host]:
    """The machine of each task.

    Args:
        shown: what `scontrol show nodes --oneliner` prints.
        counts: SLURM_TASKS_PER_NODE.

    >>> nodes = "NodeName=a NodeAddr=10.0.0.1 Port=1\\nNodeName=b NodeAddr=10.0.0.2 Port=1"
    >>> [host.name for host in tasks_of(nodes, "2,1")], len(tasks_of(nodes, "2(x2)"))
    (['a', 'a', 'b'], 4)
    """
    numbers: list[int] = []
    for word in counts.split(","):
        count, _, times = word.rstrip(")").partition("(x")
        numbers += [int(count)] * int(times or 1)
    tasks: list[Host] = []
    for line, count in zip(shown.strip().splitlines(), numbers):
        found = dict(re.findall(r"(NodeName|NodeAddr)=(\S+)", line))
        address = socket.gethostbyname(found["NodeAddr"])
        tasks += [Host(found["NodeName"], address)] * count
    return tasks
