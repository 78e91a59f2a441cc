"""A worker's two threads end together."""

import threading
from dataclasses import replace

import pytest

from minidl_dist import messages as m
from minidl_dist import work
from minidl_dist.client import Client
from minidl_dist.peer import NOTHING
from minidl_dist.plan import Job
from minidl_dist.worker import Worker


class Broken:
    """A node whose machine has a bug."""

    def run(self):
        raise TypeError("the cat is on the keyboard")


def test_an_error_in_the_nodes_thread_ends_the_training(monkeypatch, capfd):
    """The training thread would wait for ever, and the job end much later for another reason."""
    ended = []
    monkeypatch.setattr(work, "STUCK", 0.0)
    monkeypatch.setattr(work, "end_process", ended.append)
    client = Client("worker0")
    thread = threading.Thread(target=work.run_node, args=(Broken(), client))
    thread.start()
    thread.join()
    finished = client.inbox.get(timeout=1)
    assert isinstance(finished, m.Finished) and finished.code == 1
    assert "TypeError: the cat is on the keyboard" in finished.reason
    assert ended == [1]
    error = capfd.readouterr().err
    assert "in run_node" in error and "error: " in error.splitlines()[-1]


@pytest.mark.parametrize("code", [0, 2])
def test_the_end_of_a_node_is_told_to_the_training(monkeypatch, code):
    ended = []
    monkeypatch.setattr(work, "STUCK", 0.0)
    monkeypatch.setattr(work, "end_process", ended.append)
    client = Client("worker0")
    work.run_node(type("Node", (), {"run": lambda self: m.Exit(code, "why")})(), client)
    assert client.inbox.get(timeout=1) == m.Finished("why", code)
    assert ended == ([code] if code else [])


def test_a_chief_that_hears_nothing_stops_being_chief():
    """After Job.dead seconds of silence another worker is chief, and would write the same files."""
    worker = Worker("worker0", 1)

    def chief_after(event, now):
        return [e.chief for e in worker.handle(event, now) if isinstance(e, m.Chief)]

    def hear(message, now):
        return chief_after(m.Received(m.COORDINATOR, message), now)

    hear(m.Welcome(1, Job(("server0",), dead=10.0).to_dict(), {}), 0.0)
    wanted = replace(NOTHING, token=1, generation=1, chief=True)
    assert hear(wanted, 1.0) == [True]
    assert hear(wanted, 5.0) == chief_after(m.Timer("tick"), 12.0) == []
    assert chief_after(m.Timer("tick"), 14.0) == [False]
    assert chief_after(m.Timer("tick"), 15.0) == []
    assert hear(wanted, 16.0) == [True]
    chief_after(m.Timer("tick"), 27.0)
    effects = worker.handle(
        m.Received(m.COORDINATOR, replace(wanted, stop="finished")), 28.0
    )  # fmt: skip
    told = [e for e in effects if isinstance(e, m.Chief | m.Finished)]
    assert told == [m.Chief(True), m.Finished("finished", 0)], "it has the results to write"


@pytest.mark.parametrize("named", [["-o", "a"], ["-oa"], ["--output=a"], ["--resume", "a"], []])
def test_a_command_that_names_its_folder_keeps_it(named, tmp_path):
    command = ["train", "lenet", *named]
    more = [] if named else ["--output", str(tmp_path)]
    assert work.with_output(command, tmp_path) == command + more
