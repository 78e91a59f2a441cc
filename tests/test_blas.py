"""Small matrix products run in one thread, and leave the BLAS as it was."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from minidl.kernels import blas


def blas_threads():
    return {
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    }


@pytest.fixture
def two_threads(monkeypatch):
    """A BLAS that may use two threads, and a record of what it is set to."""
    blas.find_libraries()
    if not blas.libraries:
        pytest.skip("threadpoolctl knows no BLAS in this process")
    seen = []
    monkeypatch.setattr(blas, "all_threads", 2)
    plain = blas.set_threads
    monkeypatch.setattr(blas, "set_threads", lambda n: (plain(n), seen.append(blas_threads())))
    with threadpool_limits(2, user_api="blas"):
        yield seen


def test_a_small_product_uses_one_thread_and_puts_them_back(two_threads):
    a, b = np.ones((3, 4), np.float32), np.ones((4, 5), np.float32)
    np.testing.assert_array_equal(blas.matmul(a, b), np.full((3, 5), 4))
    assert two_threads == [{1}, {2}]


def test_threads_are_put_back_after_an_error(two_threads):
    with pytest.raises(ValueError):
        blas.matmul(np.ones((3, 4)), np.ones((5, 6)))
    assert two_threads == [{1}, {2}]


def in_another_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_every_thread_can_set_the_threads(two_threads):
    a = np.ones((3, 4), np.float32)
    blas.matmul(a, a.T)
    in_another_thread(lambda: blas.matmul(a, a.T))
    blas.matmul(a, a.T)
    assert two_threads == [{1}, {2}] * 3


def test_the_last_thread_out_puts_them_back(two_threads):
    first, last = blas.one_thread(), blas.one_thread()
    first.__enter__()
    last.__enter__()
    in_another_thread(first.__exit__)
    assert two_threads == [{1}]
    in_another_thread(last.__exit__)
    assert two_threads == [{1}, {2}]


def test_a_large_product_keeps_all_threads(two_threads, monkeypatch):
    monkeypatch.setattr(blas, "SMALL", 3 * 4 * 5)
    blas.matmul(np.ones((2, 3, 4)), np.ones((4, 5)))  # what counts is one matrix of the batch
    assert two_threads == []
    blas.matmul(np.ones((9, 2, 4)), np.ones((4, 5)))
    assert two_threads == [{1}, {2}]


def test_vectors_and_out():
    a, b = np.arange(4.0), np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(blas.matmul(a, b), a @ b)
    np.testing.assert_array_equal(blas.matmul(b.T, a), b.T @ a)
    out = np.empty((3, 3))
    assert blas.matmul(b.T, b, out=out) is out
    np.testing.assert_array_equal(out, b.T @ b)


LARGE = {
    "tall": (4096, 512, 16),
    "wide": (8, 2048, 2048),
    "odd": (301, 397, 211),
}


@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE)
def test_a_large_product_is_divided_among_threads(two_threads, shape):
    """Also of transposed matrices, and with a place for the result."""
    rows, K, columns = shape
    assert rows * K * columns >= blas.SMALL
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((rows, K)), rng.standard_normal((columns, K)).T
    out = np.empty((rows, columns))
    assert blas.matmul(a, b, out=out) is out
    for y in (out, blas.matmul(np.asfortranarray(a), b)):
        np.testing.assert_allclose(y, a @ b, rtol=0, atol=1e-10)
    assert two_threads[0] == {1} and two_threads[-1] == {2}


def test_a_large_product_of_unlike_matrices_is_an_error():
    with pytest.raises(ValueError, match="mismatch"):
        blas.matmul(np.ones((512, 512)), np.ones((511, 512)))
