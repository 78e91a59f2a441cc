"""A step of words: the reference's numbers, the memory around, and what is kept of words."""

from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.kernels.cpu import word_step as kernel
from minidl.kernels.cpu.vector.matrix_product import PANEL
from minidl.kernels.reference import word_step as reference
from minidl.kernels.unchanging import entries, unchanging
from tests.kernels.guards import (
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    each_processor,
    guarded_scratch,
    run_in_python,
)


def problem(N, S, H=PANEL, V=50, I=5, seed=0):
    """words, embedding, h, c, parents, w_ih, w_hh, b"""
    rng = np.random.default_rng(seed)
    shapes = (V, I), (S, H), (S, H), (4 * H, I), (4 * H, H), (4 * H,)
    embedding, h, c, *weights = (
        (rng.standard_normal(shape) / shape[-1] ** 0.5).astype(np.float32) for shape in shapes
    )
    return rng.integers(0, V, N), embedding, h, c, rng.integers(0, S, N), *weights


def weights_of(arrays):
    """Those that are promised to stay: the embedding, and both of the LSTM."""
    return [arrays[i] for i in (1, 5, 6)]


def assert_right(arrays):
    exact = [x.astype(np.float64) if x.dtype == np.float32 else x for x in arrays]
    for ours, right in zip(kernel.word_step(*arrays), reference.word_step(*exact)):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, right, rtol=0, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    N=st.integers(1, 40), S=st.integers(1, 40), H=st.sampled_from([5, PANEL, 3 * PANEL]),
    V=st.integers(1, 60), I=st.integers(1, 40), promised=st.sampled_from([0, 2, 3]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_is_the_reference(N, S, H, V, I, promised, seed):
    """Twice, with nothing promised, the LSTM's weights, or the embedding as well."""
    arrays = problem(N, S, H, V, I, seed)
    with unchanging(weights_of(arrays)[3 - promised :]):
        for _ in range(2):
            assert_right(arrays)


@pytest.mark.parametrize("N, S, I", [(1, 1, 3), (7, 7, 40), (33, 9, 600), (9, 33, 5)])
def test_stays_inside_its_memory(monkeypatch, N, S, I):
    arrays = problem(N, S, 3 * PANEL, I=I)
    guarded = guarded_scratch(monkeypatch)
    monkeypatch.setattr(kernel, "aligned", guarded.empty)
    arrays = tuple(between_nans(x) if x.dtype == np.float32 else x for x in arrays)
    with unchanging(weights_of(arrays)):
        for seed in range(3):
            words = problem(N, S, seed=seed)[0]
            assert_right((words, *arrays[1:]))
    with unchanging(weights_of(arrays)[1:]):
        assert_right(arrays)
    assert len(guarded.buffers) >= 4
    guarded.check()


def test_the_same_bits_with_any_number_of_threads_and_in_any_company():
    """And whether words were read before or not."""
    arrays = problem(40, 30, 8 * PANEL, I=300)
    words, embedding, h, c, parents, *weights = arrays
    with unchanging(weights_of(arrays)[1:]):
        assert_same_bits_with_any_number_of_threads(lambda: kernel.word_step(*arrays))
        together = kernel.word_step(*arrays)
    with unchanging(weights_of(arrays)):
        for part in (slice(0, 1), slice(3, 9), slice(2, 17), slice(0, 40)):
            alone = kernel.word_step(words[part], embedding, h, c, parents[part], *weights)
            for ours, right in zip(alone, together):
                np.testing.assert_array_equal(ours, right[part])


def computed(monkeypatch):
    """How many words each step computes, in a list that grows."""
    counts, original = [], kernel.step_with_panels

    def step(x, new, *others):
        counts.append(len(new))
        return original(x, new, *others)

    monkeypatch.setattr(kernel, "step_with_panels", step)
    return counts


def test_a_word_is_computed_once(monkeypatch):
    counts, (_, *others) = computed(monkeypatch), problem(6, 4)
    for outer in (unchanging(weights_of([0, *others])), nullcontext()):
        with outer:
            for words in ([3, 3, 7, 3, 7, 7], [7, 3, 9, 9, 1, 9], [1, 9, 3, 7, 7, 7]):
                with unchanging(weights_of([0, *others])):
                    assert_right((np.array(words), *others))
    assert counts == [2, 2, 0] + [2, 4, 4]


def test_words_are_forgotten_where_there_is_no_room(monkeypatch):
    counts, (_, *others) = computed(monkeypatch), problem(6, 4)
    monkeypatch.setattr(kernel, "MOST_KEPT", 8 * 4 * PANEL)  # 8 words
    with unchanging(weights_of([0, *others])):
        for words in ([0, 1, 2, 3, 4, 5], [0, 1, 0, 1, 0, 1], [6, 7, 6, 6, 6, 6]):
            assert_right((np.array(words), *others))
        many = problem(30, 4)
        assert_right((many[0], *others[:3], many[4], *others[4:]))
    assert counts == [6, 2, 2]  # the last ones were not kept


def test_what_changed_between_two_promises_is_computed_anew():
    arrays = problem(6, 4)
    embedding, w_ih, w_hh = weights_of(arrays)
    with unchanging([embedding]):  # all the time
        for _ in range(2):
            with unchanging([w_ih, w_hh]):
                assert_right(arrays)
            w_ih *= -1
    assert not entries


def test_an_interrupted_step_leaves_no_words_behind(monkeypatch):
    """They had their places, and nothing stood there."""
    arrays = problem(5, 4, PANEL, 40, 12)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with unchanging(weights_of(arrays)):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(kernel, "step_with_panels", interrupted)
            kernel.word_step(*arrays)
        for ours, right in zip(kernel.word_step(*arrays), reference.word_step(*arrays)):
            np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-6)


def test_while_another_thread_searches(monkeypatch):
    arrays = problem(6, 4)
    with unchanging(weights_of(arrays)):
        right = kernel.word_step(*arrays)
        memo = kernel.unchanging.prepared(arrays[1], kernel.Memo, arrays[5])
        with memo.lock:
            for ours, expected in zip(kernel.word_step(*arrays), right):
                np.testing.assert_array_equal(ours, expected)


@each_processor
def test_in_python_the_same_with_checks(width, processor):
    """Without compilation each access is checked, and the numbers are the same."""
    code = f"""
from tests.kernels import test_word_step as t
assert t.PANEL == {2 * width}
arrays = t.problem(3, 2, {2 * width}, 4, 3)
with t.unchanging(t.weights_of(arrays)):
    t.assert_right(arrays)
    t.assert_right(arrays)
"""
    run_in_python(code, processor)
