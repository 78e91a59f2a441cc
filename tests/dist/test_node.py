"""Nodes with real sockets: messages, timers, disk, and what those read who cannot connect."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib

import msgpack
import pytest
import zmq

from minidl.errors import ArgumentError
from minidl_dist import here, links, wire
from minidl_dist import messages as m
from minidl_dist import node as nodes
from minidl_dist.checkpoint import Disk
from minidl_dist.launch.spec import Instructions, Launch
from minidl_dist.links import LinkError, ipc_address
from minidl_dist.node import Node
from minidl_dist.serve import serve
from minidl_dist.window import Route
from minidl_dist.worker import Worker
from tests.dist.nodes import (
    PLAN,
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


@pytest.fixture
def address(tmp_path):
    return ipc_address(tmp_path / "s", "server0")


@pytest.fixture
def server(address):
    node = Node(Acknowledger(), "server0")
    node.listen(address)
    with running(node):
        yield node


@pytest.fixture
def worker(server, address):
    node = Node(Recorder(), "worker0")
    node.connect("server0", address)
    with running(node):
        yield node


def test_push_and_pull(server, worker):
    sent = push(step=3)
    acknowledged(worker, sent)
    worker.post(Do(m.Send("server0", m.Pull(1, 4, 0))))
    found = wait_for(lambda: worker.machine.messages(m.Weights))[0]
    assert (found.version, found.values.tobytes()) == (4, sent.values.tobytes())
    found.values[...] = 0  # its own memory
    assert server.received == {m.Push: 1, m.Pull: 1}
    wait_for(lambda: server.sent == {m.Ack: 1, m.Weights: 1})
    assert server.gate.bytes_in > sent.values.nbytes < server.bytes_out


def test_timers_of_one_name_replace_each_other(worker):
    effects = [m.SetTimer(0.01, "a"), m.SetTimer(0.06, "b"), m.SetTimer(0.03, "a")]
    worker.post(Do(*effects))
    timers = wait_for(lambda: m.Timer("b") in worker.machine.events) and worker.machine.events
    assert [event for event in timers if isinstance(event, m.Timer)] == [m.Timer("a"), m.Timer("b")]


def test_events_of_other_threads_arrive_in_order(worker):
    for number in range(3000):
        worker.post(m.Await(str(number)))
    wait_for(lambda: m.Await("2999") in worker.machine.events)
    found = [event.key for event in worker.machine.events if isinstance(event, m.Await)]
    assert found == [str(number) for number in range(3000)]


def test_other_effects_are_for_the_client():
    taken = []
    node = Node(Recorder(), "worker0", to_client=taken.append)
    with running(node):
        node.post(Do(m.Compute(1, 2, 3), m.Chief(True)))
        wait_for(lambda: len(taken) == 2)
    assert taken == [m.Compute(1, 2, 3), m.Chief(True)]


def test_notes_become_lines_of_the_log(tmp_path):
    node = Node(Recorder(), "worker0", log=tmp_path / "log")
    with running(node):
        node.post(Do(m.Note({"what": "step", "step": 3})))
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["what"] for line in lines] == ["step", "end"]
    assert lines[0]["node"] == "worker0" and abs(lines[0]["time"] - time.time()) < 60
    assert (lines[1]["code"], lines[1]["reason"]) == (0, "the test is over")


def test_the_disk_answers(tmp_path):
    node = Node(Recorder(), "coordinator", disk=Disk(tmp_path / "checkpoints"))
    with running(node):
        node.post(Do(m.Store("run-4", b"state", "a"), m.Load("run-4", "b"), m.Remove(["run-4"])))
        wait_for(lambda: len(node.machine.events) == 4)
    stored, loaded = node.machine.events[2:4]
    assert stored.tag == "a" and len(stored.sha256) == 64
    assert (loaded.tag, loaded.value) == ("b", b"state")


def test_a_file_asked_for_at_the_end_is_written(tmp_path):
    node = Node(Recorder(), "server0", disk=Disk(tmp_path))
    with running(node):
        node.post(Do(m.Store("run-4", b"state"), m.Exit(0, "")))
    assert (tmp_path / "run-4.bin").read_bytes() == b"state"


def test_a_message_to_nobody_is_counted(worker):
    worker.post(Do(m.Send("server7", m.Pull(1, 0, 0))))
    wait_for(lambda: worker.counts["unsent: no connection"])


def test_nothing_is_left(tmp_path, address):
    found = []
    for _ in range(3):  # in the first round, pyzmq starts a thread of its own
        server, worker = Node(Acknowledger(), "server0"), Node(Recorder(), "worker0")
        server.listen(address)
        worker.connect("server0", address)
        with running(server, worker):
            acknowledged(worker, push())
        assert os.listdir(tmp_path / "s") == []
        found.append((len(os.listdir("/proc/self/fd")), threading.active_count()))
    assert found[2] == found[0]


def test_sigterm_becomes_an_event():
    code = """
