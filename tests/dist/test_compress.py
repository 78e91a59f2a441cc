"""Compressed gradients: what arrives, what is left over for the next one, and what is refused."""

import itertools

import numpy as np
import pytest

from minidl.errors import ArgumentError
from minidl_dist import compress
from minidl_dist import messages as m
from minidl_dist.aggregate import Aggregate
from minidl_dist.checksum import checksum
from minidl_dist.compress import Codec, is_clear, parse
from minidl_dist.messages import SlotChunk
from minidl_dist.node import Node
from minidl_dist.plan import AVERAGE, Job, Plan, TensorSpec
from minidl_dist.server import Server

STATEFUL = ["1bit", "topk:0.01", "topk:0.3"]
ALL = ["bf16", *STATEFUL]
TENSORS = (
    TensorSpec("double", (40, 40), "float64"),  # in front: a chunk that is closed early
    TensorSpec("weight", (70, 1001), "float32"),  # not a whole number of blocks
    TensorSpec("bias", (70,), "float32"),
    TensorSpec("kernel", (8, 150), "float32"),
    TensorSpec("mean", (70,), "float32", AVERAGE, momentum=0.1),
)
PLAN = Plan(TENSORS, "SGD", slots=2, batches_per_epoch=41, epochs=1)
OTHER, CHUNK, AVERAGES = PLAN.chunks
WEIGHT, BIAS, KERNEL = (piece.place for piece in CHUNK.pieces)


def codec(text, every=0):
    return Codec(PLAN, Job(("server0",), compress=text, save_every=every))


def gradient(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(CHUNK.size) * scale).astype(np.float32)


def event(values, step=10, slot=0, missing=(), generation=1):
    return SlotChunk(generation, step, slot, CHUNK.number, values.copy(), list(missing))


def arrived(of, slot_chunk):
    """What a server finds in what is sent, after it looked at its form."""
    packed = of.pack(slot_chunk)
    form = of.form(slot_chunk.step, slot_chunk.slot, slot_chunk.chunk)
    assert (packed.dtype, packed.shape) == (np.dtype(form[0]), (form[1],))
    is_packed = packed.dtype == np.uint8
    return of.unpack(slot_chunk.chunk, packed) if is_packed else packed


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["zip", "topk", "topk:", "topk:0", "topk:0.6", "topk:nan", "1bit:2"]
)
def test_what_is_no_compression_is_refused(text):
    with pytest.raises(ArgumentError) as caught:
        parse(text)
    assert caught.value.received == {"compress": repr(text)}


# --- one gradient -------------------------------------------------------------------------------


@pytest.mark.parametrize("text, share", [("bf16", 1 / 2), ("1bit", 1 / 25), ("topk:0.01", 1 / 60)])
def test_how_much_is_sent(text, share):
    dtype, size = codec(text).form(10, 0, CHUNK.number)
    small = TENSORS[2].size
    assert dtype == "uint8" and size - 4 * small <= share * 4 * (CHUNK.size - small)


@pytest.mark.parametrize("text", ALL)
def test_small_tensors_other_kinds_and_other_floats_are_sent_as_they_are(text):
    of, g = codec(text), gradient(1)
    assert arrived(of, event(g))[BIAS].tobytes() == g[BIAS].tobytes()
    for chunk in (OTHER, AVERAGES):
        assert of.form(10, 0, chunk.number) == (chunk.dtype, chunk.size)
        values = np.ones(chunk.size, chunk.dtype)
        assert of.pack(SlotChunk(1, 10, 0, chunk.number, values)) is values


