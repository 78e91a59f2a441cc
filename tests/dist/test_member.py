"""A process of a job when its launcher is gone."""

import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import os, subprocess, sys, time
from minidl_dist import member
from minidl_dist.launch.spec import Instructions
stream = member.take_stdin()
print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
told = Instructions("worker", "worker0", 0, None, sys.argv[1], {}, "")
member.listen(stream, print, told)
time.sleep(60)
"""


def test_an_orphan_ends_with_all_that_it_started(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "tcp://nowhere"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    child = Path("/proc", process.stdout.readline().strip())
    assert child.exists()
    process.stdin.close()
    assert process.wait(30) != 0
    deadline = time.monotonic() + 10
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(child)


def is_alive(process):
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
