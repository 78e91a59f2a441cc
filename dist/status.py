"""What the commands status, logs, cancel and scale do.

They reach a job through its folder: by signals to its launcher, which Slurm passes on to where that
is (launch/sbatch.py). From another machine they ask its coordinator (remote.py).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from minidl.errors import ArgumentError, nearest
from minidl.io.atomic import write_atomically
from minidl_dist import folder as job_folder
from minidl_dist import remote
from minidl_dist.launch import sbatch
from minidl_dist.launch.spec import SCALE, WORKER
from minidl_dist.members import natural

LATE = 15.0  # seconds after which a status is old: of a job that is well it is written more often
PAUSE = 0.5  # seconds between two looks with --follow
SLURM_PAUSE = 5.0  # the same where each look is a question to Slurm
RUNNING = "RUNNING"


def show_status(job: str, form: str, follow: bool, keys: str | None = None) -> None:
    """Print the status of a job.

    Args:
        job: as typed.
        form: "text", "json" or "prometheus".
        follow: whether to go on until the job has ended.
        keys: file of an operator's keys, for a job on another machine.
    """
    folder = None if remote.is_door(job) else job_folder.find_job(job)
    shown = ""
    while True:
        if folder is None:
            found = remote.status(job, keys)
        else:
            found = whole_status(folder, state_of(folder))
        running = found["running"]
        text = {"text": as_text, "json": json.dumps, "prometheus": as_prometheus}[form](found)
        if text != shown:
            print(text, flush=True)
            shown = text
        if not (follow and running):
            return
        time.sleep(pause(folder))


def whole_status(folder: Path, state: str) -> dict[str, Any]:
    """status.json, with what its writer can no longer say: that it does not run.

    Args:
        folder: of the job.
        state: as state_of says.
    """
    running = state != ""
    found = job_folder.read_status(folder)
    found["job"], found["running"] = str(folder), running
    if state not in ("", RUNNING):
        found["queue"] = f"in Slurm's hands: {state}"
    if not running:
        for member in found.get("members", []):
            if member["state"] not in ("done", "failed"):
                member["state"] = "gone"
            member["pid"] = None
    return found


def as_text(found: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{found['job']}: {sentence(found)}", *(f"  {line}" for line in details(found))]
    doing = found.get("doing", {})
    for member in found.get("members", []):
        state = member["state"]
        name = member["name"]
        if found["running"] and state == "running":
            state = doing.get(name, state)
            if found.get("steps", {}).get(name, -1) >= 0:
                state += f", step {found['steps'][name]}"
        times = {0: "", 1: ", restarted once"}
        restarts = times.get(member["restarts"], f", restarted {member['restarts']} times")
        pid = f", process {member['pid']}" if member["pid"] else ""
        counts = found.get("messages", {}).get(name, {})
        messages = "".join(f", {count} messages {what}" for what, count in counts.items())
        lines.append(f"  {name:<12} {state}{pid}{restarts}{messages}")
        for alarm in member.get("alarms", []):
            when = time.strftime("%H:%M:%S", time.localtime(alarm["time"]))
            lines.append(f"  {'':<12} warning at {when}: {alarm['text']}")
    if found["running"] and found.get("door"):
        lines.append(f"  from elsewhere: minidl dist status {found['door']} --keys FILE")
    return "\n".join(lines)


def sentence(found: dict[str, Any]) -> str:
    step = f" at step {found['step']}" if found.get("step", -1) >= 0 else ""
    if found.get("total_steps"):
        step += f" of {found['total_steps']}"
    if found.get("failure"):
        failure = found["failure"]
        return f"failed{step}: {failure['name']}: {failure['how']}"
    if found.get("queue"):
        return found["queue"]
    if found["running"]:
        return f"runs{step}"
    if found.get("finished"):
        return f"done{step}"
    return f"{found.get('interrupted') or 'was killed'}{step}; minidl dist resume goes on with it"


def details(found: dict[str, Any]) -> list[str]:
    """How fast it is, how stale its gradients are, how much is saved, where its results are."""
    lines, stale = [], found.get("staleness", {})
    parts = []
    if found["running"] and found.get("examples_per_second"):
        parts.append(f"{found['examples_per_second']:,.10g} examples/s")
    if stale.get("most"):
        parts.append(f"gradients {stale['mean']:g} others late, at most {stale['most']}")
    if found.get("checkpoint_step", -1) >= 0:
        parts.append(f"last checkpoint of step {found['checkpoint_step']}")
    if parts:
        lines.append(", ".join(parts))
    late = time.time() - found.get("time", time.time())
    if found["running"] and late > LATE:
        lines.append(f"as of {late:.0f} s ago: nothing was written to its folder since")
    uploaded = found.get("uploaded", {})
    if "error" in uploaded:
        lines.append(f"not uploaded to {uploaded['url']}: {uploaded['error'].splitlines()[0]}")
    elif uploaded:
        lines.append(f"{uploaded['files']} files uploaded to {uploaded['url']}")
    return lines


def what_is_saved(found: dict[str, Any]) -> str:
    """Where a job that was stopped would go on: it may have had no time for a last checkpoint."""
    saved = found.get("checkpoint_step", -1)
    if saved < 0:
        return "no checkpoint is saved"
    lost = max(found.get("step", -1) - saved, found.get("reached", -1) - saved, 0)
    steps = {0: "no step is", 1: "1 step after it is"}.get(lost, f"{lost} steps after it are")
    return f"the checkpoint of step {saved} is saved, {steps} lost"


def as_prometheus(found: dict[str, Any]) -> str:
    """Text in the format of Prometheus, for its textfile collector: no port is opened."""
    label = json.dumps(Path(found["job"]).name, ensure_ascii=False)
    lines = []
    for name in ("step", "total_steps", "generation", "checkpoint_step", "examples_per_second"):
        if isinstance(found.get(name), int | float):
            lines.append(f"minidl_dist_{name}{{job={label}}} {found[name]}")
    for name, value in found.get("staleness", {}).items():
        lines.append(f"minidl_dist_staleness_{name}{{job={label}}} {value}")
    lines.append(f"minidl_dist_running{{job={label}}} {int(found['running'])}")
    for member in found.get("members", []):
        who = f'job={label},process="{member["name"]}"'
        lines.append(f"minidl_dist_up{{{who}}} {int(member['state'] == 'running')}")
        lines.append(f"minidl_dist_restarts{{{who}}} {member['restarts']}")
        lines.append(f"minidl_dist_alarms{{{who}}} {len(member.get('alarms', []))}")
        if member["name"] in found.get("steps", {}):
            step = found["steps"][member["name"]]
            lines.append(f"minidl_dist_process_step{{{who}}} {step}")
        for what, count in found.get("messages", {}).get(member["name"], {}).items():
            lines.append(f"minidl_dist_messages_{what}{{{who}}} {count}")
    return "\n".join(lines)


# --- logs ---------------------------------------------------------------------------------------


def show_logs(job: str, name: str | None, follow: bool) -> None:
    """Print the logs of one process, or of all, each line with its name."""
    folder = job_folder.find_job(job)
    place = folder / job_folder.LOGS
    names = [path.stem for path in place.glob("*.log")]
    if name is not None and name not in names:
        raise ArgumentError("dist", "no process of that name", {"name": name}, nearest(name, names))
    read: dict[str, int] = {}
    while True:
        running = state_of(folder) != ""
        for one in [name] if name else processes(place):
            with open(place / f"{one}.log", encoding="utf-8", errors="replace") as file:
                file.seek(read.get(one, 0))
                for line in file:
                    sys.stdout.write(line if name else f"{one:<11} | {line}")
                read[one] = file.tell()
        sys.stdout.flush()
        if not (follow and running):
            return
        time.sleep(pause(folder))


def processes(place: Path) -> list[str]:
    """Those that have a log, but for the launcher, whose own repeats theirs."""
    names = {path.stem for path in place.glob("*.log")} - {"launcher"}
    return sorted(names, key=natural)


# --- changing a job -----------------------------------------------------------------------------


def state_of(folder: Path) -> str:
    """ "RUNNING", or where in Slurm's hands a job is; "" where it does not run."""
    number = sbatch.job_of(folder)
    if number is not None:
        return sbatch.state_of(number)
    return RUNNING if job_folder.launcher_of(folder) is not None else ""


