"""Depthwise convolutions: the numbers, the memory around, who uses them."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minidl
from minidl.kernels.cpu.convolution import depthwise
from minidl.kernels.layout import CHANNELS_LAST, arranged, logical
from minidl.kernels.reference import conv2d as reference
from minidl.nn import functional as F
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

WIDTH = depthwise.WIDTH


def pictures(rng, *shape):
    """Standard normal, logical (N, C, H, W), channels last in memory."""
    x = rng.standard_normal(shape, dtype=np.float32)
    return logical(arranged(x, CHANNELS_LAST), CHANNELS_LAST)


def problem(seed, N, C, m, size, window, stride, padding, dilation=(1, 1)):
    """x, w, b, gy of C channels with m windows each."""
    rng = np.random.default_rng(seed)
    K, places = C * m, []
    for i in (0, 1):
        room = size[i] + padding[i] + padding[i - 2] - dilation[i] * (window[i] - 1) - 1
        places.append(room // stride[i] + 1)
    w, b = rng.standard_normal((K, 1, *window), np.float32), rng.standard_normal(K, np.float32)
    return pictures(rng, N, C, *size), w, b, pictures(rng, N, K, *places)


def all_three(kernel, x, w, b, gy, *geometry):
    geometry = *geometry, x.shape[1]
    return (
        kernel.forward(x, w, b, *geometry),
        kernel.backward_input(gy, w, x.shape, *geometry),
        kernel.backward_weight(gy, x, w.shape, *geometry),
    )


def assert_right(x, w, b, gy, *geometry):
    """Within 1e-6 of the sum of the sizes of all terms, against sums in float64."""
    exact = [array.astype(np.float64) for array in (x, w, b, gy)]
    sizes = [np.abs(array) for array in exact]
    for actual, right, bound in zip(
        all_three(depthwise, x, w, b, gy, *geometry),
        all_three(reference, *exact, *geometry),
        all_three(reference, *sizes, *geometry),
    ):
        assert actual.shape == right.shape and actual.dtype == np.float32
        assert (np.abs(actual - right) <= 1e-6 * bound).all()


RANGES = (1, 33), (1, 8), (1, 4), (1, 3)  # of pictures, of windows, of the stride, of the dilation


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(1, 3), st.integers(0, 2 * WIDTH), st.integers(1, 3),
    *[st.tuples(st.integers(low, high), st.integers(low, high)) for low, high in RANGES],
    paddings(0, 8),
)  # fmt: skip
def test_any_shape(seed, N, more, m, size, window, stride, dilation, padding):
    """Also where windows see nothing but padding, and with more padding than a window has taps."""
    span = [dilation[i] * (window[i] - 1) + 1 for i in (0, 1)]
    assume(all(size[i] + padding[i] + padding[i - 2] >= span[i] for i in (0, 1)))
    geometry = stride, padding, dilation
    assert_right(*problem(seed, N, WIDTH + more, m, size, window, *geometry), *geometry)


@pytest.mark.parametrize("window", [(3, 3), (5, 5), (2, 4), (7, 1)])
@pytest.mark.parametrize("stride, dilation", [((1, 1), (1, 1)), ((2, 2), (1, 1)), ((3, 2), (2, 3))])
def test_float64(window, stride, dilation):
    geometry = stride, (2, 1, 3, 4), dilation
    x, w, b, gy = problem(0, 2, WIDTH + 3, 1, (19, 33), window, *geometry)
    arrays = [array.astype(np.float64) for array in (x, w, b, gy)]
    for actual, right in zip(
        all_three(depthwise, *arrays, *geometry), all_three(reference, *arrays, *geometry)
    ):
        assert actual.dtype == np.float64
        np.testing.assert_allclose(actual, right, rtol=0, atol=1e-12 * np.abs(right).max())


@pytest.mark.slow  # compiles everything once more, for arrays that cannot be written to
def test_any_memory():
    """Read-only, in another order, with gaps: the same bits."""
    geometry = (2, 1), (1, 2), (1, 1)
    arrays = problem(2, 2, WIDTH + 1, 1, (8, 6), (3, 5), *geometry)
    expected = all_three(depthwise, *arrays, *geometry)
    for change in (read_only, np.ascontiguousarray, with_gaps):
        for actual, before in zip(all_three(depthwise, *map(change, arrays), *geometry), expected):
            np.testing.assert_array_equal(actual, before)


@pytest.mark.parametrize("seed", [0, 1, 2, 17, 30])
def test_stays_inside_its_memory(monkeypatch, seed):
    assert_stays_inside(monkeypatch, seed)


@pytest.mark.parametrize("seed", range(3, 40))
def test_stays_inside_whatever_the_shape(monkeypatch, seed):
    assert_stays_inside(monkeypatch, seed)


def assert_stays_inside(monkeypatch, seed):
    """Between NaN and sentinels; of all kinds of windows, the usual ones first."""
    rng = np.random.default_rng(seed)
    window = [int(rng.choice([3, 5])) if seed < 16 else int(rng.integers(1, 8)) for _ in (0, 1)]
    stride = tuple(rng.integers(1, 3 if seed < 16 else 5, 2).tolist())
    dilation = (1, 1) if seed < 24 else tuple(rng.integers(1, 4, 2).tolist())
    padding = tuple(rng.integers(0, 5, 4 if seed % 2 else 2).tolist())
    size = [
        int(rng.integers(max(1, dilation[i] * (window[i] - 1) + 1 - padding[i]), 40))
        for i in (0, 1)
    ]
    geometry = stride, padding, dilation
    C, m = WIDTH + int(rng.integers(0, 2 * WIDTH)), 1 + seed // 30
    arrays = problem(seed, int(rng.integers(1, 4)), C, m, size, window, *geometry)
    expected = all_three(depthwise, *arrays, *geometry)
    guarded = GuardedNumpy()
    monkeypatch.setattr(depthwise, "np", guarded)
    monkeypatch.setattr(depthwise, "aligned", guarded.empty)
    actual = all_three(depthwise, *map(between_nans, arrays), *geometry)
    assert len(guarded.buffers) >= 4
    guarded.check()
    for now, before in zip(actual, expected):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_nan_and_infinity_reach_what_sees_them_and_nothing_else(number, stride):
    """Blocks that are not full among them: 0 for a missing output times infinity would be NaN."""
    geometry = stride, (1, 1), (1, 1)
    x, w, b, gy = problem(4, 2, WIDTH, 1, (9, 10), (3, 3), *geometry)
    for array, at in ((x, (1, 3, 4, 9)), (x, (0, 5, 8, 8)), (gy, (1, 2, 3, 4))):
        array[at] = number
    with np.errstate(invalid="ignore"):
        expected = all_three(reference, x, w, b, gy, *geometry)
        actual = all_three(depthwise, x, w, b, gy, *geometry)
    for now, right in zip(actual, expected):
        assert not np.isfinite(right).all()
        np.testing.assert_array_equal(np.isfinite(now), np.isfinite(right))


def test_sums_of_a_million_equal_terms():
    """In float32, to 1e-6; one after the other they would be wrong by a percent."""
    N, P = 5, 448
    x, gy = (np.full((N, P, P, WIDTH), 0.1, np.float32).transpose(0, 3, 1, 2) for _ in range(2))
    for kernel in (depthwise, reference):
        gw = kernel.backward_weight(gy, x, (WIDTH, 1, 1, 1), (1, 1), (0, 0), (1, 1), WIDTH)
        product = float(np.float32(0.1)) ** 2
        np.testing.assert_allclose(gw, N * P * P * product, rtol=1e-6)


def test_the_same_bits_with_any_number_of_threads():
    """A sum belongs to a part of the rows, not to a thread."""
    geometry = (1, 1), (2, 2), (1, 1)
    arrays = problem(5, 8, 4 * WIDTH, 1, (40, 40), (5, 5), *geometry)
    assert_same_bits_with_any_number_of_threads(lambda: all_three(depthwise, *arrays, *geometry))


@each_processor
def test_in_python_the_same_with_checks(width, processor):
    """Without compilation each access is checked, and the numbers are the same."""
    code = f"""