from minidl_dist.node import Node
from minidl_dist import messages as m
class Machine:
    def handle(self, event, now):
        print(type(event).__name__, getattr(event, "reason", ""), flush=True)
        return [m.Exit(7, "asked to")] if isinstance(event, m.StopAsked) else []
node = Node(Machine(), "server0")
node.catch_signals()
raise SystemExit(node.run().code)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "Started \n"
    child.send_signal(signal.SIGTERM)
    assert child.stdout.readline() == "StopAsked SIGTERM\n"
    assert child.wait(10) == 7


def test_of_one_answer_one_is_in_the_queue(address):
    """A worker on a slow line asks again; what it asks for is on its way already."""
    server = Node(Acknowledger(), "server0")
    server.listen(address)
    context = zmq.Context()
    slow = context.socket(zmq.DEALER)
    slow.linger = 0  # if this fails, collecting the context must not wait for what is unsent
    slow.rcvhwm = slow.rcvbuf = 1
    slow.connect(address)
    with running(server):
        for version in range(20):  # more than what libzmq and the system take in
            slow.send_multipart(frames_of(m.Pull(1, version, 0)))
        wait_for(lambda: server.sent[m.Weights] == 20)
        for _ in range(5):
            slow.send_multipart(frames_of(m.Pull(1, 19, 0)))
        wait_for(lambda: server.counts["unsent: still in the queue"] == 5)
        versions = [wire.decode(*slow.recv_multipart(), by_plan)[1].version for _ in range(20)]
        assert versions == list(range(20))
        slow.send_multipart(frames_of(m.Pull(1, 19, 0)))  # it was lost? then once more
        assert slow.poll(5000)
    context.destroy(linger=0)


def by_plan(message):
    return PLAN.chunks[message.chunk].dtype, PLAN.chunks[message.chunk].size


# --- what is no message -------------------------------------------------------------------------


@pytest.fixture
def stranger(server, address):
    """A socket that sends what it likes to the server."""
    context = zmq.Context()
    made = context.socket(zmq.DEALER)
    made.connect(address)
    yield made
    context.destroy(linger=0)


def crc_of(text):
    return text + zlib.crc32(text).to_bytes(4, "little")


def frames_of(message, sender="worker1"):
    return [bytes(frame) for frame in wire.encode(message, sender)]


def no_place(message):
    message.chunk = 99
    return message


COUNTED = m.MESSAGES.index(m.Counted)
GARBAGE = {
    "header": [b""],
    "checksum": [os.urandom(1000)],
    "kind": [crc_of(msgpack.packb([m.VERSION, 999, "worker1"]))],
    "version": [crc_of(msgpack.packb([m.VERSION + 1, 0, "worker1"]))],
    "field": [
        crc_of(msgpack.packb([m.VERSION, m.MESSAGES.index(m.Counted), "worker1", 1, "2", []]))
    ],
    "frames": [*frames_of(push()), b"", b"x" * 1000, b""],
    "values": [*frames_of(push())[:1], b"x"],
    "plan": frames_of(no_place(push())),
    "sender": frames_of(push(), "admin"),
    "role": frames_of(m.Wanted(1, 2, 3, 4, 5, True, "")),
}


