"""The likeliest words, panel by panel: the reference's for any scores, and the memory around."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.kernels.cpu import likeliest as kernel
from minidl.kernels.cpu.vector.exponentials import LEAST, MOST
from minidl.kernels.reference import likeliest as reference
from minidl.kernels.unchanging import entries, unchanging
from tests.kernels.guards import (
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    each_processor,
    guarded_scratch,
    run_in_python,
)


def problem(R, V, K, n_banned=2, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    x, w = (rng.standard_normal((n, K)).astype(np.float32) for n in (R, V))
    b = (spread * rng.standard_normal(V)).astype(np.float32)
    return x, w, b, rng.integers(-1, V, (R, n_banned))


def assert_right(x, w, b, banned, k):
    """As the reference in float64; of scores that are nearly equal either may come first."""
    words, log_probs, log_sum = kernel.likeliest(x, w, b, k, banned)
    exact = (array.astype(np.float64) for array in (x, w, b))
    right_words, right, right_sum = reference.likeliest(*exact, k, banned)
    scale = 1e-6 * (1 + np.abs(x) @ np.abs(w).max(axis=0) + np.abs(b).max())
    assert (np.abs(log_sum - right_sum) <= scale).all()
    np.testing.assert_array_equal(np.isfinite(log_probs), np.isfinite(right))
    possible = np.isfinite(right)
    within = np.repeat(scale[:, None], k, 1)[possible]
    assert (np.abs(log_probs[possible] - right[possible]) <= within).all()
    assert (words == right_words)[possible].mean() > 0.9 or len(words) * k < 10
    for row, numbers in enumerate(words):
        kept = numbers[possible[row]]
        assert len({*kept}) == len(kept) and not {*kept} & {*banned[row]}


@settings(max_examples=60, deadline=None)
@given(
    R=st.integers(1, 40), V=st.integers(8, 700), K=st.integers(1, 70), k=st.integers(1, 9),
    n_banned=st.integers(0, 4), spread=st.sampled_from([0.0, 1.0, 30.0, 200.0]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_is_the_reference(R, V, K, k, n_banned, spread, seed):
    """Scores far apart, too: what exponentials are relative to changes on the way."""
    assert_right(*problem(R, V, K, n_banned, seed, spread), min(k, V))


@pytest.mark.parametrize("step", [-3.0, 0.5, 5.0, MOST - 1, MOST + 1, 1000.0])
def test_scores_that_rise_or_fall(step):
    """From panel to panel by steps small and large, and with K beyond what is added up at once."""
    x, w, b, banned = problem(3, 900, 600)
    b[:] = step * (np.arange(900) // 100)
    assert_right(x / 100, w, b, banned, 4)


def test_equal_scores_come_in_order():
    x, w, b = (
        np.ones((5, 3), np.float32),
        np.ones((2000, 3), np.float32),
        np.zeros(2000, np.float32),
    )
    banned = np.array([[1], [0], [-1], [2], [1999]])
    words, log_probs, log_sum = kernel.likeliest(x, w, b, 3, banned)
    assert words.tolist() == [[0, 2, 3], [1, 2, 3], [0, 1, 2], [0, 1, 3], [0, 1, 2]]
    np.testing.assert_allclose(log_sum, 3 + math.log(2000), rtol=1e-7)
    np.testing.assert_allclose(log_probs, -math.log(2000), rtol=1e-6)


def test_unusual_scores():
    """-inf has no part in it; with a NaN, or inf, nothing is likely; all others may be banned."""
    x, w = np.ones((1, 1), np.float32), np.ones((64, 1), np.float32)
    b = np.full(64, -np.inf, np.float32)
    b[[7, 60]] = 1, 2
    words, log_probs, _ = kernel.likeliest(x, w, b, 3, np.array([[60]]))
    assert words[0, 0] == 7 and log_probs[0, 0] == pytest.approx(-1 - math.log1p(math.exp(-1)))
    assert (log_probs[0, 1:] == -np.inf).all()
    for strange in (np.nan, np.inf):
        b[9] = strange
        assert np.isnan(kernel.likeliest(x, w, b, 3, np.array([[60]]))[2]).all()
    b[:] = -np.inf
    assert np.isnan(kernel.likeliest(x, w, b, 3, np.array([[60]]))[2]).all()


@pytest.mark.parametrize("R, V, K", [(1, 33, 5), (9, 64, 7), (15, 700, 600)])
def test_stays_inside_its_memory(monkeypatch, R, V, K):
    x, w, b, banned = problem(R, V, K)
    expected = kernel.likeliest(x, w, b, 3, banned)
    guarded = guarded_scratch(monkeypatch)
    for now, before in zip(kernel.likeliest(*map(between_nans, (x, w, b)), 3, banned), expected):
        np.testing.assert_array_equal(now, before)
    assert len(guarded.buffers) >= 2
    guarded.check()


def test_the_same_bits_with_any_number_of_threads_and_in_any_company():
    x, w, b, banned = problem(20, 3000, 400)
    assert_same_bits_with_any_number_of_threads(lambda: kernel.likeliest(x, w, b, 3, banned))
    together = kernel.likeliest(x, w, b, 3, banned)
    for part in (slice(0, 1), slice(3, 9), slice(2, 17)):
        for alone, all_ in zip(kernel.likeliest(x[part], w, b, 3, banned[part]), together):
            np.testing.assert_array_equal(alone, all_[part])


def test_panels_are_made_once(monkeypatch):
    made, original = [], kernel.make_panels
    monkeypatch.setattr(kernel, "make_panels", lambda w: made.append(w) or original(w))
    x, w, b, banned = problem(2, 40, 8)
    with unchanging([w]):
        for _ in range(2):
            assert_right(x, w, b, banned, 2)
    assert len(made) == 1 and not entries


@each_processor
def test_in_python_the_same_with_checks(width, processor):
    code = f"""
from tests.kernels import test_likeliest as t
from minidl.kernels.cpu.vector import exponentials as e
assert e.WIDTH == {width} and e.AT_ONCE * e.WIDTH == t.kernel.PANEL
t.assert_right(*t.problem(3, {2 * width + 3}, 5), 2)
"""
    run_in_python(code, processor)


def test_exponentials():
    """Of numbers from MOST down: to 2e-7 of the result, 0 below LEAST, NaN of NaN."""
    from minidl.kernels.cpu.cross_entropy import slopes_of

    x = np.concatenate([np.linspace(LEAST, MOST, 2**16), [-0.0, np.nan, -np.inf, LEAST - 1]])
    x, y = x.astype(np.float32), np.empty(len(x), np.float32)
    slopes_of(x, np.float32(0), np.float32(1), y)
    with np.errstate(invalid="ignore"):
        right = np.exp(x.astype(np.float64))
    within = x >= LEAST
    assert np.abs(y[within] / right[within] - 1).max() < 2e-7
    assert np.isnan(y[-3]) and y[-2] == 0 and y[-1] <= 2e-38