from tests.kernels import test_depthwise as t
assert t.WIDTH == {width}
for window, stride in [((3, 3), (1, 1)), ((5, 3), (2, 2)), ((2, 4), (1, 3))]:
    geometry = stride, (1, 2), (1, 1)
    t.assert_right(*t.problem(0, 2, {width + 3}, 1, (5, 9), window, *geometry), *geometry)
"""
    run_in_python(code, processor)


def test_depthwise_layers_use_them_and_others_do_not(monkeypatch):
    called = calls_of(monkeypatch, depthwise, "forward", "backward_input", "backward_weight")
    C = 2 * WIDTH
    x = minidl.randn(2, C, 9, 9, requires_grad=True)
    with minidl.use_cpu_kernels("numba"):
        for m in (1, 2):
            F.conv2d(x, minidl.ones(m * C, 1, 3, 3, requires_grad=True), groups=C).sum().backward()
        assert called == ["forward", "backward_input", "backward_weight"] * 2
        F.conv2d(x, minidl.ones(C, 2, 3, 3), groups=WIDTH)
        F.conv2d(x[:, :1], minidl.ones(C, 1, 3, 3))
        F.conv2d(x[:0], minidl.ones(C, 1, 3, 3), groups=C)
    assert len(called) == 6


@pytest.mark.parametrize("shape", [(1, 500_000), (2, 30_000), (500_000, 1)])
def test_gradient_of_w_of_very_wide_and_high_pictures(shape):
    """Right to 1e-6: rows of any length are added up in float32 for some blocks only."""
    x = np.full((1, 16, *shape), 0.1, np.float32)
    gw = depthwise.backward_weight(x, x, (16, 1, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 16)
    right = shape[0] * shape[1] * float(np.float32(0.1)) ** 2
    assert np.abs(gw / right - 1).max() <= 1e-6
