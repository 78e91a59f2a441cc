"""NumPy's own functions called with a Tensor."""

import numpy as np

import minidl


def test_options_of_a_numpy_function_are_kept():
    x = minidl.tensor([1.0, 2.0])
    y = np.add(x, 1, where=np.array([True, False]), out=np.zeros(2))
    assert y.tolist() == [2.0, 0.0]
    y = np.multiply(x, x, dtype=np.float64)
    assert y.dtype == np.float64 and y.tolist() == [1.0, 4.0]
    assert np.add(np.ones(2), x, casting="same_kind").tolist() == [2.0, 3.0]
