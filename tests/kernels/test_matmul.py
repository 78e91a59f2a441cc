"""Matrix products: small ones in one thread, which leave the BLAS as it was; large ones divided."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import minidl
from minidl import kernels
from minidl.kernels.cpu import matmul
from minidl.kernels.cpu.threads import blas
from minidl.kernels.reference import matmul as reference


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
    np.testing.assert_array_equal(matmul.product(a, b), np.full((3, 5), 4))
    assert two_threads == [{1}, {2}]


def test_threads_are_put_back_after_an_error(two_threads):
    with pytest.raises(ValueError):
        matmul.product(np.ones((3, 4)), np.ones((5, 6)))
    assert two_threads == [{1}, {2}]


def in_another_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_every_thread_can_set_the_threads(two_threads):
    a = np.ones((3, 4), np.float32)
    matmul.product(a, a.T)
    in_another_thread(lambda: matmul.product(a, a.T))
    matmul.product(a, a.T)
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
    monkeypatch.setattr(matmul, "SMALL", 3 * 4 * 5)
    matmul.product(np.ones((2, 3, 4)), np.ones((4, 5)))  # what counts is one matrix of the batch
    assert two_threads == []
    matmul.product(np.ones((9, 2, 4)), np.ones((4, 5)))
    assert two_threads == [{1}, {2}]


def test_vectors_and_out():
    a, b = np.arange(4.0), np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(matmul.product(a, b), a @ b)
    np.testing.assert_array_equal(matmul.product(b.T, a), b.T @ a)
    out = np.empty((3, 3))
    assert matmul.product(b.T, b, out=out) is out
    np.testing.assert_array_equal(out, b.T @ b)


LARGE = {  # and into how many parts two threads divide them
    "tall": ((4096, 512, 16), 2),
    "wide": ((8, 4096, 2048), 4),
    "odd": ((607, 397, 211), 3),
}


@pytest.mark.parametrize("shape, n_parts", LARGE.values(), ids=LARGE)
def test_a_large_product_is_divided_among_threads(monkeypatch, two_threads, shape, n_parts):
    """Also of transposed matrices, and with a place for the result."""
    rows, K, columns = shape
    shared = []

    def share(function, parts, *arguments):
        shared.append(len(parts))
        plain(function, parts, *arguments)

    plain = matmul.share
    monkeypatch.setattr(matmul, "share", share)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((rows, K)), rng.standard_normal((columns, K)).T
    out = np.empty((rows, columns))
    assert matmul.product(a, b, out=out) is out
    for y in (out, matmul.product(np.asfortranarray(a), b)):
        np.testing.assert_allclose(y, a @ b, rtol=0, atol=1e-10)
    assert shared == [n_parts, n_parts]


def test_other_large_products_are_those_of_numpy(monkeypatch, two_threads):
    """Vectors, stacks, a result over an operand; and where the BLAS has one thread."""
    monkeypatch.setattr(matmul, "multiply", None)
    rng = np.random.default_rng(0)
    square = rng.standard_normal((512, 512))
    for a, b in (
        (rng.standard_normal((2**12, 2**12)), rng.standard_normal(2**12)),
        (np.stack([square, -square]), square),
    ):
        np.testing.assert_array_equal(matmul.product(a, b), a @ b)
    expected, over = square @ square, square.copy()
    np.testing.assert_array_equal(matmul.product(square, over, out=over), expected)
    monkeypatch.setattr(blas, "all_threads", 1)
    matmul.product(square, square)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("K", [2**14, 2**15 + 3])
def test_long_sums_are_divided_among_threads(two_threads, dtype, K):
    """Of a Gram matrix, which stays symmetric to the bit, and of any other product."""
    rng = np.random.default_rng(0)
    x, other = (rng.standard_normal((K, 192)).astype(dtype) for _ in range(2))
    G = matmul.product(x.T, x)
    assert G.dtype == dtype and set(map(frozenset, two_threads)) == {frozenset({1}), frozenset({2})}
    np.testing.assert_array_equal(G, G.T)
    np.testing.assert_allclose(G, x.T.astype(float) @ x, rtol=0, atol=1e-6 * K)
    out = np.empty((192, 192), dtype)
    assert matmul.product(x.T, other, out=out) is out
    np.testing.assert_allclose(out, x.T.astype(float) @ other, rtol=0, atol=1e-6 * K)


def test_long_sums_have_the_same_bits_on_any_number_of_threads(monkeypatch):
    x = np.random.default_rng(0).standard_normal((2**15, 96)).astype(np.float32)
    found = []
    for threads in (2, 3, 8):
        monkeypatch.setattr(blas, "all_threads", threads)
        found.append(matmul.product(x.T, x))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_long_sums_of_integers_keep_their_digits():
    rng = np.random.default_rng(0)
    a, b = rng.integers(-(2**28), 2**28, (40, 2**14)), rng.integers(-(2**28), 2**28, (2**14, 40))
    np.testing.assert_array_equal(matmul.product(a, b), a @ b)


@pytest.mark.parametrize("columns", [40, 192])
def test_long_sums_into_what_does_not_fit_are_an_error(columns):
    x, shape = np.ones((2**14, columns), np.float32), (columns, columns)
    for out in (np.empty((columns, columns + 1), np.float32), np.empty(shape, np.int32)):
        with pytest.raises((ValueError, TypeError)):
            matmul.product(x.T, x, out=out)


@pytest.mark.parametrize(
    "b, out",
    [((511, 512), None), ((512, 512), (256, 512)), ((512, 1024), (512, 512)), ((512, 512), (512,))],
)
def test_a_large_product_of_wrong_shapes_is_an_error(two_threads, b, out):
    out = None if out is None else np.empty(out)
    with pytest.raises(ValueError, match="mismatch|broadcast|dimension"):
        matmul.product(np.ones((512, 512)), np.ones(b), out=out)


@pytest.mark.parametrize(
    "shape", [(2, 3, 300), (300, 3, 2), (1, 1, 1), (0, 3, 4), (4, 0, 3), (5, 3, 0)]
)
@pytest.mark.parametrize("small", [1, 2**24])
def test_a_product_divided_along_either_side(shape, small, monkeypatch):
    monkeypatch.setattr(matmul, "SMALL", small)
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, (m, k)).astype(float), rng.integers(-9, 9, (n, k)).astype(float).T
    out = np.full((m, n), np.nan)
    matmul.multiply(a, b, out)
    np.testing.assert_array_equal(out, a @ b)


def test_the_reference_set_calls_numpy_and_nothing_else(monkeypatch):
    """Linear, LSTM, a convolution and @ under it: no thread is set, no library looked for."""
    monkeypatch.setattr(blas, "set_threads", None)
    monkeypatch.setattr(blas, "find_libraries", None)
    with minidl.use_cpu_kernels("reference"):
        for layer, shape in (
            (minidl.nn.Linear(512, 512), (512, 512)),
            (minidl.nn.LSTM(3, 4), (5, 2, 3)),
            (minidl.nn.Conv2d(3, 4, 3), (2, 3, 6, 6)),
        ):
            y = layer(minidl.ones(*shape, requires_grad=True))
            (y[0] if isinstance(y, tuple) else y).sum().backward()
        x = minidl.ones(512, 512, requires_grad=True)
        (x @ x).sum().backward()


@pytest.mark.parametrize("dtype", ["float16", ">f4", "int32", "bool", "complex64", "object"])
def test_any_dtype_that_numpy_multiplies(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (3, 4)).astype(dtype), rng.integers(0, 2, (4, 5)).astype(dtype)
    for name in ("numba", "reference"):
        with minidl.use_cpu_kernels(name):
            y = kernels.pick("matmul", a).product(a, b)
        np.testing.assert_array_equal(y, a @ b)
        assert y.dtype == (a @ b).dtype


FIRST = {
    "product": "minidl.ones(512, 512) @ minidl.ones(512, 512)",
    "lstm": "minidl.nn.LSTM(256, 256)(minidl.ones(64, 2, 256))",
    "set_num_threads": "minidl.set_num_threads(1)",
    "get_num_threads": "minidl.get_num_threads()",
}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
def test_numba_starts_with_our_settings(first):
    """Whatever needs it first: it reads them when it starts."""
    code = f"""
