"""The combinations of attributes, and how they are split."""

import numpy as np
import pytest

from minidl.data.flowers import (
    ATTRIBUTES,
    COMBINATIONS,
    VALUES,
    describe,
    draw,
    neighbours,
    split_combinations,
)
from minidl.errors import ArgumentError


def test_combinations_are_all_there_are():
    assert COMBINATIONS.shape == (1344, 6) and len(np.unique(COMBINATIONS, axis=0)) == 1344
    assert [len(values) for values in VALUES.values()] == [7, 4, 2, 4, 3, 2]
    assert describe(COMBINATIONS[-1]) == dict(
        zip(ATTRIBUTES, ("white", 8, "pointed", "black", "gray", "large"))
    )


@pytest.mark.parametrize("seed", range(5))
def test_split_holds_out_15_percent_and_no_value(seed):
    train, held_out = split_combinations(seed)
    assert len(held_out) == 202 and sorted([*train, *held_out]) == list(range(1344))
    for part in (train, held_out):
        for column, values in enumerate(VALUES.values()):
            share = np.bincount(COMBINATIONS[part, column]) / len(part)
            assert len(share) == len(values) and share.min() > 0.5 / len(values)


def test_split_is_the_same_everywhere():
    train, held_out = split_combinations()
    assert held_out[:6].tolist() == [3, 19, 27, 39, 41, 46]
    assert not np.array_equal(split_combinations(1)[1], held_out)
    with pytest.raises(ValueError):
        train[0] = 5  # shared by all who ask


def test_neighbours_differ_in_one_attribute():
    for number in (0, 700, 1343):
        found = neighbours(number)
        assert len(found) == 16 and number not in found
        assert ((COMBINATIONS[found] != COMBINATIONS[number]).sum(1) == 1).all()


def test_flowers_are_checked():
    with pytest.raises(ArgumentError, match=r"count is a number from 0 to 3"):
        draw(np.array([[0, 4, 0, 0, 0, 0]]))
    with pytest.raises(ArgumentError, match=r"\(N, 6\) or \(N, 13\)"):
        draw(np.zeros((2, 7), np.int64))
    with pytest.raises(ArgumentError, match="ints"):
        draw(np.zeros((2, 6)))
    with pytest.raises(ArgumentError, match="second is a number from 0 to 7"):
        draw(np.array([[0] * 8 + [8] + [0] * 4]))
