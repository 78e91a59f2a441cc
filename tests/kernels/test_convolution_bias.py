"""The bias of a convolution, added to pictures and summed up over them, however they lie."""

import numpy as np
import pytest

from minidl.kernels.cpu import conv2d
from minidl.kernels.layout import channels_first
from minidl.kernels.reference import conv2d as reference
from tests.kernels.guards import with_gaps

SHAPES = [(4, 7, 9, 3), (2, 5, 4, 32), (1, 1, 1, 1), (0, 3, 3, 2), (2, 0, 3, 2)]  # channels last
MEMORY = {
    "channels-last": channels_first,
    "channels-first": lambda x: np.ascontiguousarray(channels_first(x)),
    "gaps": lambda x: with_gaps(channels_first(x)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", MEMORY.values(), ids=MEMORY)
@pytest.mark.parametrize("shape", SHAPES)
def test_added_and_summed_up(shape, memory, dtype):
    rng = np.random.default_rng(0)
    pictures = memory(rng.standard_normal(shape).astype(dtype))
    bias = rng.standard_normal(shape[-1]).astype(dtype)
    sums = conv2d.backward_bias(pictures)
    assert sums.dtype == dtype
    right = pictures.astype(np.float64).sum((0, 2, 3))
    np.testing.assert_allclose(sums, right, rtol=0, atol=1e-5)
    expected = pictures + bias.reshape(1, -1, 1, 1)
    conv2d.add_bias(pictures, bias)
    np.testing.assert_array_equal(pictures, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", MEMORY.values(), ids=MEMORY)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("has_bias", [False, True])
def test_through_an_activation(shape, memory, dtype, slope, has_bias):
    """The gradient before it, and that of the bias, as the reference kernel has them."""
    rng = np.random.default_rng(1)
    gy, y = (memory(rng.standard_normal(shape).astype(dtype)) for _ in range(2))
    y[y < -1] = 0
    before, gb = conv2d.backward_activation(gy, y, slope, has_bias)
    expected, expected_gb = reference.backward_activation(gy, y, slope, has_bias)
    assert before.dtype == dtype and before.shape == gy.shape
    np.testing.assert_array_equal(before, expected)
    assert (gb is None) == (not has_bias)
    if has_bias:
        assert gb.dtype == dtype
        np.testing.assert_allclose(gb, expected_gb, rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 32])
def test_long_sums_keep_their_digits(channels):
    """One float32 accumulator would be off by 4e-5."""
    gy = channels_first(np.full((8, 64, 64, channels), 0.1, np.float32))
    right = gy[0, 0, 0, 0].astype(np.float64) * 8 * 64 * 64
    np.testing.assert_allclose(conv2d.backward_bias(gy), right, rtol=1e-7)
