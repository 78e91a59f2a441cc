"""A process of a job when its launcher is gone."""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from minidl_dist import here
from minidl_dist import messages as m
from minidl_dist.events import Revoked
from minidl_dist.launch.child import Child
from minidl_dist.serve import hear

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
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    with socket.socket(socket.AF_UNIX) as old:  # of a server that was killed before
        old.bind(str(sockets / "server0-0"))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, f"ipc://{sockets}/coordinator"],
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
    assert not sockets.exists()


def is_alive(process):
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- a word to the launcher ---------------------------------------------------------------------


def test_a_long_message_is_whole_among_the_lines_of_others(monkeypatch):
    """A pipe keeps 4,096 bytes of one write together; more may be mixed with other lines."""
    reading, writing = os.pipe()
    write, written = os.write, []
    monkeypatch.setattr(here.os, "write", lambda _, data: written.append(write(writing, data)))
    message = {"doing": {f"worker{n}": "computing" for n in range(1000)}}
    speaker = threading.Thread(target=here.tell_launcher, args=(message,))
    speaker.start()
    child, heard = Child("coordinator", "coordinator"), []
    with os.fdopen(reading, encoding="utf-8") as lines:
        while True:
            text, found = child.read(lines.readline().rstrip("\n"))
            assert text == "" and found is not None
            heard.append(found)
            if found:
                break
    speaker.join()
    os.close(writing)
    assert heard[-1] == message and len(heard) > 5 and max(written) <= 4096


def test_lines_that_look_like_a_message():
    child = Child("worker0", "worker")
    for line in ("\x1eno JSON", "\x1e", "\x1e7", "a \x1e b"):
        assert child.read(line) == (line, None)
    assert child.read('50 % \x1e{"chief": true}') == ("50 % ", {"chief": True})


def test_a_word_of_the_launcher_becomes_an_event():
    node = type("Node", (), {"post": lambda self, event: events.append(event)})()
    events = []
    for line in ({"left": "worker1", "how": "killed"}, {"revoke": "worker1"}, {"stop": "why"}):
        hear(node, line)
    hear(node, {"finished": True})
    assert events == [
        m.Left("worker1", "killed"), Revoked("worker1"), m.StopAsked("why"),
        m.Left("coordinator", "done"),
    ]  # fmt: skip
