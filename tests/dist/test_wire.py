"""Messages as bytes: every kind comes back; whatever else arrives is a WireError."""

import random
import struct
import zlib

import msgpack
import numpy as np
import pytest

from minidl_dist import messages as m
from minidl_dist import wire
from minidl_dist.checksum import checksum
from minidl_dist.wire import WireError, decode, encode
from minidl_dist.worker import Worker

VALUES = np.arange(20_000, dtype=np.float32)
SAMPLES = {
    int: 3, float: 0.5, str: "text", bytes: b"\0bytes", bool: True, dict: {"a": [1, 2.5, None]},
    list: [1, {"b": "c"}], float | None: None, np.ndarray: VALUES,
    list[int]: [1, 2], list[float]: [0.5, 1], list[str]: ["a"], list[list]: [[1, "b"]],
    list[dict]: [{"b": "c"}], dict[str, str]: {"a": "b"}, dict[str, float]: {"a": 0.5, "b": 1},
    dict[str, list]: {"a": [1]}, dict[str, dict]: {"a": {"b": 1}},
}  # fmt: skip


def sample(kind):
    hints = wire.typing.get_type_hints(kind)
    message = kind(**{name: SAMPLES[hint] for name, hint in hints.items()})
    if hasattr(message, "values") and hints["values"] is np.ndarray:
        message.crc = checksum(message.values)
    return message


def by_plan(message):
    return "float32", VALUES.size


def frames(message, sender="worker0"):
    return [bytes(frame) for frame in encode(message, sender)]


def raw(*content):
    text = msgpack.packb(list(content))
    return text + zlib.crc32(text).to_bytes(4, "little")


@pytest.mark.parametrize("kind", m.MESSAGES, ids=lambda kind: kind.__name__)
def test_every_kind_comes_back(kind):
    message = sample(kind)
    sender, found = decode(*frames(message), *[None] * (2 - len(frames(message))), by_plan)
    assert sender == "worker0" and type(found) is kind
    for name, value in vars(message).items():
        if isinstance(value, np.ndarray):
            assert getattr(found, name).tobytes() == value.tobytes()
            getattr(found, name)[...] = 0  # its own memory
        else:
            assert getattr(found, name) == value


def test_a_small_header():
    assert len(frames(m.Push(2**40, 10**6, 100, 10**4, 2**32 - 1, [], VALUES))[0]) < 64


def test_numpy_numbers_are_numbers():
    head = m.Head(np.int64(1), 0, 0, np.float32(0.5), [{"lr": np.float64(0.1)}], [])
    assert decode(*frames(head))[1].groups == [{"lr": 0.1}]


BOTH = f"version {m.VERSION + 1} .* version {m.VERSION}"


def refused(cause, *arguments, match=None):
    with pytest.raises(WireError, match=match) as found:
        decode(*arguments)
    assert found.value.cause == cause


def test_another_version():
    header = raw(m.VERSION + 1, 0, "worker0")
    refused("version", header, match=BOTH)


def test_no_such_kind():
    for kind in (-1, len(m.MESSAGES), 10**9, "Push", None, 1.0, True):
        refused("kind", raw(m.VERSION, kind, "worker0"))


def test_another_number_of_fields():
    kind = m.MESSAGES.index(m.Counted)
    for fields in ([], [1], [1, 2], [1, 2, [], 4]):
        refused("field", raw(m.VERSION, kind, "worker0", *fields))


@pytest.mark.parametrize("value", ["1", 1.0, None, True, [1], {}, b"", 2**63, -(2**63)])
def test_a_field_of_another_type(value):
    kind = m.MESSAGES.index(m.Counted)
    content = raw(m.VERSION, kind, "coordinator", 1, value, [])
    refused("field", content, match="Counted has no such step")


@pytest.mark.parametrize(
    "kind, fields, name",
    [
        (m.Norms, [1, 0, ["x"]], "squares"),
        (m.Norms, [1, 0, [1.0, None]], "squares"),
        (m.Saved, [1, 0, "shard", "", [[1]], ""], "chunks"),
        (m.Saved, [1, 0, "shard", "", [1.0], ""], "chunks"),
        (m.Head, [1, 0, 0, 1.0, [1], [], None, ""], "groups"),
        (m.Head, [1, 0, 0, 1.0, [{}], [[]], None, ""], "missing"),
        (m.StepDone, [1, 0, [[]]], "reports"),
    ],
)
def test_an_item_of_another_type(kind, fields, name):
    """A machine would end with an error that is nobody's."""
    content = raw(m.VERSION, m.MESSAGES.index(kind), "worker0", *fields)
    refused("field", content, match=f"{kind.__name__} has no such {name}")


