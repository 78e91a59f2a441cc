"""Products of many rows with a small matrix, and Gram matrices: numbers, memory, bits, digits."""

import numpy as np
import pytest

from minidl.kernels.cpu import matmul
from minidl.kernels.cpu.vector import gram_product, tall_product
from tests.kernels.guards import (
    GuardedNumpy,
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    calls_of,
    each_processor,
    guarded_scratch,
    run_in_python,
)

ROWS = [1, 7, 8, 9, 14, 27, 28, 29, 63]


def whole_numbers(rng, *shape):
    """Their sums are exact in float32."""
    return rng.integers(-5, 6, shape).astype(np.float32)


@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize(("K", "M"), [(1, 1), (16, 8), (5, 32), (33, 31), (64, 96), (3, 65)])
def test_tall_stays_inside_its_memory(n, K, M, monkeypatch):
    """NaN lies around a and y, and in working memory; what is around y stays."""
    guarded = guarded_scratch(monkeypatch)
    rng = np.random.default_rng(n)
    a, b, bias = (whole_numbers(rng, *shape) for shape in ((n, K), (K, M), (M,)))
    a, y = between_nans(a), GuardedNumpy.empty(guarded, (n, M), np.float32)
    tall_product.tall_product(a, b, y)
    np.testing.assert_array_equal(y, a @ b)
    tall_product.tall_product(a, b, y, add=True)
    np.testing.assert_array_equal(y, 2 * (a @ b))
    tall_product.tall_product(a, np.asfortranarray(b), y, bias, least=0.0)
    np.testing.assert_array_equal(y, np.maximum(a @ b + bias, 0))
    guarded.check()


@pytest.mark.parametrize("n, C", [(0, 3), (1, 1), (65, 33)])
def test_gram_stays_inside_its_memory(n, C, monkeypatch):
    """Small enough for Python itself."""
    assert_gram_stays_inside(n, C, monkeypatch)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 257, 961, 4000])
@pytest.mark.parametrize("C", [1, 3, 31, 32, 33, 64, 100])
def test_gram_stays_inside_whatever_the_shape(n, C, monkeypatch):
    assert_gram_stays_inside(n, C, monkeypatch)


def assert_gram_stays_inside(n, C, monkeypatch):
    """G is the sum of all rows and of nothing else."""
    guarded = guarded_scratch(monkeypatch)
    x = between_nans(whole_numbers(np.random.default_rng(n), n, C))
    G = GuardedNumpy.empty(guarded, (C, C), np.float32)
    gram_product.gram_product(x, G)
    np.testing.assert_array_equal(G, x.T @ x)
    guarded.check()


@each_processor
def test_stay_inside_their_memory(width, processor):
    """Compiled code does not look; in Python, what is read outside of the arrays is an error."""
    code = f"""
import numpy as np
from minidl.kernels.cpu.vector.gram_product import gram_product
from minidl.kernels.cpu.vector.matrix_product import PANEL
from minidl.kernels.cpu.vector.tall_product import tall_product
assert PANEL == {2 * width}
for n, K, M in ((1, 1, 1), (29, 3, 33), (37, 2, 16), (66, 1, 40)):
    a, b, y = np.ones((n, K), np.float32), np.ones((K, M), np.float32), np.empty((n, M), np.float32)
    tall_product(a, b, y)
    assert (y == K).all()
    G = np.empty((K, K), np.float32)
    gram_product(a, G)
    assert (G == n).all()
"""
    run_in_python(code, processor)


def test_both_have_the_same_bits_with_any_number_of_threads():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5001, 72), np.float32)
    w = rng.standard_normal((72, 72), np.float32)

    def products():
        y, G = np.empty((5001, 72), np.float32), np.empty((72, 72), np.float32)
        tall_product.tall_product(x, w, y)
        gram_product.gram_product(x, G)
        return y, G

    assert_same_bits_with_any_number_of_threads(products)
    y, G = products()
    wide, size = x.astype(float), abs(x)
    assert np.abs(y - wide @ w).max() <= 1e-6 * (size @ abs(w)).max()
    assert np.abs(G - wide.T @ wide).max() <= 1e-6 * (size.T @ size).max()


def test_a_gram_matrix_is_symmetric_and_keeps_its_digits():
    """A million equal products; the BLAS is off by 2e-5."""
    G = matmul.product((x := np.full((10**6, 16), 0.1, np.float32)).T, x)
    np.testing.assert_array_equal(G, G.T)
    np.testing.assert_allclose(G, 10**6 * float(x[0, 0]) ** 2, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_reaches_its_own_sums_alone(bad):
    x, w = np.ones((2**13, 64), np.float32), np.ones((64, 40), np.float32)
    x[-1, 3] = bad
    np.testing.assert_array_equal(matmul.product(x, w), x @ w)
    G = matmul.product(x.T, x)
    assert (~np.isfinite(G) == [[3 in (i, j) for j in range(64)] for i in range(64)]).all()
    y = np.empty((2**13, 40), np.float32)
    matmul.multiply(x, w, y, np.full(40, -65, np.float32), least=0.0)
    np.testing.assert_array_equal(y[-1], np.full(40, bad))
    assert (y[:-1] == 0).all()


def test_which_products_are_theirs(monkeypatch):
    """Large ones of float32 matrices that lie as the loops read them, and have a place of their
    own to write to."""
    called = calls_of(monkeypatch, matmul, "tall_product", "gram_product")
    monkeypatch.setattr(matmul, "get_num_threads", lambda: 2)
    x, w = np.ones((2**13, 64), np.float32), np.ones((64, 64), np.float32)
    into = np.empty((2**13, 64), np.float32)
    for theirs in ((x, w), (x, w.T), (x, w, into)):
        matmul.product(*theirs)
    matmul.product(x.T, x)
    assert called == ["tall_product"] * 3 + ["gram_product"]
    wide = np.ones((2**13, 128), np.float32)
    for others in (
        (x[:100], w), (x.astype(float), w.astype(float)), (np.asfortranarray(x), w),
        (wide[:, :64], w), (x, w, wide[:, 64:]), (x, w[:, :1]), (x.T, x.copy()),
        (np.stack([x, x]), w),
    ):  # fmt: skip
        np.testing.assert_array_equal(matmul.product(*others), np.matmul(*others[:2]))
    over = x.copy()
    np.testing.assert_array_equal(matmul.product(over, w, over), x @ w)
    monkeypatch.setattr(matmul, "get_num_threads", lambda: 1)
    monkeypatch.setattr(matmul.blas, "all_threads", 1)
    matmul.product(x, w)  # with one thread, the BLAS is faster
    assert len(called) == 4
