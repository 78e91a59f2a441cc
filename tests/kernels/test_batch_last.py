"""Convolutions with the batch last in memory: the numbers, the memory around, who uses them."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minidl
import models
from minidl.kernels.cpu import avg_pool2d, conv2d, max_pool2d
from minidl.kernels.cpu.convolution import batch_last
from minidl.kernels.layout import BATCH_LAST, CHANNELS_LAST, arranged, logical, order_of
from minidl.kernels.reference import conv2d as reference
from minidl.kernels.reference import max_pool2d as reference_max_pool
from minidl.nn import functional
from tests.kernels.guards import (
    GuardedNumpy,
    between_nans,
    calls_of,
    each_processor,
    paddings,
    read_only,
    run_in_python,
    with_gaps,
)

LANES = batch_last.LANES


def pictures(rng, *shape):
    """Standard normal, logical (N, C, H, W), the batch last in memory."""
    x = rng.standard_normal(shape, dtype=np.float32)
    return logical(arranged(x, BATCH_LAST), BATCH_LAST)


def problem(seed, N, C, K, size, window, padding):
    rng = np.random.default_rng(seed)
    x, w = pictures(rng, N, C, *size), rng.standard_normal((K, C, *window), dtype=np.float32)
    b = rng.standard_normal(K, dtype=np.float32)
    OH, OW = (size[i] + padding[i] + padding[i - 2] - window[i] + 1 for i in (0, 1))
    return x, w, b, pictures(rng, N, K, OH, OW)


def all_four(x, w, b, gy, padding):
    geometry = (1, 1), padding, (1, 1), 1
    return (
        batch_last.forward(x, w, b, *geometry),
        batch_last.backward_input(gy, w, x.shape, *geometry),
        batch_last.backward_weight(gy, x, w.shape, *geometry),
        conv2d.backward_bias(gy),
    )


def assert_right(x, w, b, gy, padding):
    """Within 1e-6 of the sum of the sizes of all terms, against sums in float64."""
    exact = [array.astype(np.float64) for array in (x, w, b, gy)]
    sizes = [np.abs(array) for array in exact]
    for actual, right, bound in zip(
        all_four(x, w, b, gy, padding), sums(*exact, padding), sums(*sizes, padding)
    ):
        assert actual.shape == right.shape and actual.dtype == np.float32
        assert (np.abs(actual - right) <= 1e-6 * bound).all()


def sums(x, w, b, gy, padding):
    rest = ((1, 1), padding, (1, 1), 1)
    return (
        reference.forward(x, w, b, *rest),
        reference.backward_input(gy, w, x.shape, *rest),
        reference.backward_weight(gy, x, w.shape, *rest),
        reference.backward_bias(gy),
    )


RANGES = (1, 9), (1, 5)  # of the size of pictures, of windows


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 32), st.integers(1, 32),
    *[st.tuples(st.integers(low, high), st.integers(low, high)) for low, high in RANGES],
    paddings(0, 6),
)  # fmt: skip
def test_any_shape(seed, blocks, C, K, size, window, padding):
    """Also where windows see nothing but padding, and with more padding than a window has taps."""
    assume(all(size[i] + padding[i] + padding[i - 2] >= window[i] for i in (0, 1)))
    assert_right(*problem(seed, blocks * LANES, C, K, size, window, padding), padding)


@pytest.mark.slow  # compiles everything once more, for arrays that cannot be written to
def test_any_memory():
    """Read-only, in another order, with gaps: the same bits."""
    arrays = problem(1, LANES, 3, 7, (8, 6), (3, 5), (1, 2))
    expected = all_four(*arrays, (1, 2))
    for change in (read_only, np.ascontiguousarray, with_gaps):
        for actual, before in zip(all_four(*map(change, arrays), (1, 2)), expected):
            np.testing.assert_array_equal(actual, before)


@pytest.mark.parametrize("padding", [(0, 0), (1, 2), (4, 4), (0, 2, 3, 1)])
@pytest.mark.parametrize("C, K", [(1, 6), (6, 16), (5, 1), (2, 11)])
def test_stays_inside_its_memory(monkeypatch, C, K, padding):
    assert_stays_inside(monkeypatch, problem(2, LANES, C, K, (7, 5), (5, 3), padding), padding)


@pytest.mark.parametrize("seed", range(24))
def test_stays_inside_whatever_the_shape(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    window, padding = rng.integers([1, 0], [7, 7], (2, 2)).T.tolist()
    size = [int(rng.integers(max(1, window[i] - 2 * padding[i]), 12)) for i in (0, 1)]
    blocks, C, K = (int(rng.integers(1, most)) for most in (4, 33, 33))
    arrays = problem(seed, blocks * LANES, C, K, size, window, padding)
    assert_stays_inside(monkeypatch, arrays, tuple(padding))


def assert_stays_inside(monkeypatch, arrays, padding):
    """Between NaN and sentinels."""
    expected = all_four(*arrays, padding)
    guarded = GuardedNumpy()
    monkeypatch.setattr(batch_last, "np", guarded)
    actual = all_four(*[between_nans(array, BATCH_LAST) for array in arrays], padding)
    assert len(guarded.buffers) >= 6
    guarded.check()
    for now, before in zip(actual, expected):
        np.testing.assert_array_equal(now, before)


def test_nan_reaches_the_windows_that_see_it_and_no_others():
    x, w, b, _ = problem(3, LANES, 2, 3, (6, 6), (3, 3), (1, 1))
    clean = batch_last.forward(x, w, b, (1, 1), (1, 1), (1, 1), 1)
    x[1, 0, 2, 3] = np.nan
    y = batch_last.forward(x, w, b, (1, 1), (1, 1), (1, 1), 1)
    assert np.isnan(y[1, :, 1:4, 2:5]).all()
    y[1, :, 1:4, 2:5] = clean[1, :, 1:4, 2:5]
    np.testing.assert_array_equal(y, clean)


def test_the_same_bits_every_time():
    arrays = problem(4, 2 * LANES, 6, 16, (14, 14), (5, 5), (0, 0))
    first = all_four(*arrays, (0, 0))
    for _ in range(5):
        for again, before in zip(all_four(*arrays, (0, 0)), first):
            np.testing.assert_array_equal(again, before)


@each_processor
def test_in_python_the_same_with_checks(width, processor):
    """Without compilation each access is checked, and the numbers are the same."""
    code = f"""