def test_a_key_that_is_no_name():
    hello = [getattr(sample(m.Hello), name) for name in wire.FORM_OF[m.Hello].names]
    place = wire.FORM_OF[m.Hello].names.index("fingerprint")
    for bad in ({1: "x"}, {"numpy": 2}):
        hello[place] = bad
        refused("field", raw(m.VERSION, m.MESSAGES.index(m.Hello), "worker0", *hello))


# --- headers of numbers -------------------------------------------------------------------------


def numbers(*fields, version=m.VERSION, kind=m.Pull, sender=b"worker0", more=b""):
    start = bytes([wire.NUMBERS, version, m.MESSAGES.index(kind), len(sender)])
    text = start + sender + struct.pack(f"<{len(fields)}q", *fields) + more
    return text + zlib.crc32(text).to_bytes(4, "little")


def test_a_header_of_numbers():
    assert decode(numbers(1, 2, 3)) == ("worker0", m.Pull(1, 2, 3))
    assert numbers(1, 2, 3) == frames(m.Pull(1, 2, 3))[0]


def test_too_few_numbers_and_more_than_numbers():
    for fields in ((), (1,), (1, 2)):
        refused("field", numbers(*fields), match="Pull has no such fields")
    refused("frames", numbers(1, 2, 3, 4), match="Pull carries no values")
    refused("frames", numbers(1, 2, 3, more=b"x"))


def test_numbers_beyond_62_bits():
    for number in (2**62 + 1, 2**63 - 1, -(2**62) - 1):
        refused("field", numbers(1, number, 3), match="Pull has no such version")


def test_numbers_of_another_version_kind_and_sender():
    refused("version", numbers(1, 2, 3, version=m.VERSION + 1), match=BOTH)
    refused("field", numbers(1, 2, 3, kind=m.Hello))
    refused("header", numbers(1, 2, 3, sender=b"\xff\xfe"), match="names its sender")
    refused("header", raw(m.VERSION, m.MESSAGES.index(m.Pull), "worker0", 1, 2, 3))


@pytest.mark.parametrize("count", [1, 250, 1000, 1023, 1024, 2000, 20_000])
def test_few_values_are_in_the_header(count):
    """So that there is one frame, as one takes longer than the values do."""
    values = np.arange(count, dtype=np.float32)
    weights = m.Weights(1, 2, 3, checksum(values), values)
    found = frames(weights)
    assert len(found) == 1 + (4 * count >= wire.INLINE_BELOW)
    back = decode(*found, *[None] * (2 - len(found)), lambda message: ("float32", count))[1]
    assert back.values.tobytes() == values.tobytes() and back.crc == weights.crc
    back.values[0] = 7  # its own memory
    if len(found) == 1:
        refused("values", found[0], None, lambda message: ("float32", count + 1))
        refused("plan", found[0], None, lambda message: None)


# --- what a field can be ------------------------------------------------------------------------


def test_keys_of_a_dict_are_text_or_numbers():
    kind = m.MESSAGES.index(m.Published)
    refused("field", raw(m.VERSION, kind, "coordinator", "key", {b"x": 1}))
    refused("field", raw(m.VERSION, kind, "coordinator", "key", {"x": {1.5: 1}}))


def test_deep_nesting():
    deep = b"\x91" * 100_000 + b"\x01"
    text = b"\x95" + b"".join(
        map(msgpack.packb, (m.VERSION, m.MESSAGES.index(m.Publish), "worker0", "k"))
    )
    text += b"\x81\xa1x" + deep
    refused("header", text + zlib.crc32(text).to_bytes(4, "little"))


def test_a_sender_of_any_type():
    for sender in (1, None, "x" * 65, b"worker0"):
        refused("header", raw(m.VERSION, 0, sender))


@pytest.mark.parametrize("count", [0, 1, VALUES.size - 1, VALUES.size + 1])
def test_values_of_another_size(count):
    header, _ = frames(sample(m.Push))
    refused("values", header, b"\0" * 4 * count, by_plan)


def test_values_without_a_plan_or_place_in_it():
    header, values = frames(sample(m.Push))
    refused("plan", header, values, None)
    refused("plan", header, values, lambda message: None)


