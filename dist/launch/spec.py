"""What is to run, and the instructions that each process reads from stdin.

These are one line of JSON. It holds the secrets of a process, which therefore stand in no
argument, no variable of the environment and no file. After it the launcher may send further lines,
also JSON:

    {"left": "worker1", "how": "killed by SIGKILL"}   to the coordinator
    {"stop": "interrupted"}                           to the coordinator
    {"allow": {"worker2": KEY}}                       to those who listen, before it starts
    {"revoke": "worker2"}                             to those who listen, when a life is over
    {"finished": true}                                to all others: the coordinator has gone

A process ends when its stdin closes: so none outlives its launcher, even one that is killed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from minidl.errors import ArgumentError
from minidl_dist import compress
from minidl_dist.modes import parse
from minidl_dist.plan import LIMITS, Job

SERVER, WORKER = "server", "worker"  # roles; the coordinator's is its name
ON_NAN = ("stop", "skip")
STUCK, LATE = 3, 5  # exit codes: the coordinator gave it up; it came after the end
MARK = "\x1e"  # begins a line of a process that is for the launcher, not for people
MORE = "+"  # follows MARK where the message goes on in the next such line
SCALE = "scale.json"  # in the folder of a job: how many workers it shall have from now on


@dataclass(frozen=True)
class Launch:
    """What the options of `minidl dist run` decide.

    Args:
        command: what each worker runs: a command of minidl without the word minidl; a script (a
            path that ends in .py) and its arguments; or the job.toml of a job folder.
        servers: processes that hold the weights.
        workers: processes that compute gradients, at the start.
        mode: when a step counts as done: sync, ssp:N, async or backup:K, see modes.py.
        slots: parts of a global batch; by default one for each worker.
        threads: of each worker; by default the cores of this machine divided among the workers.
        checkpoint_every: steps between two checkpoints.
        on_nan: what a gradient that is not finite does: "stop" ends the job with an error that
            names worker, step and tensor; "skip" leaves the step out.
        compress: how gradients are packed on their way to the servers: none, bf16, 1bit or
            topk:SHARE, see compress.py.
        strict: refuse workers whose software or machine differs, instead of saying so.
        restarts: how often one process may be started again, until a life of it was long.
        engine: what starts the processes, see launch/engines.py.
        hosts: machines to start processes on, see launch/ssh.py.
        address: interface or address on which coordinator and servers listen, and perhaps the
            coordinator's port, see launch/local.py; "" for what the engine finds.
        operator: public key of who may look and cancel from elsewhere, see remote.py.
        sbatch: further options of sbatch, see launch/slurm.py.
        shell: what runs a command on one of them, "" for ssh.
        code: where the code of a submitted job is, {"url", "sha256"}; {} for a job folder here.
        data: what the data of a submitted job are, see references.py; {} where it names none.
        store: URL below which results are uploaded; "" for none.
        computing_limit, evaluating_limit: seconds without progress in a slot or in validation,
            after which a worker counts as stuck and is started again.
    """

    command: list[str]
    servers: int = 1
    workers: int = 2
    mode: str = "sync"
    slots: int = 0
    threads: int = 0
    checkpoint_every: int = 100
    on_nan: str = "stop"
    strict: bool = False
    restarts: int = 3
    engine: str = "local"
    hosts: str = ""
    address: str = ""
    operator: str = ""
    sbatch: str = ""
    shell: str = ""
    code: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    store: str = ""
    computing_limit: float = LIMITS["computing"]
    evaluating_limit: float = LIMITS["evaluating"]
    compress: str = "none"

    @property
    def name(self) -> str:
        """A word for it: "lenet" for train lenet, "script" for script.py."""
        words = [word for word in self.command if not word.startswith("-")]
        word = (words[1:2] or words[:1] or ["job"])[0]
        if self.is_script:
            word = Path(self.command[0]).stem
        elif self.is_job:
            word = Path(self.command[0]).resolve().parent.name
        return "".join(c if c.isalnum() or c in "-_" else "-" for c in word)[:40]

    @property
    def is_script(self) -> bool:
        return bool(self.command) and self.command[0].endswith(".py")

    @property
    def is_job(self) -> bool:
        return bool(self.command) and self.command[0].endswith(".toml")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def check_launch(launch: Launch) -> None:
    """Refuse what cannot run.

    Raises:
        ArgumentError: it has no command, or a number is out of range.
    """
    if not launch.command:
        raise ArgumentError(
            "dist run", "say what to run after --", {},
            "minidl dist run -- train lenet, or minidl dist run script.py",
        )  # fmt: skip
    if launch.is_script and not Path(launch.command[0]).is_file():
        raise ArgumentError("dist run", "there is no such script", {"script": launch.command[0]})
    for name, least in (
        ("servers", 1), ("workers", 1), ("slots", 0), ("threads", 0), ("checkpoint_every", 1),
        ("restarts", 0), ("computing_limit", 1), ("evaluating_limit", 1),
    ):  # fmt: skip
        value = getattr(launch, name)
        if value < least:
            flag = f"--{name.replace('_', '-')}"
            raise ArgumentError("dist run", f"{flag} must be at least {least}", {flag: value})
    parse(launch.mode, launch.slots or launch.workers)
    compress.parse(launch.compress)
    if launch.on_nan not in ON_NAN:
        raise ArgumentError("dist run", "--on-nan is stop or skip", {"--on-nan": launch.on_nan})


def as_job(launch: Launch) -> Job:
    """What the machines are told of it."""
    return Job(
        servers=tuple(f"server{number}" for number in range(launch.servers)),
        mode=launch.mode,
        save_every=launch.checkpoint_every,
        on_nan=launch.on_nan,
        strict=launch.strict,
        limits=LIMITS | {
            "computing": launch.computing_limit, "evaluating": launch.evaluating_limit,
        },
        compress=launch.compress,
    )  # fmt: skip


@dataclass
class Instructions:
    """All that a started process is told.

    Args:
        role: coordinator, server or worker.
        name: "coordinator", "server0", "worker1": the same in each of its lives.
        life: how often a process of this name was started before.
        listen: the address at which it listens; None for a worker.
        coordinator: where the coordinator listens.
        launch: the Launch, as JSON; with the numbers that were left open filled in.
        folder: of the job.
        keys: a keys.Bundle as JSON; None where all sockets are in a private folder.
    """

    role: str
    name: str
    life: int
    listen: str | None
    coordinator: str
    launch: dict[str, Any]
    folder: str
    keys: dict[str, Any] | None = field(default=None, repr=False)  # with the secret one

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


def read_instructions(line: bytes) -> Instructions:
    """Those in the first line of stdin."""
    return Instructions(**json.loads(line))
