"""What a process of a job runs: `python -m minidl_dist.member`, started by a launcher.

Its instructions are the first line of stdin (launch/spec.py). The coordinator and the servers then
serve; a worker runs the command of the job, whose training steps the others share. When stdin
closes, the launcher is gone, and so is the process at once: nothing outlives its job.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from minidl_dist.launch.spec import WORKER, Instructions, read_instructions

ORPHANED = 4  # exit code when the launcher is gone


def main() -> None:
    stream = take_stdin()
    line = stream.readline()
    if not line:
        sys.exit(ORPHANED)
    told = read_instructions(line)
    if told.role == WORKER:
        from minidl_dist.work import work

        work(told, lambda heard: listen(stream, heard, told))
    else:
        from minidl_dist.serve import serve

        serve(told, lambda heard: listen(stream, heard, told))


def take_stdin() -> IO[bytes]:
    """The pipe from the launcher, out of reach of what the job itself reads from stdin."""
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return os.fdopen(pipe, "rb")


def listen(stream: IO[bytes], heard: Callable[[dict[str, Any]], None], told: Instructions) -> None:
    """Hear further lines of the launcher in a thread, and end the process when there is none."""

    def loop() -> None:
        for line in stream:
            heard(json.loads(line))
        remove_sockets(told)
        if os.getpgrp() == os.getpid():  # with all that this process started
            os.killpg(0, signal.SIGKILL)
        os._exit(ORPHANED)

    threading.Thread(target=loop, name="launcher", daemon=True).start()


def remove_sockets(told: Instructions) -> None:
    """What the launcher would have removed: the folder of the sockets, those of killed processes
    included. All that use it are orphans as well.
    """
    address = told.listen or told.coordinator
    if not address.startswith("ipc://"):
        return
    folder = Path(address.removeprefix("ipc://")).parent
    try:
        for path in folder.iterdir():
            if path.is_socket():
                path.unlink(missing_ok=True)
        folder.rmdir()
    except OSError:  # another orphan was faster
        pass


if __name__ == "__main__":
    main()
