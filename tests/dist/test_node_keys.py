"""Nodes with keys: who is let in, who is not, and what those read who are not."""

import os
import socket
import threading

import pytest

from minidl_dist import intake, keys
from minidl_dist import messages as m
from minidl_dist import node as nodes
from minidl_dist.keys import AllowList, Bundle, KeyPair
from minidl_dist.links import LinkError
from minidl_dist.node import Node
from tests.dist.nodes import (
    Acknowledger,
    Do,
    Recorder,
    acknowledged,
    failure_of,
    push,
    running,
    wait_for,
)

TCP = "tcp://127.0.0.1:*"


class Secure:
    """A server and a worker on tcp, each with keys of its own."""

    def __init__(self):
        self.pairs = {name: KeyPair.new() for name in ("server0", "worker0", "worker1")}
        allowed = AllowList({"worker0": self.pairs["worker0"].public})
        self.server = Node(
            Acknowledger(), "server0", Bundle("server0", self.pairs["server0"], {}, allowed)
        )
        self.address = self.server.listen(TCP)

    def worker(self, pair="worker0", key=None, name="worker0", **options):
        bundle = Bundle(name, self.pairs[pair])
        node = Node(Recorder(), name, bundle, **options)
        node.connect("server0", self.address, key or self.pairs["server0"].public)
        return node


@pytest.fixture
def secure(monkeypatch):
    monkeypatch.setattr(nodes, "GRACE", 0.3)
    monkeypatch.setattr(nodes, "LOOK", 0.02)
    made = Secure()
    with running(made.server):
        yield made


def test_tcp_with_keys(secure):
    worker = secure.worker()
    with running(worker):
        acknowledged(worker, push())
        wait_for(lambda: worker.links["server0"].up)


def test_a_key_that_is_not_on_the_list(secure):
    error = failure_of(secure.worker("worker1"))
    assert isinstance(error, LinkError) and "does not accept our key" in str(error)
    assert "server0" in error.rule and secure.address in str(error)


def test_a_key_that_comes_onto_the_list_in_time(secure, monkeypatch):
    monkeypatch.setattr(nodes, "GRACE", 5)
    worker = secure.worker("worker1", name="worker1")
    with running(worker):
        wait_for(lambda: worker.links["server0"].tries)
        secure.server.post(nodes.Allowed("worker1", secure.pairs["worker1"].public))
        wait_for(lambda: worker.links["server0"].up)  # what was sent before may be lost
        acknowledged(worker, push())


def test_another_server_than_expected(secure):
    error = failure_of(secure.worker(key=KeyPair.new().public))
    assert "the key of server0 is not the one we know" in str(error)


def test_a_client_without_keys(secure):
    plain = Node(Recorder(), "worker0", insecure=True)
    plain.connect("server0", secure.address)
    error = failure_of(plain)
    assert "one side uses keys, the other does not" in str(error)


def test_a_server_without_keys(secure):
    plain = Node(Acknowledger(), "server0", insecure=True)
    secure.address = plain.listen(TCP)
    with running(plain):
        error = failure_of(secure.worker())
    assert "one side uses keys, the other does not" in str(error)


def test_another_program_at_the_address(secure):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    over = threading.Event()

    def answer():
        while not over.is_set():
            try:
                peer, _ = listener.accept()
            except TimeoutError:
                continue
            with peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)

    thread = threading.Thread(target=answer)
    thread.start()
    secure.address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    error = failure_of(secure.worker())
    over.set()
    thread.join()
    listener.close()
    assert "is another program listening there?" in str(error)


def test_a_revoked_key_stops_at_once(secure):
    worker = secure.worker()
    with running(worker):
        acknowledged(worker, push(step=1))
        secure.server.post(nodes.Revoked("worker0"))
        worker.post(Do(m.Send("server0", push(step=2))))
        refused = wait_for(lambda: worker.machine.messages(m.Refused))[0]
        assert refused.rule == "the key of worker0 was revoked"
    assert len(secure.server.machine.messages(m.Push)) == 1
    assert "does not accept our key" in str(failure_of(secure.worker()))


def test_a_worker_cannot_speak_for_another(secure):
    """The key says who it is, whatever the message says."""
    worker = secure.worker()
    worker.encoder.sender = "worker1"
    with running(worker):
        worker.post(Do(m.Send("server0", push())))
        wait_for(lambda: secure.server.counts["dropped: sender"])
    assert secure.server.machine.messages() == []


def test_tcp_without_keys_is_refused():
    with pytest.raises(LinkError, match="tcp is used with keys only"):
        Node(Recorder(), "server0").listen(TCP)
    with pytest.raises(keys.KeyProblem, match="tcp is used with keys only"):
        Node(Recorder(), "worker0").connect("server0", "tcp://127.0.0.1:1")


def test_raw_strangers_do_not_grow_the_server(secure):
    """Frames without end, and bytes of any kind: the handshake comes first."""
    host, port = secure.address.removeprefix("tcp://").split(":")
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    endless = greeting + (b"\x01\xff" + b"x" * 255) * 20_000
    for data in (endless, os.urandom(100_000), b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection((host, int(port))) as raw:
            raw.settimeout(5)
            try:
                raw.sendall(data)
                while raw.recv(4096):
                    pass
            except OSError:
                pass
    worker = secure.worker()
    with running(worker):
        acknowledged(worker, push())
    wait_for(lambda: any(name.startswith("stranger") for name in secure.server.counts))


# --- messages that do not end -------------------------------------------------------------------

GREETING = bytes.fromhex("ff00000000000000017f0300") + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER".replace(b"\x19", b"\x1c")


def endless(address, megabytes):
    """Speak ZMTP 3 (rfc.zeromq.org/spec/23), and send part after part, never the last.

    Without keys: what comes after the handshake is the same with them. Returns how many parts went.
    """
    host, port = address.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(GREETING + READY)
        part = b"\x03" + (1 << 20).to_bytes(8, "big") + bytes(1 << 20)
        for sent in range(megabytes):
            try:
                raw.sendall(part)
            except OSError:
                return sent
    return megabytes


def test_a_message_without_end_is_not_kept(monkeypatch):
    """Its connection is closed at the limit; more than that in messages comes through."""
    monkeypatch.setattr(intake, "MOST", 8 << 20)
    server = Node(Acknowledger(), "server0", insecure=True)
    worker = Node(Recorder(), "worker0", insecure=True)
    address = server.listen(TCP)
    worker.connect("server0", address)
    with running(server, worker):
        acknowledged(worker, push())
        before = resident()
        assert endless(address, megabytes=600) < 600
        wait_for(lambda: server.counts["dropped: endless"] == 1)
        for step in range(1, 120):  # 19 MB, as messages
            acknowledged(worker, push(step))
        assert server.counts["dropped: endless"] == 1
        assert resident() - before < 300 << 20
    assert server.gate.bytes_in > 2 * intake.MOST


def resident():
    """Bytes of memory that this process uses."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_kernel_counts_what_a_connection_brings():
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        inside, _ = server.accept()
        client.sendall(bytes(1000))
        wait_for(lambda: intake.bytes_received(inside) >= 1000)
        found = dict(intake.Intake(server.getsockname()[1]).connections())
        assert inside.fileno() in found
        for copy in found.values():
            copy.close()
        client.close()
        inside.close()
