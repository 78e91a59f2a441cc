"""A server's chunks: contributions are folded once and in order, and contradictions noticed."""

import numpy as np
import pytest

import minidl
from minidl_dist.aggregate import Aggregate
from minidl_dist.contradiction import Contradiction, NotFinite
from minidl_dist.modes import Mode, parse
from tests.dist.small_plan import head, push, small_plan, values


@pytest.fixture(autouse=True, scope="module")
def plain_kernels():
    with minidl.use_cpu_kernels("reference"):
        yield


def aggregate(mode=None):
    found = Aggregate(small_plan(), mode or Mode(), [0, 1])
    found.set_values(0, values(0, 0, 0, 0))
    found.set_values(1, values(1, 1))
    return found


def test_slots_are_folded_in_their_order_and_once():
    a = aggregate()
    for message in (push(1, (4, 4)), push(1, (4, 4))):
        a.take(message)
    a.take_head(head(1, missing=[0]))
    assert a.fold(1) == []  # slot 0 comes first
    for message in (push(0, (2, 0)), push(0, (2, 0))):
        a.take(message)
    a.take_head(head(0, missing=[0]))
    assert a.fold(1) == [(0, 0), (0, 1)] and a.fold(0) == [(0, 0), (0, 1)]
    assert a.weights(1, 1)[1].tolist() == [1 - 3, 1 - 2]
    assert a.weights(1, 0)[1].tolist() == [1, 1]  # still there
    assert a.take(push(0, (2, 0))) is False  # a late duplicate
    assert a.weights(1, 1)[1].tolist() == [-2, -1]


def test_a_chunk_is_folded_when_it_is_its_turn_and_not_when_the_head_comes():
    """Nothing waits for the end of a slot: a server holds two versions and a sum."""
    a = aggregate()
    state = a.chunks[1]
    a.take(push(0, (2, 0)))
    assert a.fold(1) == [(0, 0)] and not state.staged and state.sum.tolist() == [2, 0]
    a.take(push(1, (4, 4)))
    assert a.fold(1) == [(0, 1)] and not state.staged and state.version == 0
    for slot in (0, 1):
        a.take_head(head(slot, missing=[0]))
    assert a.fold(1) == [] and state.version == 1 and state.values.tolist() == [1 - 3, 1 - 2]


def test_what_is_missing_of_a_chunk_agrees_with_the_head():
    a = aggregate()
    a.take(push(0, (2, 0)))
    a.take(push(1, (4, 4)))
    for slot in (0, 1):
        a.take_head(head(slot, missing=[0, 1] if slot else [0]))
    with pytest.raises(Contradiction, match="not deterministic"):
        a.fold(1)


def test_the_same_slot_with_other_bits_is_an_error_that_names_the_tensor():
    a = aggregate()
    a.take(push(0, (2, 0)))
    with pytest.raises(Contradiction, match="not deterministic") as caught:
        a.take(push(0, (2, 1)))
    assert "b" in caught.value.received["differ"] and caught.value.received["slot"] == "0"


def test_heads_have_to_agree():
    a = aggregate()
    a.take_head(head(0))
    with pytest.raises(Contradiction, match="same options"):
        a.take_head(head(1, lr=0.5))
    with pytest.raises(Contradiction, match="weight > 0"):
        a.take_head(head(1, weight=0.0))


def test_modes_that_cannot_clip_say_so():
    a = aggregate(parse("ssp:1"))
    with pytest.raises(Contradiction, match="not clipped"):
        a.take_head(head(0, clip=1.0))


def test_a_gradient_that_is_not_finite_changes_nothing():
    a = aggregate()
    for slot in (0, 1):
        a.take(push(slot, (np.nan, 1)))
        a.take_head(head(slot, missing=[0], nan="b" if slot else ""))
    a.fold(1)
    assert a.chunks[1].version == 1 and a.weights(1, 1)[1].tolist() == [1, 1]


