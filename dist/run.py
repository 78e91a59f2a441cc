"""`minidl dist run`: a job on this machine from its start to its end, and what is said about it."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from minidl.errors import MinidlError
from minidl_dist import folder as job_folder
from minidl_dist.ending import EndSignals
from minidl_dist.launch.child import Failure
from minidl_dist.launch.engines import engine_of
from minidl_dist.launch.local import cores
from minidl_dist.launch.spec import Launch
from minidl_dist.launch.supervisor import Supervisor
from minidl_dist.results import upload
from minidl_dist.status import what_is_saved
from minidl_dist.timeline import write_timeline

INTERRUPTED = {"interrupted": 130, "terminated": 143, "cancelled": 143, "hung up": 129}  # codes


def completed(launch: Launch) -> Launch:
    """With the numbers that the user left open.

    A slot for each worker; and the cores divided among the workers of a machine, so that no two
    compete for one. Other machines are taken to be like this one; those of a cluster, of which
    nothing is known yet, give each worker a core.
    """
    machines = launch.hosts.count(",") + 1
    workers = -(-launch.workers // machines)
    threads = 1 if launch.engine in ("slurm", "ray") else max(1, cores() // workers)
    return replace(launch, slots=launch.slots or launch.workers, threads=launch.threads or threads)


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
    if wanted > cores() and launch.engine == "local":
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
        has_ended = False
        try:
            asyncio.run(supervisor.run())
            has_ended = True
        finally:
            leave_results(supervisor, folder, status, launch.store if has_ended else "")
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
        say_upload(supervisor.facts["uploaded"], folder)
    note(f"done in {time.monotonic() - started:.0f} s; {folder}/{job_folder.TIMELINE} shows it")


def leave_results(
    supervisor: Supervisor, folder: Path, status: job_folder.StatusWriter, store: str
) -> None:
    """The last status, the timeline, and what goes to a store, "" for none."""
    with EndSignals() as signals:
        status.write_now()
        write_timeline(folder)
        if store and not supervisor.hurry:
            supervisor.facts["uploaded"] = upload(store, folder, signals)
            status.write_now()


def say_upload(found: dict[str, Any], folder: Path) -> None:
    """Where the results are now.

    Raises:
        typer.Exit: they are not where they should be.
    """
    if "error" in found:
        note(f"error: the results are in {folder}, and could not be uploaded: {found['error']}")
        note(f"  hint: minidl dist resume {folder} trains no further, and uploads them")
        raise typer.Exit(2)
    note(f"{counted(found['files'], 'file')} uploaded to {found['url']}")


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
    except MinidlError as error:
        note(f"error: {error}")
        sys.exit(2)
