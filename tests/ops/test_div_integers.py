"""A quotient of integers is computed in float32, whatever the integers' own range."""

import numpy as np
import pytest

import minidl

X = np.array([[10, 200, 0]], np.uint8)
DIVISORS = [
    1000, -2, 300.5, True, minidl.tensor(1000), minidl.tensor(-1),
    minidl.tensor(300, dtype="int16"), minidl.tensor([[-5], [1000]]),
    minidl.tensor(True), np.int64(70000), np.array([[4], [-4]]),
]  # fmt: skip


@pytest.mark.parametrize("divisor", DIVISORS, ids=repr)
def test_integers_of_two_ranges(divisor):
    y = minidl.tensor(X) / divisor
    expected = X.astype(np.float64) / np.asarray(divisor, np.float64)
    assert y.dtype == np.float32 and y.shape == expected.shape
    assert np.allclose(y.numpy(), expected, rtol=1e-6)


def test_the_integers_below():
    y = -2 / minidl.tensor([4, 5], dtype="uint8")
    assert y.dtype == np.float32 and y.tolist() == [-0.5, np.float32(-0.4)]
    y = minidl.tensor(1000) / minidl.tensor([4, 5], dtype="uint8")
    assert y.dtype == np.float32 and y.tolist() == [250, 200]


def test_an_integer_meets_float64_with_all_its_digits():
    y = minidl.tensor([2**24 + 1]) / minidl.tensor([1.0], dtype="float64")
    assert y.dtype == np.float64 and y.item() == 2**24 + 1