@pytest.mark.parametrize("cause", GARBAGE)
def test_garbage_is_counted_and_disturbs_nobody(server, worker, stranger, cause):
    acknowledged(worker, push(step=1))
    for _ in range(20):
        stranger.send_multipart(GARBAGE[cause])
    stranger.send_multipart(frames_of(m.Ack(1, 2, 3, 4)))  # not to a server
    wait_for(lambda: server.counts[f"dropped: {cause}"] >= 20 and server.counts["dropped: role"])
    acknowledged(worker, push(step=2))
    assert server.machine.messages(m.Pull) == []
    assert len(server.machine.messages(m.Push)) == 2


def test_an_oversized_message_ends_its_connection_only(server, worker, stranger):
    acknowledged(worker, push(step=1))
    stranger.send(bytes(wire.MAX_VALUES + 1))
    stranger.send_multipart(frames_of(m.Pull(1, 0, 0)))
    acknowledged(worker, push(step=2))
    assert not any(name.startswith("dropped") for name in server.counts)


def test_garbage_from_a_server_is_counted(tmp_path):
    """A peer that we connect to may be broken, too."""
    address, context = ipc_address(tmp_path / "s", "server0"), zmq.Context()
    fake = context.socket(zmq.ROUTER)
    fake.bind(address)
    worker = Node(Recorder(), "worker0")
    worker.connect("server0", address)
    with running(worker):
        worker.post(Do(m.Send("server0", m.Pull(1, 0, 0))))
        identity, _ = fake.recv_multipart()
        for frames in ([b"x"], frames_of(m.Stale(1), "server1"), frames_of(m.Stale(1), "server0")):
            fake.send_multipart([identity, *frames])
        wait_for(lambda: worker.machine.messages(m.Stale))
    assert worker.counts["dropped: header"] == worker.counts["dropped: sender"] == 1
    context.destroy(linger=0)


def test_what_cannot_be_sent_ends_the_job_with_its_name(tmp_path):
    """Not with a connection that breaks, and a sender that repeats it for ever."""
    coordinator, worker = Node(Recorder(), "coordinator"), Node(Recorder(), "worker0")
    address = coordinator.listen(ipc_address(tmp_path / "s", "coordinator"))
    worker.connect("coordinator", address)
    worker.post(Do(m.Send("coordinator", m.RunState(1, 2, bytes(5 << 20)))))
    with running(coordinator):
        error = failure_of(worker)
        failed = wait_for(lambda: coordinator.machine.messages(m.Failed))[0]
    assert "RunState cannot be sent: it is too large" in error.rule == failed.rule
    assert failed.received["process"] == "worker0"
    assert failed.received["bytes of header"].strip("'") > "5,242,880"
    assert "state_dict" in str(error) and "state_dict" in failed.received["hint"]


NEWER = crc_of(msgpack.packb([m.VERSION + 1, 0, "worker0", "fields", "of", "a", "newer", "one"]))


def test_a_newer_process_is_answered(stranger):
    """The version is in the same place in all versions, so it can say which one this is."""
    stranger.send(NEWER)
    assert stranger.poll(5000)
    answer = stranger.recv()
    assert msgpack.unpackb(answer[:-4])[0] == m.VERSION
    _, refused = wire.decode(answer)
    assert f"version {m.VERSION + 1} of" in refused.rule and "same minidl" in refused.hint


def test_a_newer_coordinator_ends_a_worker_with_both_versions(tmp_path):
    address, context = ipc_address(tmp_path / "s", "coordinator"), zmq.Context()
    newer = context.socket(zmq.ROUTER)
    newer.bind(address)
    worker = Node(Recorder(), "worker0")
    worker.connect("coordinator", address)
    worker.post(Do(m.Send("coordinator", m.Bye("worker0", ""))))
    thread = threading.Thread(
        target=lambda: newer.send_multipart([newer.recv_multipart()[0], NEWER])
    )
    thread.start()
    before = time.monotonic()
    error = failure_of(worker)
    assert time.monotonic() - before < 5
    thread.join()
    context.destroy(linger=0)
    versions = f"version {m.VERSION + 1} of minidl's protocol, this one version {m.VERSION}"
    assert versions in error.rule


