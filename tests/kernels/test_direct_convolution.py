"""Convolutions without columns: the numbers, the memory around, who uses them."""

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minidl
import models
from minidl.kernels.cpu import conv2d
from minidl.kernels.cpu.convolution import direct
from minidl.kernels.layout import CHANNELS_LAST, arranged, logical
from minidl.kernels.reference import conv2d as reference
from tests.kernels.guards import (
    GuardedNumpy,
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    calls_of,
    each_processor,
    paddings,
    read_only,
    run_in_python,
    with_gaps,
)

PANEL = direct.PANEL


def pictures(rng, *shape):
    """Standard normal, logical (N, C, H, W), channels last in memory."""
    x = rng.standard_normal(shape, dtype=np.float32)
    return logical(arranged(x, CHANNELS_LAST), CHANNELS_LAST)


def problem(seed, N, C, K, size, window, stride, padding):
    rng = np.random.default_rng(seed)
    x, w = pictures(rng, N, C, *size), rng.standard_normal((K, C, *window), dtype=np.float32)
    b = rng.standard_normal(K, dtype=np.float32)
    OH, OW = ((size[i] + padding[i] + padding[i - 2] - window[i]) // stride[i] + 1 for i in (0, 1))
    return x, w, b, pictures(rng, N, K, OH, OW)


def both(x, w, b, gy, *rest):
    geometry = (*rest, (1, 1), 1)
    return direct.forward(x, w, b, *geometry), direct.backward_weight(gy, x, w.shape, *geometry)


def sums(x, w, b, gy, *rest):
    rest = (*rest, (1, 1), 1)
    return (
        reference.forward(x, w, b, *rest),
        reference.backward_weight(gy, x, w.shape, *rest),
    )


def assert_right(x, w, b, gy, *rest):
    """Within 1e-6 of the sum of the sizes of all terms, against sums in float64."""
    exact = [array.astype(np.float64) for array in (x, w, b, gy)]
    sizes = [np.abs(array) for array in exact]
    for actual, right, bound in zip(
        both(x, w, b, gy, *rest), sums(*exact, *rest), sums(*sizes, *rest)
    ):
        assert actual.shape == right.shape and actual.dtype == np.float32
        assert (np.abs(actual - right) <= 1e-6 * bound).all()


RANGES = (1, 17), (1, 8), (1, 4)  # of pictures, of windows, of the stride


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 20), st.integers(1, 3),
    *[st.tuples(st.integers(low, high), st.integers(low, high)) for low, high in RANGES],
    paddings(0, 8),
)  # fmt: skip
def test_any_shape(seed, N, C, panels, size, window, stride, padding):
    """Also where windows see nothing but padding, and with more padding than a window has taps."""
    assume(all(size[i] + padding[i] + padding[i - 2] >= window[i] for i in (0, 1)))
    rest = stride, padding
    assert_right(*problem(seed, N, C, panels * PANEL, size, window, *rest), *rest)


def test_many_bands(monkeypatch):
    """Bands of one row of outputs, and of a few, with a last one that has fewer."""
    rest = (2, 1), (1, 3)
    arrays = problem(1, 2, 5, PANEL, (23, 9), (3, 4), *rest)
    for numbers in (1, 1000, 1500):
        monkeypatch.setattr(direct, "BAND_NUMBERS", numbers)
        assert_right(*arrays, *rest)


@pytest.mark.slow  # compiles everything once more, for arrays that cannot be written to
def test_any_memory():
    """Read-only, in another order, with gaps: the same bits."""
    rest = (2, 1), (1, 2)
    arrays = problem(2, 2, 3, PANEL, (8, 6), (3, 5), *rest)
    expected = both(*arrays, *rest)
    for change in (read_only, np.ascontiguousarray, with_gaps):
        for actual, before in zip(both(*map(change, arrays), *rest), expected):
            np.testing.assert_array_equal(actual, before)


@pytest.mark.parametrize(
    "stride, padding",
    [((1, 1), (1, 1)), ((2, 3), (0, 2)), ((4, 1), (5, 4)), ((2, 2), (0, 1, 3, 2))],
)
@pytest.mark.parametrize("C, K", [(1, PANEL), (3, 2 * PANEL), (7, PANEL)])
def test_stays_inside_its_memory(monkeypatch, C, K, stride, padding):
    assert_stays_inside(monkeypatch, problem(3, 2, C, K, (7, 11), (5, 3), stride, padding), stride,
                        padding)  # fmt: skip


