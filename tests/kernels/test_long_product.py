"""Products of long, narrow matrices: the numbers, the memory around, the digits."""

import tracemalloc

import numpy as np
import pytest

import minidl
from minidl.kernels.cpu import matmul
from minidl.kernels.cpu.vector.long_product import add_long_product
from minidl.kernels.cpu.vector.matrix_product import BLOCKS
from tests.kernels.guards import between_nans, each_processor, run_in_python


@pytest.mark.parametrize("n", [1, 3, 63, 64, 65, 959, 960, 961])
@pytest.mark.parametrize(("M", "K"), [(1, 1), (3, 32), (8, 33), (14, 31), (29, 64), (1, 96)])
def test_is_the_sum_of_all_rows_and_of_nothing_else(n, M, K):
    """NaNs lie in front of and behind both matrices."""
    rng = np.random.default_rng(n)
    a = between_nans(rng.integers(-5, 6, (n, M)).astype(np.float32))
    b = between_nans(rng.integers(-5, 6, (n, K)).astype(np.float32))
    total = np.full((M, K), 7.0)
    add_long_product(BLOCKS, a, b, total)
    np.testing.assert_array_equal(total, 7 + a.T.astype(np.float64) @ b)


@each_processor
def test_stays_inside_its_memory(width, processor):
    """Compiled code does not look; in Python, what is read outside of the arrays is an error."""
    code = f"""
import numpy as np
from minidl.kernels.cpu.vector.long_product import add_long_product
from minidl.kernels.cpu.vector.matrix_product import BLOCKS, PANEL
assert PANEL == {2 * width}
for n, M, K in ((1, 1, 1), (2, 1, 33), (70, 1, 32), (65, 3, 5), (66, 15, 40), (129, 9, 32)):
    a, b = np.ones((n, M), np.float32), np.ones((n, K), np.float32)
    total = np.zeros((M, K))
    add_long_product(BLOCKS, a, b, total)
    assert (total == n).all()
"""
    run_in_python(code, processor)


def test_gives_the_same_bits_with_any_number_of_threads():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((20_000, 10), dtype=np.float32)
    b = rng.standard_normal((20_000, 40), dtype=np.float32)
    threads = minidl.get_num_threads()
    y = matmul.product(a.T, b)
    try:
        minidl.set_num_threads(1)
        np.testing.assert_array_equal(matmul.product(a.T, b), y)
    finally:
        minidl.set_num_threads(threads)
    exact = a.T.astype(np.float64) @ b
    assert np.abs(y - exact).max() <= 1e-6 * (np.abs(a).T @ np.abs(b)).max()


def test_writes_to_out_and_leaves_other_shapes_to_the_blas():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((5000, 6), dtype=np.float32)
    b = rng.standard_normal((5000, 4), dtype=np.float32)
    out = np.empty((6, 4), np.float32)
    assert matmul.product(a.T, b, out) is out
    np.testing.assert_allclose(out, a.T.astype(np.float64) @ b, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError):
        matmul.product(a.T, b[:4000])
    assert matmul.product(a.T[:0], b).shape == (0, 4)
    assert matmul.product(a.T, b[:, :0]).shape == (6, 0)
    assert matmul.product(a.T, b[:, 0]).shape == (6,)
    assert np.shape(matmul.product(a[:, 0], b[:, 0])) == ()


LAYOUTS = {
    "a row and weights (out, in)": lambda n, K: (np.ones((1, n)), np.ones((K, n)).T),
    "a vector and weights (out, in)": lambda n, K: (np.ones(n), np.ones((K, n)).T),
    "four rows and weights (out, in)": lambda n, K: (np.ones((4, n)), np.ones((K, n)).T),
    "a matrix and a vector": lambda n, K: (np.ones((K, n)), np.ones(n)),
    "a vector and a matrix": lambda n, K: (np.ones(n), np.ones((n, K))),
    "many rows and weights (out, in)": lambda n, K: (np.ones((K, n)), np.ones((K, n)).T),
}


@pytest.mark.parametrize("terms", [9216, 40_000])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_does_not_copy_a_matrix_to_multiply_it_by_few_columns(layout, terms):
    a, b = (x.astype(np.float32, order="K") for x in LAYOUTS[layout](terms, 500))
    matmul.product(a, b)
    tracemalloc.start()
    y = matmul.product(a, b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (y == terms).all() and y.dtype == np.float32
    assert peak < 12e6  # either matrix has at least 18; the sums of four parts have 2 each


@pytest.mark.parametrize("shape", [(1000,), (1, 1000)])
@pytest.mark.parametrize("terms", [9216, 100_000])
def test_vectors_times_matrices_add_pieces(shape, terms):
    v = np.full((*shape[:-1], terms), 0.1, np.float32)
    m = np.full((terms, 1000), 0.1, np.float32)
    right = terms * float(np.float32(0.1)) ** 2
    for a, b in ((v, m), (m.T, v.T)):
        out = np.empty(a.shape[:-1] + b.shape[1:], np.float32)
        assert matmul.product(a, b, out) is out
        assert np.abs(out / right - 1).max() < 1e-6
    along = np.ascontiguousarray(m.T)  # read along the sums, by the BLAS alone
    assert np.abs(matmul.product(along, v.T) / right - 1).max() < 2e-5
