"""A server's chunks: contributions are folded once and in order, and contradictions noticed."""

import numpy as np
import pytest

import minidl
from minidl_dist.aggregate import Aggregate, NotFinite
from minidl_dist.contradiction import Contradiction
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
