"""A worker as a process: its machine and node in a thread, the job's command in the main thread.

The node's thread multiplies nothing: a large product can have other bits while another thread of
Python computes.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from minidl.errors import MinidlError
from minidl.training import slots
from minidl_dist import here, references
from minidl_dist import messages as m
from minidl_dist.client import Client, Stopped
from minidl_dist.folder import EVENTS, RUN
from minidl_dist.here import tell_launcher
from minidl_dist.keys import Bundle
from minidl_dist.launch.spec import LATE, Instructions, Launch
from minidl_dist.node import Node
from minidl_dist.record import Recorder
from minidl_dist.worker import Worker

LAST_WORDS = 5.0  # seconds for messages on their way, once the command has ended
UNTRAINED = (
    "the command has ended and did not train: workers share the steps of minidl.fit, of a training "
    "command, or of a loop over ps.batches()"
)
STUCK = 10.0  # seconds in which the training must notice that its job has failed


def work(told: Instructions, listen: Callable[[Callable[[dict[str, Any]], None]], None]) -> None:
    """Run the command of a job, with its training steps shared among the workers.

    Args:
        told: which worker, of which job.
        listen: begins to hand lines of the launcher to a function.
    """
    here.told = told
    launch, folder = Launch(**told.launch), Path(told.folder)
    bundle = Bundle.from_json(told.keys) if told.keys else None
    key = bundle.pair.public if bundle else ""
    machine = Announcer(Worker(told.name, told.life + 1, key=key))
    client = Client(told.name, launch.slots, launch.mode)
    client.leaves = not (launch.is_script or launch.is_job)  # what comes after fit is theirs
    node = Node(
        machine, told.name, bundle, log=folder / EVENTS / f"{told.name}.jsonl",
        to_client=client.take,
    )  # fmt: skip
    client.post = node.post
    machine.machine.troubles = node.troubles
    node.connect(m.COORDINATOR, told.coordinator, bundle.pinned[m.COORDINATOR] if bundle else "")

    def hear(line: dict[str, Any]) -> None:
        if "finished" in line and node.ended is None:  # this process came too late to take part
            end_process(LATE)

    listen(hear)
    thread = threading.Thread(target=run_node, args=(node, client), name="node", daemon=True)
    thread.start()
    slots.use(client)
    code = run_command(launch, told.name, folder)
    if code == 0 and client.run is None and client.finished is None:
        print(f"error: {UNTRAINED}", file=sys.stderr)
        code = 2
    client.close()
    thread.join(LAST_WORDS)
    if machine.was_stopped and node.ended is not None and node.ended.code:
        tell_launcher({"victim": True})
    end_process(code)


class Announcer(Recorder):
    """Tells the launcher whether this worker is the chief."""

    def of_effect(self, effect: Any) -> list[dict[str, Any]]:
        if isinstance(effect, m.Chief):
            tell_launcher({"chief": effect.chief})
        return super().of_effect(effect)


def run_node(node: Node, client: Any) -> None:
    """The node's thread. When it ends, the training ends: in order, if it still can."""
    try:
        end = node.run()
    except BaseException as error:  # no error of a user's: it is a bug, and shown as one
        traceback.print_exc()
        end = m.Exit(1, f"the node of this worker failed: {type(error).__name__}: {error}")
    client.take(m.Finished(end.reason, end.code))
    if end.code:
        time.sleep(STUCK)
        print(f"error: {end.reason}", file=sys.stderr)
        end_process(end.code)


def end_process(code: int) -> None:
    """End at once: a thread that is stuck must not keep the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run_command(launch: Launch, name: str, folder: Path) -> int:
    """Run the job's command in this process, the worker of a name; its exit code."""
    try:
        if launch.is_job:
            run_job_folder(launch, name, folder)
        elif launch.is_script:
            sys.argv = list(launch.command)
            sys.path[0] = os.path.dirname(os.path.abspath(launch.command[0]))
            runpy.run_path(launch.command[0], run_name="__main__")
        else:
            (entry,) = entry_points(group="console_scripts", name="minidl")
            sys.argv = ["minidl", *with_output(launch.command, folder / RUN)]
            entry.load()()
    except Stopped as end:
        if end.code:
            print(f"error: {end.reason}", file=sys.stderr)
        return end.code
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else bool(end.code)
    except MinidlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def run_job_folder(launch: Launch, name: str, folder: Path) -> None:
    """Run the code of a job: that which was submitted, or a job folder of this machine."""
    from minidl_dist.job import Running, fetch_code, read_job_file, run_in_worker

    code = Path(launch.command[0]).parent
    if launch.code:
        code = fetch_code(launch.code, folder / "code")
    job = read_job_file(code)
    data = references.fetch(launch.data, folder / "data") if launch.data else job.data
    output = folder / RUN
    output.mkdir(exist_ok=True)
    run_in_worker(code, Running(data, output, job.seed, job.settings, launch.slots, name))


def with_output(command: list[str], folder: Path) -> list[str]:
    """A command with the run folder of the job, unless it names one."""
    named = any(
        word.split("=")[0] in ("--output", "--resume", "--help") or word.startswith("-o")
        for word in command
    )
    return list(command) if named else [*command, "--output", str(folder)]