@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_sum_that_overflows_is_noticed(clip):
    """Each gradient is finite, their sum is not."""
    a = aggregate()
    for slot in (0, 1):
        a.take(push(slot, (3e38, 1)))
        a.take_head(head(slot, missing=[0], clip=clip))
    if clip is None:
        with pytest.raises(NotFinite) as caught:
            a.fold(1)
        assert caught.value.received == {"step": "0", "tensor": "'b'"}
    else:
        a.fold(0), a.fold(1)
        assert not np.isfinite(a.squares()).all()
        a.clip(np.inf)
        assert a.chunks[1].version == 1 and a.weights(1, 1)[1].tolist() == [1, 1]


# --- memory -------------------------------------------------------------------------------------


def test_of_two_slots_none_waits_and_the_bits_are_those_of_their_order():
    """a + b has the bits of b + a: the second is added when it comes, if it comes first."""
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((2, 2)).astype(np.float32) * (1, 1e-7)
    found = []
    for order in ((0, 1), (1, 0)):
        a = aggregate()
        for slot in order:
            a.take(push(slot, gradients[slot]))
            a.fold(1)
            assert not a.chunks[1].staged
        for slot in (0, 1):
            a.take_head(head(slot, missing=[0]))
        assert a.fold(1) == [] and a.chunks[1].version == 1 and not a.chunks[1].is_ahead
        found.append(a.chunks[1].values.tobytes())
    assert found[0] == found[1]


def test_of_three_slots_the_third_waits():
    a = Aggregate(small_plan(slots=3), Mode(), [0, 1])
    for chunk, first in ((0, values(0, 0, 0, 0)), (1, values(1, 1))):
        a.set_values(chunk, first)
    third = push(2, (1e8, 1))
    a.take(third)
    assert a.fold(1) == [] and list(a.chunks[1].staged) == [2]
    a.keep(third)  # in memory of its own
    assert not np.shares_memory(a.chunks[1].staged[2], third.values)
    third.values[...] = 7  # that of the message is used again
    a.take(push(1, (1, 1)))
    assert a.fold(1) == [] and list(a.chunks[1].staged) == [2]
    a.take(push(0, (-1e8, 1)))
    for slot in range(3):
        a.take_head(head(slot, missing=[0]))
    assert a.fold(1) == [(0, 0), (0, 1), (0, 2)]
    one, two, three = np.float32(-1e8), np.float32(1), np.float32(1e8)
    assert a.chunks[1].values[0] == 1 - ((one + two) + three) / np.float32(3)


def test_a_version_goes_when_something_of_the_step_after_it_arrives():
    """Who computed it had all of the newer version: of all servers."""
    a = aggregate()
    for slot in (0, 1):
        a.take(push(slot, (2, 0)))
        a.take_head(head(slot, missing=[0]))
    a.fold(0), a.fold(1)
    assert a.weights(1, 0) is not None and a.weights(0, 0) is not None
    a.take(push(0, (2, 0)))  # of the step before: a duplicate
    assert a.weights(1, 0) is not None
    a.take(push(0, (2, 0), step=1))
    assert a.weights(1, 0) is None and a.weights(0, 0) is None
    assert a.weights(1, 1) is not None and a.weights(0, 1) is not None


def test_values_are_not_in_the_memory_of_messages():
    a, first = Aggregate(small_plan(), Mode(), [1]), values(1, 1)
    a.set_values(1, first)
    assert not np.shares_memory(a.chunks[1].values, first)


def step_of(a, step, gradient):
    for slot in (0, 1):
        a.take(push(slot, gradient, step))
        a.take_head(head(slot, step, missing=[0], momentum=0.9))
    a.fold(0), a.fold(1)


def test_the_state_is_copied_only_if_it_changes_while_it_is_written():
    a = aggregate()
    step_of(a, 0, (2, 4))
    (remembered,) = a.chunks[1].state[0].values()
    (name,) = a.snapshot(1)[0].keys() - {"1"}
    written = a.snapshot(1)[0][name]
    assert written is remembered  # no copy yet
    step_of(a, 1, (2, 4))
    assert written.tolist() == [2, 4] and a.snapshot(1)[0][name] is not written
    assert a.snapshot(1)[0][name].tolist() == pytest.approx([3.8, 7.6])
    written = a.snapshot(1)[0][name]
    a.written()  # it is on the disk: it may change
    step_of(a, 2, (0, 0))
    assert a.snapshot(1)[0][name] is written