def pause(folder: Path | None) -> float:
    """Seconds until the next look at a job."""
    return SLURM_PAUSE if folder and sbatch.job_of(folder) else PAUSE


def tell_launcher(folder: Path, name: str) -> None:
    """Send the launcher of a job a signal, by its name without SIG.

    Raises:
        ArgumentError: the job does not run, or its launcher is on another machine.
    """
    if not state_of(folder):
        raise ArgumentError(
            "dist", "the job does not run", {"job": str(folder)}, f"minidl dist resume {folder}"
        )
    if number := sbatch.job_of(folder):
        return sbatch.send(number, name)
    pid, machine = job_folder.read_launcher(folder) or (0, "")
    if machine not in ("", socket.gethostname()):
        raise ArgumentError(
            "dist", "the launcher of the job is on another machine", {"machine": machine},
            "give the command there",
        )  # fmt: skip
    if pid:
        os.kill(pid, signal.Signals[f"SIG{name}"])


def cancel_job(job: str, keys: str | None = None) -> None:
    """SIGTERM to the launcher, which ends everything in order; then wait for it."""
    if remote.is_door(job):
        remote.ask(job, keys, "stop")
        return print("it ends after a last checkpoint")
    folder = job_folder.find_job(job)
    number = sbatch.job_of(folder)
    if number and state_of(folder).startswith("PENDING"):
        sbatch.cancel(number)
        return print(f"out of Slurm's queue; minidl dist resume {folder} hands it in again")
    tell_launcher(folder, "TERM")
    while state_of(folder):
        time.sleep(0.05 if number is None else PAUSE)
    found = whole_status(folder, "")
    if found.get("interrupted") and not found.get("failure"):
        print(f"ended; {what_is_saved(found)}; minidl dist resume {folder} goes on")
    else:  # it ended by itself meanwhile, or was killed
        print(f"{folder}: {sentence(found)}")


def scale_job(job: str, workers: int, keys: str | None = None) -> None:
    """Leave the wanted number in the folder, and tell the launcher to look."""
    if workers < 1:
        raise ArgumentError("dist", "a job needs a worker", {"--workers": workers})
    if remote.is_door(job):
        remote.ask(job, keys, f"scale {workers}")
        return print(f"{workers} workers")
    folder = job_folder.find_job(job)
    write_atomically(folder / SCALE, json.dumps({WORKER: workers}).encode(), "dist")
    tell_launcher(folder, "USR1")
    slots = job_folder.read_job(folder)["launch"].slots
    print(f"{workers} workers")
    if workers > slots:
        print(f"note: a step has {slots} slots, so {workers - slots} of them wait in reserve")
