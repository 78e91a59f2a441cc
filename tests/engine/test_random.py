"""The random numbers of a batch follow from its place in the run alone."""

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.random import begin, new_seed


def draws():
    """Of both streams."""
    return [*minidl.randn(3).tolist(), *nn.functional.dropout(minidl.ones(64), 0.5).tolist()]


@pytest.fixture(autouse=True)
def leave_the_state():
    before = minidl.random.get_state()
    yield
    minidl.random.set_state(before)


def test_what_was_drawn_before_does_not_matter():
    begin(5, 3, 1)
    expected = draws()
    minidl.manual_seed(8)
    draws()
    begin(5, 3, 1)
    assert draws() == expected


def test_each_place_has_its_own_numbers():
    found = set()
    for seed in (0, 1, 1 << 32, (1 << 63) - 1):
        for step in range(4):
            for slot in range(4):
                begin(seed, step, slot)
                found.add(tuple(draws()))
    assert len(found) == 64


def test_the_seed_of_a_run_follows_from_manual_seed():
    seeds = []
    for _ in range(2):
        minidl.manual_seed(3)
        seeds.append([new_seed(), new_seed()])
    assert seeds[0] == seeds[1] and len(set(seeds[0])) == 2
    assert all(0 <= seed < 2**63 for seed in seeds[0])


def test_masks_of_neighbouring_places_are_independent():
    """Half of the places agree."""
    masks = []
    for step in range(20):
        begin(0, step, 0)
        masks.append(nn.functional.dropout(minidl.ones(10_000), 0.5).data > 0)
    agree = [np.mean(a == b) for a, b in zip(masks, masks[1:])]
    assert 0.47 < min(agree) and max(agree) < 0.53