# --- nobody there, moved, in use ----------------------------------------------------------------


def test_nobody_there(tmp_path):
    node = Node(Recorder(), "worker0", patience=0.3)
    node.connect("coordinator", ipc_address(tmp_path / "s", "coordinator"))
    error = failure_of(node)
    assert "coordinator was not reached within 0.3 s: nobody listens there" in str(error)


def test_a_server_that_is_gone_is_said_once(tmp_path, monkeypatch):
    """Whether it comes back is the coordinator's knowledge; the worker waits."""
    monkeypatch.setattr(nodes, "SILENCE", 0.1)
    monkeypatch.setattr(nodes, "LOOK", 0.02)
    address = ipc_address(tmp_path / "s", "server0")
    server = Node(Acknowledger(), "server0")
    worker = Node(Recorder(), "worker0", log=tmp_path / "log")
    server.listen(address)
    worker.connect("server0", address)
    with running(worker):
        with running(server):
            acknowledged(worker, push())
        wait_for(lambda: "no connection" in (tmp_path / "log").read_text())
        time.sleep(0.2)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["what"] for line in lines] == ["connected", "disconnected", "no connection", "end"]
    assert lines[2]["alarm"] == "server0 was not reached within 0.1 s: nobody listens there"


def test_an_alarm_of_the_node_is_shown(tmp_path, capfd):
    worker = Node(Recorder(), "worker0")
    worker.follow({"server0": ["tcp://127.0.0.1:1", ""]})  # no key
    assert "warning: no link: connect: tcp is used with keys only" in capfd.readouterr().err
    worker.context.destroy(linger=0)


def test_an_error_of_a_machine_ends_the_job_with_its_words(tmp_path):
    """Such as more servers than chunks."""

    def refuse(event):
        raise ArgumentError("dist", "3 servers for 2 chunks", {"servers": 3})

    coordinator, server = Node(Recorder(), "coordinator"), Node(Recorder(), "server0")
    server.connect("coordinator", coordinator.listen(ipc_address(tmp_path / "s", "coordinator")))
    server.machine.handle = lambda event, now: refuse(event)
    with running(coordinator):
        assert "3 servers for 2 chunks" in str(failure_of(server))
        failed = wait_for(lambda: coordinator.machine.messages(m.Failed))[0]
    assert failed.rule == "3 servers for 2 chunks" and failed.received["process"] == "server0"


@pytest.mark.parametrize("what", ["port", "mode"])
def test_a_server_process_that_cannot_be_ends_with_an_error(tmp_path, capsys, monkeypatch, what):
    monkeypatch.setattr(here, "told", None)  # which is set for the rest of a process
    monkeypatch.setattr(Node, "catch_signals", lambda node: None)
    launch = Launch(["x.py"], mode="quick" if what == "mode" else "sync").to_json()
    address = f"ipc:///{'x' * 200}"
    told = Instructions(
        role="coordinator", name="coordinator", life=0, listen=address, coordinator=address,
        launch=launch, folder=str(tmp_path), keys=None,
    )  # fmt: skip
    with pytest.raises(SystemExit) as end:
        serve(told, lambda hear: None)
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and ("quick" if what == "mode" else "107 bytes") in said


def test_troubles_with_messages_are_counted_for_the_status(server, stranger):
    assert server.troubles() == {}
    stranger.send(b"garbage")
    wait_for(lambda: server.troubles() == {"garbage": 1})
    server.post(Do(m.Send("worker9", m.Stale(1))))
    wait_for(lambda: server.troubles() == {"garbage": 1, "lost": 1})
    peer = Worker("worker0", 1)
    peer.troubles = server.troubles
    peer.routes = {"server0": Route()}
    peer.routes["server0"].repeats = 3
    assert peer.all_troubles() == {"garbage": 1, "lost": 1, "repeated": 3}


def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(LinkError, match="Address already in use"):
            Node(Recorder(), "server0", insecure=True).listen(taken)


