"""Nodes across a bad network: what arrives is right, and all of it arrives when it is repeated."""

import pytest

from minidl_dist import messages as m
from minidl_dist.checksum import checksum
from minidl_dist.node import Node
from tests.dist.nodes import Acknowledger, Recorder, push, running, wait_for
from tests.dist.proxy import TCP, Faults, Proxy

STEPS, AGAIN = 30, 0.03  # seconds


class Persistent(Recorder):
    """A worker that repeats each push until it is acknowledged, then pulls until all is there."""

    def __init__(self):
        super().__init__(self.take)
        self.unacknowledged = {
            (step, step % 2): push(step, chunk=step % 2) for step in range(STEPS)
        }
        self.weights = {}
        self.damaged = 0

    def handle(self, event, now):
        if isinstance(event, m.Started | m.Timer):
            super().handle(event, now)
            return [*map(self.send, self.wanted()), m.SetTimer(AGAIN, "again")]
        return super().handle(event, now)

    def send(self, message):
        return m.Send("server0", message)

    def wanted(self):
        pulls = [m.Pull(1, STEPS, chunk) for chunk in (0, 1) if chunk not in self.weights]
        return list(self.unacknowledged.values())[:8] or pulls

    def take(self, event):
        match event.message:
            case m.Ack(step=step, chunk=chunk):
                self.unacknowledged.pop((step, chunk), None)
            case m.Weights(chunk=chunk, values=values, crc=crc):
                if checksum(values) == crc:
                    self.weights.setdefault(chunk, values)
                else:
                    self.damaged += 1
        return []


FAULTS = {
    "none": Faults(),
    "drops": Faults(drop=0.3),
    "doubles": Faults(double=0.5),
    "delays and reorders": Faults(delay=0.5),
    "cuts": Faults(cut=0.3),
    "flips bits": Faults(flip=0.3),
    "all": Faults(drop=0.1, double=0.2, delay=0.2, cut=0.1, flip=0.1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_network_that(name):
    server = Node(Acknowledger(), "server0", insecure=True)
    worker = Node(Persistent(), "worker0", insecure=True)
    with Proxy(server.listen(TCP), FAULTS[name], seed=len(name)) as proxy:
        worker.connect("server0", proxy.address)
        with running(server, worker):
            wait_for(lambda: len(worker.machine.weights) == 2)
    for message in server.machine.messages(m.Push):  # no changed one among them
        assert message.values.tobytes() == push(message.step, chunk=message.chunk).values.tobytes()
    taken = {(message.step, message.chunk) for message in server.machine.messages(m.Push)}
    assert taken == {(step, step % 2) for step in range(STEPS)}
    for chunk, values in worker.machine.weights.items():
        assert values.tobytes() == server.machine.values[chunk].tobytes()
    for fault in ("drop", "double", "delay", "cut", "flip"):
        assert bool(proxy.counts[fault]) == bool(getattr(FAULTS[name], fault))
    dropped = server.machine.damaged + worker.machine.damaged
    for node in (server, worker):
        dropped += sum(n for what, n in node.counts.items() if "drop" in what)
    assert dropped == proxy.counts["cut"] + proxy.counts["flip"] or name == "all"
    assert dropped or not (FAULTS[name].cut or FAULTS[name].flip)


def test_a_cut_and_healed_network():
    server = Node(Acknowledger(), "server0", insecure=True)
    worker = Node(Persistent(), "worker0", insecure=True)
    with Proxy(server.listen(TCP)) as proxy:
        proxy.is_cut = True
        worker.connect("server0", proxy.address)
        with running(server, worker):
            wait_for(lambda: worker.sent[m.Push] > 30)
            assert server.machine.messages() == []
            proxy.is_cut = False
            wait_for(lambda: len(worker.machine.weights) == 2)
