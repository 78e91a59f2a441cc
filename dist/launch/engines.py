"""Which engine starts the processes of a job, and whether it can be had here."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
from typing import Any

from minidl.errors import ArgumentError, nearest
from minidl_dist.launch.local import Local, tcp_address
from minidl_dist.launch.ray import Ray
from minidl_dist.launch.sbatch import SBATCH
from minidl_dist.launch.slurm import Slurm
from minidl_dist.launch.spec import Launch
from minidl_dist.launch.ssh import SSH, Ssh, parse_hosts
from minidl_dist.messages import COORDINATOR

ENGINES = ("local", "ssh", "slurm", "ray")


def check_engine(launch: Launch) -> None:
    """Refuse an engine that is not there, or lacks what it needs, before anything is made.

    Raises:
        ArgumentError
    """
    engine = launch.engine
    if engine not in ENGINES:
        raise ArgumentError(
            "dist", "there is no such engine", {"--engine": engine}, nearest(engine, ENGINES)
        )
    for name, only in (("hosts", "ssh"), ("sbatch", "slurm")):
        value = getattr(launch, name)
        if value and engine != only:
            raise ArgumentError(
                "dist", f"--{name} is for --engine {only}", {"--engine": engine, f"--{name}": value}
            )
    if engine == "ssh":
        parse_hosts(launch.hosts)
    if engine == "slurm" and shutil.which(SBATCH) is None:
        raise ArgumentError(
            "dist", f"Slurm is not on this machine: no {SBATCH}", {"--engine": engine},
            "submit from a machine of the cluster, its login node for example",
        )  # fmt: skip
    if engine == "ray" and importlib.util.find_spec("ray") is None:
        raise ArgumentError(
            "dist", "Ray is not installed", {"--engine": engine}, "pip install 'minidl[ray]'"
        )
    if launch.operator and engine == "local" and not launch.address:
        raise ArgumentError(
            "dist", "an operator comes from elsewhere, and this job is reached from here alone", {},
            "--address IF, the interface on which it shall listen",
        )  # fmt: skip
    if launch.address:
        tcp_address(launch.address, COORDINATOR)


def engine_of(launch: Launch) -> Any:
    """What starts the processes of a job.

    Raises:
        ArgumentError: it cannot be had here (any more).
    """
    check_engine(launch)
    match launch.engine:
        case "ssh":
            shell = tuple(shlex.split(launch.shell)) or SSH
            return Ssh(parse_hosts(launch.hosts), shell, launch.address)
        case "slurm":
            return Slurm.of_allocation(launch.address)
        case "ray":
            return Ray(launch.address)
    return Local(launch.address)