@pytest.mark.parametrize("seed", range(24))
def test_stays_inside_whatever_the_shape(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    window, stride, padding = rng.integers([1, 1, 0], [8, 5, 6], (2, 3)).T.tolist()
    size = [int(rng.integers(max(1, window[i] - 2 * padding[i]), 20)) for i in (0, 1)]
    N, C, panels = (int(rng.integers(1, most)) for most in (4, 18, 4))
    arrays = problem(seed, N, C, panels * PANEL, size, window, stride, padding)
    assert_stays_inside(monkeypatch, arrays, tuple(stride), tuple(padding))


def assert_stays_inside(monkeypatch, arrays, stride, padding):
    """Between NaN and sentinels, with working memory that begins as NaN."""
    expected = both(*arrays, stride, padding)
    guarded = GuardedNumpy()

    @contextmanager
    def scratch(*sizes):
        yield [guarded.empty(size, np.float32) for size in sizes]

    monkeypatch.setattr(direct, "np", guarded)
    monkeypatch.setattr(direct, "aligned", guarded.empty)
    monkeypatch.setattr(direct, "scratch", scratch)
    actual = both(*map(between_nans, arrays), stride, padding)
    assert len(guarded.buffers) >= 4
    guarded.check()
    for now, before in zip(actual, expected):
        np.testing.assert_array_equal(now, before)


def test_nan_reaches_the_windows_that_see_it_and_no_others():
    x, w, b, _ = problem(4, 2, 2, PANEL, (6, 6), (3, 3), (1, 1), (1, 1))
    clean = direct.forward(x, w, b, (1, 1), (1, 1), (1, 1), 1)
    x[1, 0, 2, 3] = np.nan
    y = direct.forward(x, w, b, (1, 1), (1, 1), (1, 1), 1)
    assert np.isnan(y[1, :, 1:4, 2:5]).all()
    y[1, :, 1:4, 2:5] = clean[1, :, 1:4, 2:5]
    np.testing.assert_array_equal(y, clean)


def test_the_same_bits_with_any_number_of_threads():
    """A sum belongs to a part of the pictures, not to a thread."""
    rest = (1, 1), (2, 2)
    arrays = problem(5, 4, 6, 2 * PANEL, (30, 30), (5, 5), *rest)
    assert_same_bits_with_any_number_of_threads(lambda: both(*arrays, *rest))


@each_processor
def test_in_python_the_same_with_checks(width, processor):
    """Without compilation each access is checked, and the numbers are the same."""
    code = f"""
from tests.kernels import test_direct_convolution as t
assert t.PANEL == {2 * width}
rest = (2, 1), (1, 2)
t.assert_right(*t.problem(0, 2, 2, {4 * width}, (5, 6), (3, 2), *rest), *rest)
"""
    run_in_python(code, processor)


def used(monkeypatch):
    return calls_of(monkeypatch, direct, "forward", "backward_weight")


def test_resnet_uses_them_for_its_first_layer_and_where_it_halves_the_maps(monkeypatch):
    called = used(monkeypatch)
    net = models.ResNetCifar(8, width=PANEL / 16)
    with minidl.use_cpu_kernels("numba"):
        net(minidl.randn(2, 3, 64, 64)).sum().backward()
    assert called == ["forward"] * 3 + ["backward_weight"] * 3


@pytest.mark.parametrize(
    "shape, w_shape, rest",
    [
        ((1, 3, 32, 32), (PANEL - 1, 3, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
        ((1, 3, 32, 32), (PANEL, 3, 3, 3), ((1, 1), (1, 1), (2, 2), 1)),
        ((1, 4, 32, 32), (2 * PANEL, 2, 3, 3), ((2, 2), (1, 1), (1, 1), 2)),
        ((1, 3, 32, 32), (PANEL, 3, 1, 1), ((2, 2), (0, 0), (1, 1), 1)),
        ((1, 300, 32, 32), (PANEL, 300, 3, 3), ((2, 2), (0, 0), (1, 1), 1)),
        ((1, 3, 8, 4), (PANEL, 3, 3, 3), ((2, 2), (1, 1), (1, 1), 1)),
        ((1, 32, 40, 40), (1024, 32, 3, 3), ((2, 2), (1, 1), (1, 1), 1)),
        ((0, 3, 32, 32), (PANEL, 3, 3, 3), ((2, 2), (1, 1), (1, 1), 1)),
    ],
    ids=[
        "odd-out",
        "dilation",
        "groups",
        "one-tap",
        "many-taps",
        "narrow",
        "many-weights",
        "no-pictures",
    ],
)
def test_others_are_products_with_columns(monkeypatch, shape, w_shape, rest):
    called = used(monkeypatch)
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(shape, dtype=np.float32), np.ones(w_shape, np.float32)
    y = conv2d.forward(x, w, None, *rest)
    conv2d.backward_weight(y, x, w_shape, *rest)
    conv2d.forward(x.astype(np.float64), w.astype(np.float64), None, *rest)
    assert not called
