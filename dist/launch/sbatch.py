"""A job in the hands of Slurm, as seen from a login node: submit it, ask for it, signal it.

Slurm sends SIGTERM to the launcher WARNING seconds before the time is over: it saves a checkpoint
and ends, and `minidl dist resume JOB` goes on in another allocation. Where a machine is lost, or
the job gives way to another, Slurm itself starts the script again, and that resumes as well.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

from minidl.errors import ArgumentError, MinidlError
from minidl_dist.launch.spec import Launch

SBATCH = "sbatch"
WARNING = 90  # seconds before the time limit; a stop takes less, see supervisor.DRAIN
JOB = "slurm.json"  # in the folder of a job: its number in Slurm

SCRIPT = """\
#!/bin/sh
#SBATCH --job-name={name}
#SBATCH --ntasks={workers} --cpus-per-task={threads}
#SBATCH --signal=B:TERM@{warning}
#SBATCH --no-kill --requeue
#SBATCH --output={log} --open-mode=append
exec {python} -m minidl_dist.run {folder}
"""


def submit(folder: Path, launch: Launch, log: Path) -> str:
    """Hand a job to Slurm.

    Args:
        folder: of the job.
        launch: its options.
        log: what the launcher prints goes there.

    Returns:
        The job's number in Slurm.

    Raises:
        MinidlError: Slurm refused it, with its words.
    """
    script = folder / "slurm.sh"
    script.write_text(
        SCRIPT.format(
            name=shlex.quote(folder.resolve().name), workers=launch.workers,
            threads=launch.threads, warning=WARNING,
            log=shlex.quote(str(log.resolve()).replace("%", "%%")),
            python=shlex.quote(sys.executable), folder=shlex.quote(str(folder.resolve())),
        )
    )  # fmt: skip
    said = ask(SBATCH, "--parsable", *shlex.split(launch.sbatch), str(script))
    number = said.strip().split(";")[0]  # a cluster's name may follow
    (folder / JOB).write_text(json.dumps({"job": number}))
    return number


def job_of(folder: Path) -> str | None:
    """The number in Slurm of a job that was handed to it."""
    try:
        return json.loads((folder / JOB).read_text())["job"]
    except (OSError, ValueError, KeyError):
        return None


def state_of(number: str) -> str:
    """What Slurm says of a job, such as "RUNNING" or "PENDING (Resources)"; "" once it is over."""
    try:
        found = ask("squeue", "--noheader", f"--jobs={number}", "--format=%T %r").split()
    except MinidlError as error:
        if "Invalid job id" in error.rule:  # Slurm forgets jobs some minutes after their end
            return ""
        raise
    if not found:
        return ""
    return found[0] if found[1:] in ([], ["None"]) else f"{found[0]} ({' '.join(found[1:])})"


def send(number: str, name: str) -> None:
    """Send a signal, by its name without SIG, to the launcher of a job."""
    ask("scancel", "--batch", f"--signal={name}", number)


def cancel(number: str) -> None:
    """Take a job out of the queue, or end whatever is left of it."""
    ask("scancel", "--quiet", number)


def ask(*command: str) -> str:
    """What a command of Slurm prints.

    Raises:
        MinidlError: it is not there, or failed; with what it said.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise ArgumentError(
            "dist", f"Slurm's {command[0]} cannot be run: {error.strerror}", {}
        ) from None
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise MinidlError(
            "dist", f"Slurm's {command[0]} refused: {said}", {"command": shlex.join(command)}
        )
    return done.stdout