def test_bf16_is_the_nearest_with_ties_to_even():
    """Against all neighbours that 16 bits can name."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 1 << 32, 4000, np.uint64).astype(np.uint32).view(np.float32)
    values = values[np.isfinite(values) & (np.abs(values) < 3.38e38)]
    words = values.view(np.uint32)
    below = (words & 0xFFFF0000).view(np.float32).astype(np.float64)
    above = ((words & 0xFFFF0000) + 0x10000).view(np.float32).astype(np.float64)
    is_lower = np.abs(values - below) <= np.abs(above - values)
    expected = np.where(is_lower, below, above)  # ties are next to impossible in so few
    assert (compress.from_bf16(compress.to_bf16(values)) == expected).all()
    ties = np.array([0x3F808000, 0x3F818000], np.uint32).view(np.float32)
    assert compress.to_bf16(ties).tolist() == [0x3F80, 0x3F82]
    odd = np.array([np.inf, -np.inf, 0.0, -0.0, 1.0], np.float32)
    assert compress.from_bf16(compress.to_bf16(odd)).tobytes() == odd.tobytes()
    nans = np.array([0x7F800001, 0xFFFFFFFF, 0x7FFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(compress.from_bf16(compress.to_bf16(nans))).all()


def test_one_bit_keeps_the_means_of_each_block():
    g = gradient(2) + np.float32(0.3)
    found = arrived(codec("1bit"), event(g))
    for tensor in (WEIGHT, KERNEL):
        mine, theirs = g[tensor], found[tensor]
        for start in range(0, mine.size, compress.BLOCK):
            block, back = (array[start : start + compress.BLOCK] for array in (mine, theirs))
            for is_up in (block >= 0, block < 0):
                mean = np.float32(block[is_up].mean(dtype=np.float64))
                assert (back[is_up] == mean).all()


def test_the_largest_are_sent_as_they_are_and_of_equals_the_first():
    g = gradient(3)
    found = arrived(codec("topk:0.01"), event(g))
    for start, stop in compress.blocks(TENSORS[1].size):
        block, back = g[WEIGHT][start:stop], found[WEIGHT][start:stop]
        count = -(-(stop - start) // 100)
        largest = np.argsort(-np.abs(block), kind="stable")[:count]
        assert np.flatnonzero(back).tolist() == sorted(largest.tolist())
        assert (back[largest] == block[largest]).all()
    equal = np.ones(CHUNK.size, np.float32)
    assert np.flatnonzero(arrived(codec("topk:0.01"), event(equal))[KERNEL]).tolist() == [
        *range(12)
    ]


@pytest.mark.parametrize(
    "text, bound", [("bf16", 2**-9), ("1bit", 0.62), ("topk:0.01", 0.98), ("topk:0.3", 0.5)]
)
def test_how_much_of_normal_numbers_is_left_out(text, bound):
    """Of their norm. 1 bit: sqrt(1 - 2 / pi) = 0.603."""
    g = gradient(4)
    rest = (g - arrived(codec(text), event(g)))[WEIGHT]
    assert 0 < np.linalg.norm(rest) < bound * np.linalg.norm(g[WEIGHT])


@pytest.mark.parametrize("text", ALL)
@pytest.mark.parametrize("value", [0.0, 1.0, -2.0, 1e-42])
def test_what_is_equal_everywhere(text, value):
    g = np.full(CHUNK.size, value, np.float32)
    found = arrived(codec(text), event(g))
    if text == "1bit":
        assert (found == g).all()
    assert np.isin(found, [np.float32(0), np.float32(value)]).all() or text == "bf16"


# --- error feedback -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", STATEFUL)
def test_nothing_is_missing_in_a_sum_but_the_last_residual(text):
    of = codec(text)
    sent, given = np.zeros(CHUNK.size), np.zeros(CHUNK.size)
    residuals = []
    for step in range(8, 20):
        g = gradient(step, scale=10.0 ** -(step % 3))
        given += g
        sent += arrived(of, event(g, step))
        residual = of.residuals[0, CHUNK.number]
        residuals.append(np.linalg.norm(residual))
        np.testing.assert_allclose(sent + residual, given, atol=1e-5)
    assert max(residuals) < 12 * np.linalg.norm(gradient(0))  # it does not grow without end
    g = gradient(99)
    last = arrived(of, event(g, step=20))  # of 21 steps
    assert of.is_whole(20, 0) and not of.residuals
    np.testing.assert_allclose(sent + last, given + g, atol=1e-5)


@pytest.mark.parametrize("text", STATEFUL)
def test_each_slot_has_residuals_of_its_own(text):
    both, one = codec(text), codec(text)
    for step in range(8, 12):
        arrived(both, event(gradient(step), step, slot=1))
        mine = arrived(both, event(gradient(50 + step), step, slot=0))
        assert mine.tobytes() == arrived(one, event(gradient(50 + step), step)).tobytes()


@pytest.mark.parametrize("text", STATEFUL)
def test_a_tensor_without_a_gradient_keeps_its_residual(text):
    of = codec(text)
    arrived(of, event(gradient(1), 10))
    before = of.residuals[0, CHUNK.number].copy()
    g = gradient(2)
    g[KERNEL] = 0
    found = arrived(of, event(g, 11, missing=[3]))
    assert not found[KERNEL].any()
    after = of.residuals[0, CHUNK.number]
    assert after[KERNEL].tobytes() == before[KERNEL].tobytes()
    assert after[WEIGHT].tobytes() != before[WEIGHT].tobytes()


@pytest.mark.parametrize("text", STATEFUL)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_leaves_no_residual(text, bad):
    """The head of its slot says so, and the step is left out: the chunk only has to be there."""
    of = codec(text)
    arrived(of, event(gradient(1), 10))
    before = of.residuals[0, CHUNK.number].copy()
    g = gradient(2)
    g[5] = bad
    assert not arrived(of, event(g, 11)).any()
    assert of.residuals[0, CHUNK.number].tobytes() == before.tobytes()
    assert not np.isfinite(arrived(of, event(g, 3))).all()  # sent whole, it is as it was


# --- when nothing is left over ------------------------------------------------------------------


@pytest.mark.parametrize("every", [0, 1, 3, 10])
@pytest.mark.parametrize("text", ALL)
def test_nothing_is_left_over_where_the_rule_says_so(text, every):
    """Also of a slot that does not exist in the last step of an epoch."""
    plan = Plan(TENSORS[1:2], "SGD", slots=2, batches_per_epoch=9, epochs=4)
    job = Job(("server0",), compress=text, save_every=every)
    of, clear = Codec(plan, job), []
    for step in range(plan.total_steps):
        if is_clear(of.scheme, job, step):
            clear.append(step)
            assert not of.residuals
        for slot in plan.slots_of(step):
            of.pack(SlotChunk(1, step, slot, 0, np.ones(70070, np.float32) * slot))
    assert not of.residuals
    assert set(range(compress.WARM_UP + 1)) <= set(clear)
    if text != "bf16":
        assert (len(clear) == plan.total_steps) == (every == 1)


def test_another_generation_begins_without_residuals():
    of = codec("1bit", every=100)
    arrived(of, event(gradient(1), 10))
    again = arrived(of, event(gradient(1), 10, generation=2))
    assert again.tobytes() == arrived(codec("1bit", every=100), event(gradient(1), 10)).tobytes()


@pytest.mark.parametrize("text", ALL)
def test_the_same_gradients_give_the_same_bytes(text):
    def all_of():
        of = codec(text)
        return [of.pack(event(gradient(step), step)).tobytes() for step in range(8, 15)]

    assert all_of() == all_of()


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ALL)
def test_another_length_or_dtype_is_refused(text):
    of = codec(text)
    packed = of.pack(event(gradient(1)))
    for wrong in (packed[:-1], np.append(packed, packed[:1]), packed.astype(np.float32)):
        with pytest.raises(ArgumentError, match="bytes, compressed"):
            of.unpack(CHUNK.number, wrong)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_mean_that_is_not_finite_is_refused(bad):
    of = codec("1bit")
    packed = of.pack(event(gradient(1)))
    packed[4:8] = np.array([bad], np.float32).view(np.uint8)
    with pytest.raises(ArgumentError, match="means are finite") as caught:
        of.unpack(CHUNK.number, packed)
    assert caught.value.received == {"tensor": "'weight'"}


def places_of(packed):
    """Of topk:0.01, in the last block of the first tensor: 4,534 elements."""
    start = 6 * 656
    return packed[start : start + 2 * 46].view(np.uint16)


@pytest.mark.parametrize(
    "change, rule",
    [
        ((-1, 4534), "places"), ((-1, 65535), "places"), ((3, 0), "places"), ((0, 4533), "places"),
        ("twice", "places"), ("nan", "elements are finite"),
    ],
)  # fmt: skip
def test_a_place_outside_or_twice_is_refused(change, rule):
    of = codec("topk:0.01")
    packed = of.pack(event(gradient(1)))
    places = places_of(packed)
    assert (np.diff(places.astype(int)) > 0).all() and places[-1] < 4534
    if change == "twice":
        places[7] = places[8]
    elif change == "nan":
        packed[1312:1316] = 255
    else:
        places[change[0]] = change[1]
    with pytest.raises(ArgumentError, match=rule) as caught:
        of.unpack(CHUNK.number, packed)
    assert caught.value.received == {"tensor": "'weight'"}


@pytest.mark.parametrize("text", ALL)
def test_any_bytes_are_unpacked_or_refused(text):
    """Nothing is written outside of the array, whose neighbours are looked at."""
    of, rng = codec(text), np.random.default_rng(0)
    size = of.form(10, 0, CHUNK.number)[1]
    good = of.pack(event(gradient(1)))
    outcomes = set()
    for n in range(200):
        packed = rng.integers(0, 256, size).astype(np.uint8) if n % 2 else good.copy()
        for at in rng.integers(0, size, n % 7):
            packed[at] ^= 1 << rng.integers(8)
        try:
            values = of.unpack(CHUNK.number, packed)
        except ArgumentError:
            outcomes.add("refused")
        else:
            outcomes.add("unpacked")
            assert values.shape == (CHUNK.size,) and values.dtype == np.float32
    assert outcomes == ({"unpacked"} if text == "bf16" else {"refused", "unpacked"})


@pytest.mark.parametrize("share", ["topk:0.01", "topk:0.3"])
def test_a_block_is_never_written_beyond(share):
    scheme, rng = parse(share), np.random.default_rng(0)
    for _, size in itertools.product(range(20), (1, 7, 1200)):
        room = np.zeros(size + 200, np.float32)
        inner = room[100 : 100 + size]
        bytes_there = rng.integers(0, 256, 6 * compress.count_of(size, scheme)).astype(np.uint8)
        try:
            compress.from_largest(bytes_there, inner, scheme, "w")
        except ArgumentError:
            pass
        assert not room[:100].any() and not room[100 + size :].any()


# --- a server -----------------------------------------------------------------------------------


def serving(text):
    """A server that has all first values."""
    server = Server("server0", 1)
    job = Job(("server0",), compress=text, save_every=0)
    server.handle(m.Received("coordinator", m.Welcome(1, job.to_dict(), PLAN.to_dict())), 0.0)
    wanted = m.Wanted(1, 1, 1, 0, PLAN.total_steps, False, PLAN.hash)
    server.handle(m.Received("coordinator", wanted), 0.0)
    for chunk in PLAN.chunks:
        first = np.zeros(chunk.size, chunk.dtype)
        message = m.Initial(1, chunk.number, checksum(first), first)
        server.handle(m.Received("worker0", message), 0.0)
    assert server.phase == "serving"
    server.aggregate = Aggregate(PLAN, server.mode, server.mine)
    for chunk in PLAN.chunks:  # past the warm-up
        server.aggregate.set_values(chunk.number, np.zeros(chunk.size, chunk.dtype), version=10)
    return server


def answers(server, values, step=10):
    push = m.Push(1, step, 0, CHUNK.number, checksum(values), [], values)
    effects = server.handle(m.Received("worker0", push), 1.0)
    return [effect.message for effect in effects if isinstance(effect, m.Send)]


@pytest.mark.parametrize("text", ALL)
def test_a_server_adds_up_what_was_packed(text):
    server, of, g = serving(text), codec(text), gradient(1)
    packed = of.pack(event(g))
    for _ in range(2):  # the second is a duplicate
        assert answers(server, packed) == [m.Ack(1, 10, 0, CHUNK.number)]
    state = server.aggregate.chunks[CHUNK.number]
    assert state.sum.tobytes() == of.unpack(CHUNK.number, packed).tobytes()
    assert state.crcs == {0: checksum(packed)}
    other = of.pack(event(gradient(2)))
    failed, refused = answers(server, other)
    assert isinstance(failed, m.Failed) and "not deterministic" in refused.rule


@pytest.mark.parametrize("text", ["1bit", "topk:0.01"])
def test_a_server_refuses_by_name_what_was_never_packed(text):
    server = serving(text)
    packed = np.full_like(codec(text).pack(event(gradient(1))), 255)
    (refused,) = answers(server, packed)
    assert isinstance(refused, m.Refused) and "a compressed gradient" in refused.rule
    assert refused.received == {"chunk": CHUNK.number, "tensor": "'weight'"}
    for wrong in (packed[:-1].copy(), gradient(1)):
        (refused,) = answers(server, wrong)
        assert isinstance(refused, m.Refused) and f"{packed.size} elements" in refused.rule
    state = server.aggregate.chunks[CHUNK.number]
    assert state.sum is None and not state.staged and not state.crcs


def test_a_node_takes_the_form_of_values_from_plan_and_step():
    server = serving("1bit")
    node = Node.__new__(Node)
    node.machine = server
    size = codec("1bit").form(10, 0, CHUNK.number)[1]
    for step, form in ((3, ("float32", CHUNK.size)), (10, ("uint8", size))):
        push = m.Push(1, step, 0, CHUNK.number, 0, [], None)
        assert node.values_of(push) == form
    assert node.values_of(m.Push(1, 10, 0, 99, 0, [], None)) is None
    weights = m.Weights(1, 10, CHUNK.number, 0, None)
    assert node.values_of(weights) == ("float32", CHUNK.size)
