"""The folder of a job: what lies where, how it is made and found again.

job.json         what was asked for: command, processes, mode, versions; what `resume` reads
status.json      who is there, in what state; how far the training is
run/             what the command itself writes: for `train` checkpoint, metrics, report.html
checkpoints/     shards of the servers, and the manifests that make them whole
events/NAME.jsonl   what each process did when; timeline.html is drawn from them
logs/NAME.log    what each process printed
timeline.html    who pushed and pulled what when, to look at
launcher.pid     locked while the job runs; process and machine of the launcher
slurm.sh, slurm.json   of a job in the hands of Slurm, see launch/sbatch.py
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from minidl.errors import ArgumentError, CheckpointError, nearest
from minidl.io.atomic import reason, write_atomically
from minidl.io.json import to_json
from minidl.version import __version__
from minidl_dist.launch.spec import Launch

JOB, STATUS, PID = "job.json", "status.json", "launcher.pid"
RUN, CHECKPOINTS, EVENTS, LOGS = "run", "checkpoints", "events", "logs"
TIMELINE = "timeline.html"
PATIENCE = 1.0  # seconds for a lock that others hold for a moment


def make_folder(output: str | None, name: str) -> Path:
    """A new folder: `output`, or runs/dist-NAME-TIME.

    Raises:
        ArgumentError: it is in use, or cannot be made.
    """
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = Path(output) if output else unused(Path("runs") / f"dist-{name}-{now}")
    if folder.is_dir() and any(folder.iterdir()):
        hint = "choose a new folder with --output"
        if (folder / JOB).exists():
            hint = f"go on with it: minidl dist resume {folder}; or {hint}"
        raise ArgumentError("dist", "the output folder is not empty", {"--output": output}, hint)
    try:
        for part in (CHECKPOINTS, EVENTS, LOGS):
            (folder / part).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(
            "dist", f"the output folder cannot be made: {reason(error)}", {"--output": str(folder)},
            "choose another with --output",
        ) from None  # fmt: skip
    return folder


def unused(folder: Path) -> Path:
    """The path, or with a number behind it where something is there already."""
    number = 1
    found = folder
    while found.exists():
        number += 1
        found = folder.with_name(f"{folder.name}-{number}")
    return found


def write_job(folder: Path, launch: Launch, typed: str) -> None:
    """job.json: everything that `resume` needs."""
    content = {
        "launch": launch.to_json(), "typed": typed, "started_in": os.getcwd(),
        "started": time.time(), "minidl": __version__,
    }  # fmt: skip
    write_atomically(folder / JOB, to_json(content, indent=2).encode(), "dist")


def read_job(folder: Path) -> dict[str, Any]:
    """What job.json holds, with "launch" as a Launch.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    try:
        content = json.loads((folder / JOB).read_text())
        content["launch"] = Launch(**content["launch"])
        return content
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            "dist", "the folder holds no job that can be read", {"folder": str(folder)},
            f"{JOB}: {error}",
        ) from None  # fmt: skip


def with_servers(folder: Path, content: dict[str, Any], servers: int) -> Launch:
    """What job.json asks for, with another number of servers from now on.

    Raises:
        ArgumentError: the model of its checkpoint cannot be spread over so many.
        CheckpointError: the job is running, or its manifest cannot be read.
    """
    from minidl_dist.checkpoint import Disk
    from minidl_dist.launch.spec import check_launch
    from minidl_dist.plan import Plan

    launch = replace(content["launch"], servers=servers)
    check_launch(launch)
    manifest = Disk(folder / CHECKPOINTS).load_manifest() or {}
    if manifest.get("plan"):
        Plan.from_dict(manifest["plan"]).place(servers)
    with held(folder):
        write_job(folder, launch, content["typed"])
    return launch


def find_job(word: str) -> Path:
    """The folder of a job: a path, or its name in runs/.

    Raises:
        CheckpointError: there is no such job; the nearest name is in the hint.
    """
    for folder in (Path(word), Path("runs") / word):
        if (folder / JOB).is_file():
            return folder
    names = sorted(path.parent.name for path in Path("runs").glob(f"*/{JOB}"))
    hint = nearest(word, names) if names else "minidl dist run -- train lenet makes one"
    raise CheckpointError("dist", "there is no such job", {"job": word}, hint)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else launches this job meanwhile. The lock goes with the process, however it ends.

    Raises:
        CheckpointError: it is running already.
    """
    with open(folder / PID, "a+") as file:
        if not locked(file):
            raise CheckpointError(
                "dist", "the job is already running", {"folder": str(folder)},
                f"minidl dist status {folder}",
            ) from None  # fmt: skip
        file.truncate(0)
        file.write(f"{os.getpid()} {socket.gethostname()}")
        file.flush()
        yield


def locked(file: IO[str]) -> bool:
    """Lock a file, with patience: launcher_of locks it for a moment each time it looks."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
        time.sleep(0.01)


def launcher_of(folder: Path) -> int | None:
    """The process id of the launcher, on its machine; None if the job does not run."""
    found = read_launcher(folder)
    return found[0] if found else None


def read_launcher(folder: Path) -> tuple[int, str] | None:
    """Process id and machine of the launcher; None if the job does not run."""
    try:
        with open(folder / PID) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except OSError:
                pid, _, machine = file.read().partition(" ")
                return int(pid), machine
    except (OSError, ValueError):
        return None


class StatusWriter:
    """Writes status.json soon after something changed, a few times a second at most.

    Args:
        folder: of the job.
        status: gives what is to be written.
    """

    INTERVAL = 0.25  # seconds

    def __init__(self, folder: Path, status: Any):
        self.path, self.status = folder / STATUS, status
        self.is_due = False

    def write(self) -> None:
        """Something has changed. To be called in the loop of asyncio."""
        if not self.is_due:
            self.is_due = True
            asyncio.get_running_loop().call_later(self.INTERVAL, self.write_now)

    def write_now(self) -> None:
        """Without fsync: status.json is for looking on, nothing depends on it."""
        self.is_due = False
        temporary, status = self.path.with_suffix(".tmp"), self.status()
        try:
            temporary.write_text(to_json(status, indent=1))
            os.replace(temporary, self.path)
        except OSError:  # a full disk does not end the training
            try:
                temporary.unlink(missing_ok=True)
                overwrite(self.path, to_json(status).encode())
            except OSError:
                pass


def overwrite(path: Path, data: bytes) -> None:
    """Write into the blocks that a file has, if they are enough: a full disk has no others."""
    with open(path, "r+b") as file:
        found = os.fstat(file.fileno())
        if len(data) <= found.st_blocks * 512:
            file.write(data.ljust(found.st_size))


def read_status(folder: Path) -> dict[str, Any]:
    """What status.json says; {} before it is there."""
    for _ in range(5):
        try:
            return json.loads((folder / STATUS).read_text())
        except OSError:
            return {}
        except ValueError:  # it is just being written, on a full disk
            time.sleep(0.01)
    return {}