def test_a_path_that_is_too_long(tmp_path):
    with pytest.raises(LinkError, match="at most 107 bytes"):
        ipc_address(tmp_path / ("x" * 100), "server0")
    longest = "ipc:///tmp/" + "x" * (links.MAX_IPC - len("/tmp/"))
    links.check_address(longest)
    with pytest.raises(LinkError, match="at most 107 bytes"):
        links.check_address(longest + "x")


def test_a_folder_that_others_can_enter(tmp_path):
    (tmp_path / "s").mkdir(mode=0o755)
    with pytest.raises(LinkError, match="mode 0700"):
        ipc_address(tmp_path / "s", "server0")
    assert os.stat(tmp_path).st_mode & 0o777 == 0o700  # pytest's own


@pytest.mark.parametrize("address", ["", "tcp:/x", "inproc://x", "/tmp/x", "udp://x:1", "tcp://"])
def test_what_is_no_address(address):
    with pytest.raises(LinkError, match="begins with ipc:// or tcp://"):
        links.check_address(address)


def test_a_server_that_restarts_at_its_address_is_found_again(address, worker):
    acknowledged(worker, push(step=1))
    again = Node(Acknowledger(), "server0")
    again.listen(address)  # takes the path over, as after a kill
    with running(again):
        worker.links["server0"].socket.disconnect(address)
        worker.links["server0"].socket.connect(address)
        acknowledged(worker, push(step=2))
    assert len(again.machine.messages(m.Push)) == 1


def test_a_connection_that_broke_is_an_event(address, tmp_path, monkeypatch):
    """What was on its way is lost then, and libzmq says nothing of it."""
    monkeypatch.setattr(nodes, "LOOK", 0.02)
    worker = Node(Recorder(), "worker0")
    worker.connect("server0", address)
    with running(worker):
        for life in range(2):
            server = Node(Acknowledger(), "server0")
            server.listen(address)
            with running(server):
                acknowledged(worker, push(step=life))
                wait_for(lambda: worker.links["server0"].up)
            wait_for(lambda: not worker.links["server0"].up)
    found = [event for event in worker.machine.events if isinstance(event, m.Reconnected)]
    assert found == [m.Reconnected("server0")]


def test_a_worker_follows_servers_that_moved(tmp_path):
    folder = tmp_path / "s"
    places = {name: ipc_address(folder, name) for name in ("coordinator", "first", "second")}
    wanted = m.Wanted(1, 1, 1, 0, 9, True, "")
    coordinator = Node(Recorder(), "coordinator")
    coordinator.listen(places["coordinator"])
    servers = [Node(Acknowledger(), "server0") for _ in range(2)]
    worker = Node(Recorder(), "worker0")
    worker.connect("coordinator", places["coordinator"])
    for node, name in zip(servers, ("first", "second")):
        node.listen(places[name])
    with running(coordinator, worker, *servers):
        worker.post(Do(m.Send("coordinator", m.Bye("worker0", "only to be known"))))
        wait_for(lambda: "worker0" in coordinator.peers)
        for step, name in enumerate(("first", "second")):
            wanted.servers = {"server0": [places[name], ""], "worker9": ["x", ""], "server1": [3]}
            coordinator.post(Do(m.Send("worker0", wanted)))
            wait_for(lambda: len(worker.machine.messages(m.Wanted)) == step + 1)  # noqa: B023
            acknowledged(worker, push(step=step))
    assert [len(node.machine.messages(m.Push)) for node in servers] == [1, 1]
    assert worker.counts["dropped: servers"] == 4


def test_operators_ask_and_are_answered(tmp_path):
    def answer(event):
        return [m.Send(event.sender, m.Answer(event.message.what, {"step": 4}))]

    coordinator = Node(Recorder(answer), "coordinator")
    address = coordinator.listen(ipc_address(tmp_path / "s", "coordinator"))
    operators = [Node(Recorder(), "operator") for _ in range(2)]
    for node in operators:
        node.connect("coordinator", address)
    with running(coordinator, *operators):
        for node in operators:
            node.post(Do(m.Send("coordinator", m.Query("status"))))
        for node in operators:
            assert wait_for(lambda: node.machine.messages())[0].value == {"step": 4}  # noqa: B023
    assert len({name for name in coordinator.peers if name.startswith("operator-")}) == 2
