"""Creation functions that start from a few numbers: values, bounds, one seed, wrong arguments."""

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, DtypeError


def test_values():
    x = minidl.zeros(2, 3, dtype="int32")
    assert minidl.full_like(x, 2).tolist() == [[2, 2, 2], [2, 2, 2]]
    assert minidl.full_like(x, 2).dtype == np.int32 and x.sum().item() == 0
    assert minidl.linspace(-1, 1, 3).tolist() == [-1, 0, 1]
    np.testing.assert_array_equal(minidl.eye(2, 3).data, np.eye(2, 3))
    assert minidl.clip(minidl.tensor([1, 5]), max=3).tolist() == [1, 3]


def test_random_numbers_follow_the_seed():
    for draw in (lambda: minidl.randint(-1, 2, (200,)), lambda: minidl.randperm(200)):
        minidl.manual_seed(3)
        first = draw().tolist()
        assert draw().tolist() != first
        minidl.manual_seed(3)
        assert draw().tolist() == first
    assert sorted(first) == list(range(200))
    assert set(minidl.randint(-1, 2, (200,)).tolist()) == {-1, 0, 1}


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: minidl.linspace(0, 1, -1), "sizes >= 0"),
        (lambda: minidl.linspace(0, float("inf"), 3), "finite"),
        (lambda: minidl.eye(2.5), "2.5"),
        (lambda: minidl.randint(3, 3, (2,)), "low < high"),
        (lambda: minidl.randperm(-1), "sizes >= 0"),
        (lambda: minidl.zeros(True), "sizes >= 0"),
        (lambda: minidl.ones(2, requires_grad="False"), "requires_grad is a bool"),
        (lambda: minidl.tensor(1.0, requires_grad=2), "requires_grad is a bool"),
    ],
)
def test_wrong_arguments(call, says):
    with pytest.raises(ArgumentError, match=says):
        call()


def test_a_matrix_of_numpy_becomes_an_ordinary_array():
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)
    x = minidl.from_numpy(matrix)
    assert (x * x).tolist() == [[1.0, 4.0], [9.0, 16.0]]  # np.matrix would make a matrix product
    matrix[0, 0] = 5
    assert x[0, 0].item() == 5


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "empty_like"])
def test_like_functions_take_a_tensor(name):
    for wrong in ([1.0], np.ones(2), None):
        with pytest.raises(DtypeError, match=f"{name}: input must be a Tensor"):
            getattr(minidl, name)(wrong)
    with pytest.raises(DtypeError, match="full_like: input must be a Tensor"):
        minidl.full_like([1.0], 2.0)
