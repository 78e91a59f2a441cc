"""Sums of squares of blocks: the reference's to the last digits, and no number is left out."""

import numpy as np
import pytest

from minidl.kernels.cpu import sum_of_squares as kernel
from minidl.kernels.reference import sum_of_squares as reference
from tests.kernels.guards import (
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    each_processor,
    run_in_python,
)


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 64, 999, 1000, 1001, 4096])
@pytest.mark.parametrize("block", [1, 7, 32, 100, 1000, 5000])
def test_whole_numbers_are_exact(n, block):
    x = between_nans(np.random.default_rng(n).integers(-9, 10, n).astype(np.float32))
    np.testing.assert_array_equal(kernel.of_blocks(x, block), reference.of_blocks(x, block))


def test_digits():
    x = np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    ours, right = kernel.of_blocks(x, 65_536), reference.of_blocks(x, 65_536)
    np.testing.assert_allclose(ours, right, rtol=1e-14)
    assert np.isfinite(kernel.of_blocks(np.full(9, 1e38, np.float32), 4)).all()
    assert np.isnan(kernel.of_blocks(np.array([1, np.nan], np.float32), 4)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_dtypes(dtype):
    x = np.arange(5).astype(dtype)
    np.testing.assert_array_equal(kernel.of_blocks(x, 2), [1, 13, 16])
    np.testing.assert_array_equal(
        kernel.of_blocks(np.arange(9, dtype=np.float32)[::2], 2), [4, 52, 64]
    )


def test_the_same_bits_with_any_number_of_threads():
    x = np.random.default_rng(0).standard_normal(2_000_003).astype(np.float32)
    assert_same_bits_with_any_number_of_threads(lambda: [kernel.of_blocks(x, 65_536)])


@each_processor
def test_the_same_bits_on_any_processor(width, processor):
    """In Python, where the order of the additions can be read."""
    code = """
import numpy as np
from minidl.kernels.cpu import sum_of_squares as kernel
x = np.random.default_rng(0).standard_normal(1003).astype(np.float32)
print(kernel.of_blocks(x, 500).tolist())
"""
    x = np.random.default_rng(0).standard_normal(1003).astype(np.float32)
    assert run_in_python(code, processor).strip() == str(kernel.of_blocks(x, 500).tolist())