import os, sys
import minidl
{first}
names = list(sys.modules)
assert names.index("minidl.kernels.cpu") < names.index("numba")
assert os.environ["OMP_WAIT_POLICY"] == "passive" and os.environ["GOMP_SPINCOUNT"] == "10000"
"""
    unset = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize("begun", ["", "product()"], ids=["first", "again"])
def test_a_thread_that_outlives_the_main_thread_computes_alone(begun):
    code = f"""
import threading
import numpy as np
from minidl.kernels.cpu import matmul
from minidl.kernels.cpu.threads import blas

blas.find_libraries()
blas.all_threads = 2

def product():
    print(matmul.product(np.ones((512, 512)), np.ones((512, 512)))[0, 0], flush=True)

def late():
    threading.main_thread().join()
    product()

{begun}
threading.Thread(target=late).start()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.stderr and set(done.stdout.split()) == {"512.0"}


@pytest.mark.parametrize("shape", [(3, 4, 5), (200, 300, 1000), (1000, 300, 200), (40, 4100, 200)])
@pytest.mark.parametrize("kernel", [matmul, reference], ids=["cpu", "reference"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_bias(shape, kernel, dtype):
    """Of small products and of such as are divided by rows or by columns, and of long sums."""
    M, K, N = shape
    rng = np.random.default_rng(0)
    a, b, bias = (rng.standard_normal(size).astype(dtype) for size in ((M, K), (K, N), N))
    bias *= 10
    b = np.asfortranarray(b)  # as the weights of a linear layer are given
    y = kernel.product(a, b, bias=bias)
    right = a.astype(np.float64) @ b.astype(np.float64) + bias
    assert y.dtype == dtype
    limit = {2: 1e-2, 4: 1e-5, 8: 1e-12}[y.itemsize] * K**0.5
    np.testing.assert_allclose(y, right, rtol=limit, atol=limit)
