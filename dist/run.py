"""`minidl dist run`: a job on this machine from its start to its end, and what is said about it."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import typer

from minidl_dist import folder as job_folder
from minidl_dist import store as object_store
from minidl_dist.launch.child import Failure
from minidl_dist.launch.local import Local, cores
from minidl_dist.launch.spec import Launch
from minidl_dist.launch.ssh import SSH, Ssh, parse_hosts
from minidl_dist.launch.supervisor import Supervisor
from minidl_dist.status import what_is_saved
from minidl_dist.timeline import write_timeline

INTERRUPTED = {"interrupted": 130, "terminated": 143, "hung up": 129}  # exit codes


def completed(launch: Launch) -> Launch:
    """With the numbers that the user left open.

    A slot for each worker; and the cores divided among the workers of a machine, so that no two
    compete for one. Other machines are taken to be like this one.
    """
    machines = launch.hosts.count(",") + 1
    workers = -(-launch.workers // machines)
    return replace(
        launch,
        slots=launch.slots or launch.workers,
        threads=launch.threads or max(1, cores() // workers),
    )


def say_beginning(launch: Launch, folder: Path) -> None:
    parts = [
        counted(launch.servers, "server"),
        f"{counted(launch.workers, 'worker')} of {counted(launch.threads, 'thread')}",
        counted(launch.slots, "slot"),
        launch.mode,
    ]
    if launch.compress != "none":
        parts.append(f"gradients compressed: {launch.compress}")
    note(f"{folder}: {', '.join(parts)}")
    wanted = launch.workers * launch.threads
    if wanted > cores() and not launch.hosts:
        note(
            f"{counted(wanted, 'thread')} for {counted(cores(), 'core')}: workers wait for each "
            "other; the results are the same"
        )


def run_job(launch: Launch, folder: Path, is_new: bool = False) -> None:
    """Run a job whose folder is there.

    Args:
        launch: with all numbers filled in.
        folder: of the job.
        is_new: whether it was made for this run: a mistake in the command then leaves none.

    Raises:
        typer.Exit: 130 after Ctrl-C and so on, otherwise with the exit code of what failed.
    """
    started = time.monotonic()
    say_beginning(launch, folder)
    with job_folder.held(folder):
        supervisor = Supervisor(launch, folder, engine_of(launch), (sys.stdout, sys.stderr))
        status = job_folder.StatusWriter(folder, supervisor.status)
        supervisor.watchers.append(status.write)
        try:
            asyncio.run(supervisor.run())
        finally:
            status.write_now()
            write_timeline(folder)
    go_on = f"go on with: minidl dist resume {folder}"
    if supervisor.failure is not None:
        is_mistake = supervisor.failure.code == 2 and not supervisor.has_trained
        say_failure(supervisor.failure, None if is_mistake and is_new else folder)
        if is_mistake and is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise typer.Exit(supervisor.failure.code)
    if supervisor.interrupted:
        note(f"{supervisor.interrupted}; {what_is_saved(supervisor.status())}; {go_on}")
        raise typer.Exit(INTERRUPTED[supervisor.interrupted])
    if launch.store:
        url = object_store.join(launch.store, job_folder.RUN)
        names = object_store.put_folder(url, folder / job_folder.RUN)
        note(f"{counted(len(names), 'file')} uploaded to {url}")
    note(f"done in {time.monotonic() - started:.0f} s; {folder}/{job_folder.TIMELINE} shows it")


def engine_of(launch: Launch) -> Local | Ssh:
    """What starts the processes."""
    if not launch.hosts:
        return Local()
    return Ssh(parse_hosts(launch.hosts), tuple(shlex.split(launch.shell)) or SSH)


def say_failure(failure: Failure, folder: Path | None) -> None:
    """The first failure, as the last thing that is printed; with where its log is, if it stays."""
    lines = [f"error: {failure.name}: {failure.how}"]
    lines += [f"  | {line}" for line in failure.lines[-8:]]
    if folder is not None:
        lines.append(f"  hint: all of it is in {folder}/{job_folder.LOGS}/{failure.name}.log")
    note("\n".join(lines))


def counted(number: int, word: str) -> str:
    """ "1 worker", "2 workers"."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":  # what `minidl dist submit` starts in the background
    place = Path(sys.argv[1])
    try:
        run_job(job_folder.read_job(place)["launch"], place)
    except typer.Exit as end:
        sys.exit(end.exit_code)