def test_values_where_none_belong_and_none_where_some_do():
    refused("frames", frames(m.Pull(1, 2, 3))[0], b"x")
    refused("frames", frames(sample(m.Push))[0], None, by_plan)


def test_a_flipped_bit_anywhere_is_noticed():
    header, values = frames(sample(m.Push))
    rng = random.Random(1)
    for place in range(len(header)):
        changed = bytearray(header)
        changed[place] ^= 1 << rng.randrange(8)
        with pytest.raises(WireError):
            decode(bytes(changed), values, by_plan)
    for _ in range(200):
        changed = bytearray(values)
        changed[rng.randrange(len(values))] ^= 1 << rng.randrange(8)
        found = decode(header, bytes(changed), by_plan)[1]
        assert checksum(found.values) != found.crc  # for the machine to see


def test_garbage_raises_wire_errors_only():
    """Random bytes, and random changes of real headers with a right checksum."""
    rng = random.Random(2)
    headers = [frames(sample(kind))[0] for kind in m.MESSAGES]
    for _ in range(3000):
        if rng.random() < 0.3:
            text = rng.randbytes(rng.randrange(200))
        else:
            changed = bytearray(rng.choice(headers)[:-4])
            for _ in range(rng.randint(1, 4)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            text = bytes(changed[: rng.randrange(1, len(changed) + 1)])
        header = text + zlib.crc32(text).to_bytes(4, "little")
        try:
            sender, message = decode(header, rng.choice([None, b"", b"x" * 80_000]), by_plan)
        except WireError:
            continue
        assert type(sender) is str and type(message) in m.MESSAGES


def test_a_header_of_any_length():
    for header in (b"", b"x", bytes(7), bytes(wire.MAX_HEADER + 1)):
        refused("header", header)


# --- what is not sent ---------------------------------------------------------------------------


UNSENDABLE = {
    "too large a state": (m.RunState(1, 2, bytes(wire.MAX_HEADER)), "RunState .* too large"),
    "too large values": (m.Push(1, 2, 3, 4, 5, [], np.zeros(2**20 + 1, np.float32)), "too large"),
    "too long a text": (m.Bye("worker0", "x" * (wire.MAX_TEXT + 1)), "Bye cannot be sent"),
    "too many items": (m.Norms(1, 2, [0] * (wire.MAX_ITEMS + 1)), "Norms cannot be sent"),
    "a field of another type": (m.Pull(1, None, 3), "Pull has no such version"),
    "a key of another type": (m.Publish("key", {1.5: 2}), "Publish"),
    "a number beyond 64 bits": (m.Pull(1, 2**70, 3), "Pull cannot be sent"),
    "an object": (m.Publish("key", {"x": object()}), "a message holds a object"),
}


@pytest.mark.parametrize("what", UNSENDABLE)
def test_what_a_receiver_would_refuse_is_not_sent(what):
    message, match = UNSENDABLE[what]
    with pytest.raises(WireError, match=match) as found:
        encode(message, "worker0")
    assert found.value.cause == "unsendable"


def test_an_error_of_any_length_is_told():
    effects = Worker("worker0", 1).handle(m.Crashed("x" * wire.MAX_TEXT + "the end"), 0.0)
    byes = [e.message for e in effects if isinstance(getattr(e, "message", None), m.Bye)]
    assert decode(*frames(byes[0]))[1].reason.endswith("the end")


def test_the_largest_that_can_be_sent_arrives():
    state = m.RunState(1, 2, bytes(wire.MAX_HEADER - 64))
    assert decode(*frames(state))[1] == state


# --- the checksum -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 63, 2048, 50_001])
def test_checksum_sees_swaps_and_opposite_flips(size):
    values = np.random.default_rng(size).integers(0, 2**32, size, np.uint32).view(np.float32)
    crc = checksum(values)
    assert crc == checksum(values.copy()) == checksum(values[:, None]) < 2**62
    words = values.view(np.uint32)
    rng = random.Random(size)
    for _ in range(50 if size > 1 else 0):
        a, b = rng.sample(range(size), 2)
        changed = words.copy()
        changed[[a, b]] = changed[[b, a]]
        assert checksum(changed) != crc
        changed = words.copy()
        bit = np.uint32(1 << rng.randrange(32))
        changed[a] ^= bit
        assert checksum(changed) != crc
        changed[b] ^= bit
        assert checksum(changed) != crc


def test_checksum_of_views():
    values = np.arange(100_000, dtype=np.float64)
    assert checksum(values[::2]) == checksum(values[::2].copy())