from tests.kernels import test_batch_last as t
assert t.LANES == {2 * width}
t.assert_right(*t.problem(0, {2 * width}, 2, 15, (4, 5), (3, 2), (1, 1)), (1, 1))
"""
    run_in_python(code, processor)


@pytest.mark.parametrize("order", [CHANNELS_LAST, BATCH_LAST])
def test_pools_keep_the_order(order):
    """And compute in either what the reference does."""
    rng = np.random.default_rng(5)
    x = logical(arranged(rng.standard_normal((LANES, 3, 7, 6), dtype=np.float32), order), order)
    geometry = ((3, 2), (2, 2), (1, 0), (1, 1))
    y, indices = max_pool2d.forward(x, *geometry, (4, 3))
    gy = rng.standard_normal(y.shape, dtype=np.float32)
    gx = max_pool2d.backward(gy, indices, x.shape, *geometry)
    expected, expected_indices = reference_max_pool.forward(x, *geometry, (4, 3))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_allclose(
        gx, reference_max_pool.backward(gy, expected_indices, x.shape, *geometry), rtol=1e-6
    )
    with minidl.use_cpu_kernels("numba"):
        average = functional.avg_pool2d(minidl.Tensor(x), 2).data
    np.testing.assert_allclose(
        average, x[:, :, :6].reshape(LANES, 3, 3, 2, 3, 2).mean(axis=(3, 5)), rtol=1e-4, atol=1e-6
    )
    windows = [np.array(bounds) for bounds in ([0, 2, 4], [2, 4, 6], [0, 2, 4], [2, 4, 6])]
    spread = avg_pool2d.backward(
        logical(arranged(average, order), order), x.shape, windows[:2], windows[2:],
        np.full(3, 2), np.full(3, 2),
    )  # fmt: skip
    np.testing.assert_array_equal(spread[:, :, :6], np.kron(average / 4, np.ones((2, 2))))
    for array in (y, indices, gx, average, spread):
        assert order_of(array) == order


def used(monkeypatch):
    return calls_of(monkeypatch, batch_last, "forward", "backward_input", "backward_weight")


def test_lenet_uses_them_throughout(monkeypatch):
    called = used(monkeypatch)
    net = models.lenet5()
    x = minidl.randn(2 * LANES, 1, 32, 32)
    with minidl.use_cpu_kernels("numba"):
        net(x).sum().backward()
    assert called == ["forward", "forward", "backward_input", "backward_weight", "backward_weight"]


@pytest.mark.parametrize(
    "shape, w_shape, rest",
    [
        ((LANES, 3, 8, 8), (16, 3, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
        ((LANES, 8, 8, 8), (8, 8, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
        ((LANES, 3, 8, 8), (6, 3, 3, 3), ((2, 2), (1, 1), (1, 1), 1)),
        ((LANES, 3, 8, 8), (6, 3, 3, 3), ((1, 1), (1, 1), (2, 2), 1)),
        ((LANES - 1, 3, 8, 8), (6, 3, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
        ((0, 3, 8, 8), (6, 3, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
    ],
    ids=["many-out", "many-in", "stride", "dilation", "odd-batch", "no-pictures"],
)
def test_others_are_products_over_channels(monkeypatch, shape, w_shape, rest):
    called = used(monkeypatch)
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(shape, dtype=np.float32), np.ones(w_shape, np.float32)
    y = conv2d.forward(x, w, None, *rest)
    gy = np.ascontiguousarray(y.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if len(x):
        conv2d.backward_input(gy, w, shape, *rest)
        conv2d.backward_weight(gy, x, w_shape, *rest)
    conv2d.forward(x.astype(np.float64), w.astype(np.float64), None, *rest)
    assert not called
