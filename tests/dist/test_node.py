"""Nodes with real sockets: messages, timers, the disk, and the errors of those who cannot connect."""

import pytest

from minidl_dist import messages as m
from minidl_dist.links import ipc_address
from minidl_dist.node import Node
from tests.dist.nodes import Acknowledger, Do, Recorder, push, running, wait_for


@pytest.fixture
def pair(tmp_path):
    """A server and a worker on ipc."""
    address = ipc_address(tmp_path / "s", "server0")
    server = Node(Acknowledger(), "server0")
    server.listen(address)
    worker = Node(Recorder(), "worker0")
    worker.connect("server0", address)
    with running(server, worker):
        yield server, worker


def test_push_and_pull(pair):
    server, worker = pair
    sent = push(step=3)
    worker.post(Do(m.Send("server0", sent)))
    ack = wait_for(lambda: worker.machine.messages(m.Ack))[0]
    assert ack == m.Ack(1, 3, 0, 0)
    worker.post(Do(m.Send("server0", m.Pull(1, 4, 0))))
    found = wait_for(lambda: worker.machine.messages(m.Weights))[0]
    assert (found.version, found.values.tobytes()) == (4, sent.values.tobytes())
    assert server.counts["dropped: field"] == 0
