"""Other processes that train, to be killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minidl import callbacks

posix = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")


class Slow(callbacks.Callback):
    """Gives the killer time to hit any step."""

    def __init__(self, seconds):
        self.seconds = seconds

    def on_step_end(self, run):
        time.sleep(self.seconds)


def start(module, *arguments):
    """A test file as a script in another process; it says "ready" once it has imported."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def kill_after_next_save(process, path, seconds):
    """SIGKILL some time after the process has saved once; whether it was still running."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if path.exists() and path.stat().st_mtime_ns != before:
            break
        time.sleep(0.002)
    time.sleep(seconds)
    running = process.poll() is None
    process.kill()
    process.communicate()
    return running
