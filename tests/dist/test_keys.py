"""Keys: who is on the list, files that others can read, and a door that must be shut."""

import io
import os

import pytest
import zmq

from minidl.errors import ArgumentError
from minidl_dist import keys
from minidl_dist.keys import AllowList, Bundle, KeyPair, KeyProblem, ZapHandler, prove_closed
from minidl_dist.launch.spec import Instructions
from minidl_dist.links import Listener
from minidl_dist.node import Node
from tests.dist.nodes import Recorder


@pytest.fixture
def context():
    made = zmq.Context()
    yield made
    made.destroy(linger=0)


def test_a_secret_is_not_shown():
    pair = KeyPair.new()
    assert pair.secret not in repr(pair) and pair.public in repr(pair)


def test_a_secret_is_in_no_error_and_no_repr():
    """A file of keys that was cut off by one character, and what a process is told."""
    content = Bundle("worker0", KeyPair.new()).to_json()
    told = Instructions("worker", "worker0", 0, None, "tcp://x:1", {}, "job", content)
    assert content["secret"] not in repr(told) and content["secret"] in told.line().decode()
    cut = {**content, "secret": content["secret"][:-1]}
    with pytest.raises(KeyProblem) as error:
        Bundle.from_json(cut)
    assert cut["secret"] not in str(error.value) and "secret key" in str(error.value)


def test_a_new_key_of_a_name_revokes_the_older():
    first, second, allowed = KeyPair.new().public, KeyPair.new().public, AllowList()
    allowed.allow("worker0", first)
    allowed.allow("worker0", second)
    assert (allowed.owner(first), allowed.owner(second)) == (None, "worker0")
    assert allowed.revoked == {first: "worker0"}
    allowed.revoke("worker0")
    assert allowed.owner(second) is None
    allowed.allow("worker1", first)
    assert allowed.owner(first) == "worker1" and first not in allowed.revoked


@pytest.mark.parametrize("name", ["", "worker", "worker-1", "admin", "worker0 ", "server123456", 3])
def test_names_of_processes(name):
    with pytest.raises(KeyProblem, match="a name is"):
        keys.role_of(name)


@pytest.mark.parametrize("key", ["", "x" * 39, "\x00" * 40, "é" * 40, None, b"x" * 40])
def test_what_is_no_key(key):
    with pytest.raises(KeyProblem, match="40 characters"):
        AllowList({"worker0": key})


def bundle():
    worker = KeyPair.new().public
    return Bundle("server0", KeyPair.new(), {"coordinator": worker}, AllowList({"worker0": worker}))


def test_a_bundle_through_a_file(tmp_path):
    made, file = bundle(), tmp_path / "keys"
    keys.write_bundle(made, file)
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert keys.read_bundle(file).to_json() == made.to_json()
    with pytest.raises(ArgumentError, match="never written over"):
        keys.write_bundle(made, file)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_of_keys_that_others_can_read(tmp_path, mode):
    file = tmp_path / "keys"
    keys.write_bundle(bundle(), file)
    file.chmod(mode)
    with pytest.raises(KeyProblem, match="mode 0600"):
        keys.read_bundle(file)


def test_a_bundle_through_a_stream():
    import json

    made = bundle()
    stream = io.StringIO(json.dumps(made.to_json()) + "\nmore")
    assert keys.read_bundle(stream).to_json() == made.to_json()
    assert stream.read() == "more"


@pytest.mark.parametrize("text", ["", "{}", "[]", "x", '{"name": 1}', "null"])
def test_what_is_no_bundle(text):
    with pytest.raises(KeyProblem):
        keys.read_bundle(io.StringIO(text))


# --- the door -----------------------------------------------------------------------------------


def listener(context, handler, pair):
    return Listener(context, "tcp://127.0.0.1:*", pair, handler)


def test_a_stranger_is_denied_before_the_address_is_known(context):
    pair, handler = KeyPair.new(), ZapHandler(context, AllowList())
    found = listener(context, handler, pair)
    assert (handler.denied, handler.accepted) == (1, 0)
    found.close()
    handler.close()


class Nobody(ZapHandler):
    """A handler that is not there: libzmq lets everybody in."""

    def __init__(self, context, allowed):
        self.allowed, self.socket = allowed, context.socket(zmq.ROUTER)


class Generous(ZapHandler):
    def verdict(self, frames):
        return [*frames[:2], b"1.0", frames[3], b"200", b"OK", b"", b""]


class Silent(ZapHandler):
    def answer(self):
        self.socket.recv_multipart()


@pytest.mark.parametrize("kind", [Nobody, Generous])
def test_an_open_door_is_noticed(context, kind):
    with pytest.raises(KeyProblem, match="open to everybody"):
        listener(context, kind(context, AllowList()), KeyPair.new())


def test_a_door_without_an_answer_is_noticed(context):
    pair, handler = KeyPair.new(), Silent(context, AllowList())
    socket = context.socket(zmq.ROUTER)
    keys.listen_with(socket, pair)
    socket.bind("tcp://127.0.0.1:*")
    with pytest.raises(KeyProblem, match="no verdict"):
        prove_closed(handler, socket.last_endpoint.decode(), pair.public, seconds=0.3)


def verdict(handler, *frames):
    return handler.verdict([b"id", b"", *frames])[4]


def test_only_a_known_key_of_our_domain_is_accepted(context):
    pair = KeyPair.new()
    handler = ZapHandler(context, AllowList({"worker0": pair.public}))
    key = keys.z85.decode(pair.public)
    good = [b"1.0", b"1", keys.DOMAIN, b"127.0.0.1", b"", b"CURVE", key]
    assert verdict(handler, *good) == b"200"
    bad = {0: b"2.0", 2: b"other", 5: b"PLAIN", 6: bytes(32)}
    for place, value in bad.items():
        assert verdict(handler, *good[:place], value, *good[place + 1 :]) == b"400"
    for count in range(len(good)):
        assert verdict(handler, *good[:count]) == b"400"
    assert verdict(handler, *good, b"more") == b"400"
    handler.close()


def test_the_node_ends_if_its_handler_dies():
    pair, stranger = KeyPair.new(), KeyPair.new()
    node = Node(Recorder(), "server0", Bundle("server0", pair))
    address = node.listen("tcp://127.0.0.1:*")

    def dies():
        raise RuntimeError("the handler is broken")

    node.readers[node.handler.socket] = dies
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    keys.connect_with(socket, stranger, pair.public)
    socket.connect(address)
    with pytest.raises(RuntimeError, match="broken"):
        node.run()
    assert node.listener.socket.closed
    context.destroy(linger=0)
