"""A worker's two threads end together."""

import threading

import pytest

from minidl_dist import messages as m
from minidl_dist import work
from minidl_dist.client import Client


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
