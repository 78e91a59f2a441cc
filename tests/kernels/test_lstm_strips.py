"""The LSTM's compiled walk through time: the numbers, the memory around, any number of threads."""

from contextlib import contextmanager

import numpy as np
import pytest

from minidl.kernels.cpu import lstm
from minidl.kernels.cpu.vector.matrix_product import AT_ONCE
from minidl.kernels.reference import lstm as reference
from minidl.kernels.unchanging import unchanging
from tests.kernels.guards import (
    GuardedNumpy,
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    each_processor,
    guarded_scratch,
    run_in_python,
)

PANEL = lstm.PANEL


@pytest.fixture(autouse=True)
def panels_for_any_number_of_steps(monkeypatch):
    monkeypatch.setattr(lstm, "FEW_STEPS", 1)


def problem(T, N, H, dtype=np.float32, seed=0):
    """z, h0, c0, w_hh and which steps belong to a sequence; gradients of y, h and c."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((T, N, 4 * H)).astype(dtype)
    w_hh = (rng.standard_normal((4 * H, H)) / H**0.5).astype(dtype)
    h0, c0, gh, gc = rng.standard_normal((4, N, H)).astype(dtype)
    gy = rng.standard_normal((T, N, H)).astype(dtype)
    return (z, h0, c0, w_hh, rng.random((T, N)) < 0.7), (gy, gh, gc)


def both(kernel, arrays, gradients):
    *_, w_hh, valid = arrays
    h, c, gates = kernel.forward(*arrays)
    return h, c, gates, *kernel.backward(*gradients, c, gates, w_hh, valid)


def assert_right(arrays, gradients):
    """As the reference in float64, up to what tanh and float32 round."""
    exact = [[array.astype(np.float64) for array in group] for group in (arrays, gradients)]
    exact[0][-1] = arrays[-1]
    for actual, right in zip(both(lstm, arrays, gradients), both(reference, *exact)):
        assert actual.shape == right.shape and actual.dtype == arrays[0].dtype
        np.testing.assert_allclose(actual, right, rtol=0, atol=1e-5 * np.abs(right).max())


@pytest.mark.parametrize("T, N", [(1, 1), (3, 4), (4, 7), (2, 33)])
@pytest.mark.parametrize("H", [1, 5, PANEL, 3 * PANEL, 4 * PANEL, 8 * PANEL, AT_ONCE + PANEL])
def test_as_the_reference(H, T, N):
    """Panels, strips of several, products in parts; and hidden sizes that have none of these."""
    assert_right(*problem(T, N, H))


def test_a_few_steps_have_no_panels(monkeypatch):
    """To bring the weights there takes longer than the products."""
    monkeypatch.setattr(lstm, "FEW_STEPS", 8)
    assert not lstm.has_panels(np.ones((7, 1, 4 * PANEL), np.float32), PANEL)
    assert lstm.has_panels(np.ones((8, 1, 4 * PANEL), np.float32), PANEL)
    for T in (1, 7, 8):
        assert_right(*problem(T, 3, PANEL))


def test_float64_has_no_panels():
    assert not lstm.has_panels(np.ones((8, 1, 4 * PANEL)), PANEL)
    assert_right(*problem(3, 2, PANEL, np.float64))


@pytest.mark.parametrize("shape", [(0, 2, PANEL), (2, 0, PANEL)], ids=["no-steps", "no-sequences"])
def test_nothing(shape):
    for actual, right in zip(both(lstm, *problem(*shape)), both(reference, *problem(*shape))):
        np.testing.assert_array_equal(actual, right)


@pytest.mark.parametrize("N", [1, 4, 5, 9])
@pytest.mark.parametrize("panels", [1, 4])
def test_stays_inside_its_memory(monkeypatch, N, panels):
    assert_stays_inside(monkeypatch, 3, N, panels)


@pytest.mark.parametrize("T", [1, 3, 6])
@pytest.mark.parametrize("N", [1, 6, 14, 31])
@pytest.mark.parametrize("panels", [1, 2, 3, 7, 8])
def test_stays_inside_whatever_the_shape(monkeypatch, T, N, panels):
    assert_stays_inside(monkeypatch, T, N, panels)


def assert_stays_inside(monkeypatch, T, N, panels):
    """Between NaN and sentinels, with working memory that begins as NaN."""
    arrays, gradients = problem(T, N, panels * PANEL)
    expected = both(lstm, arrays, gradients)
    guarded = GuardedNumpy()

    @contextmanager
    def scratch(*sizes):
        yield [guarded.empty(size, np.float32) for size in sizes]

    monkeypatch.setattr(lstm, "np", guarded)
    monkeypatch.setattr(lstm, "scratch", scratch)
    arrays = *map(between_nans, arrays[:-1]), arrays[-1]
    actual = both(lstm, arrays, tuple(map(between_nans, gradients)))
    assert len(guarded.buffers) >= 9
    guarded.check()
    for now, before in zip(actual, expected):
        np.testing.assert_array_equal(now, before)


def test_the_same_bits_with_any_number_of_threads():
    arrays, gradients = problem(3, 64, 8 * PANEL)
    assert_same_bits_with_any_number_of_threads(lambda: both(lstm, arrays, gradients))


def step_problem(N, size, H, dtype=np.float32):
    rng = np.random.default_rng(N)
    shapes = (N, size), (N, H), (N, H), (4 * H, size), (4 * H, H), (4 * H,)
    return [(rng.standard_normal(shape) / shape[-1] ** 0.5).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("N, size", [(1, 3), (5, 40), (33, 600)])
@pytest.mark.parametrize("H", [5, PANEL, 3 * PANEL])
def test_a_step_of_which_nothing_is_kept(monkeypatch, N, size, H):
    """With panels where the weights are promised to stay, and without; inside its memory."""
    arrays = [between_nans(array) for array in step_problem(N, size, H)]
    right = reference.step(*(array.astype(np.float64) for array in arrays))
    without = lstm.step(*arrays)
    guarded = guarded_scratch(monkeypatch)
    with unchanging(arrays[3:5]):
        for ours in (without, lstm.step(*arrays)):
            for actual, expected in zip(ours, right):
                np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)
    assert len(guarded.buffers) >= 2 or H % PANEL
    guarded.check()


def test_a_step_has_the_same_bits_with_any_number_of_threads():
    arrays = step_problem(40, 300, 8 * PANEL)
    with unchanging(arrays[3:5]):
        assert_same_bits_with_any_number_of_threads(lambda: lstm.step(*arrays))


@each_processor
def test_in_python_the_same_with_checks(width, processor):
    """Without compilation each access is checked, and the numbers are the same."""
    code = f"""
from tests.kernels import test_lstm_strips as t
assert t.PANEL == {2 * width}
t.assert_right(*t.problem(8, 1, {2 * width}))
arrays = t.step_problem(2, 3, {2 * width})
with t.unchanging(arrays[3:5]):
    for a, b in zip(t.lstm.step(*arrays), t.reference.step(*arrays)):
        t.np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
"""
    run_in_python(code, processor)
