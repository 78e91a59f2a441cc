"""Cross-entropy some rows at a time: the reference's numbers, however they are divided."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl.kernels.cpu import cross_entropy
from minidl.kernels.reference import cross_entropy as reference
from tests.kernels.guards import assert_same_bits_with_any_number_of_threads, read_only

IGNORED = -100


def inputs(rows, classes, seed=0, dtype=np.float32, ignored=0.3):
    """(x, labels, weight), read-only; NaN in the rows that are ignored."""
    rng = np.random.default_rng(seed)
    x = (4 * rng.standard_normal((rows, classes))).astype(dtype)
    labels = rng.integers(0, classes, rows)
    left_out = rng.random(rows) < ignored
    labels[left_out], x[left_out] = IGNORED, np.nan
    return read_only(x), read_only(labels), read_only(rng.random(classes).astype(dtype) + 0.5)


def both(kernel, x, labels, weight, smoothing):
    """Losses and gradients."""
    settings = labels, weight, IGNORED, smoothing
    losses, largest, log_sum = kernel.forward(x, *settings)
    g = np.linspace(0.5, 2, len(x)).astype(x.dtype)
    return losses, kernel.backward(g, x, *settings, largest, log_sum)


def without_nans(x):
    return np.nan_to_num(x, nan=0.0)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(0, 40), classes=st.integers(1, 30), part=st.integers(1, 100),
    seed=st.integers(0, 99), smoothing=st.sampled_from([0.0, 0.2]),
    ignored=st.sampled_from([0.0, 0.3, 1.0]),
)  # fmt: skip
def test_is_the_reference(rows, classes, part, seed, smoothing, ignored):
    """In parts of any size; a row that is ignored, NaN and all, costs nothing."""
    x, labels, weight = inputs(rows, classes, seed, np.float64, ignored)
    before = cross_entropy.PART, cross_entropy.LARGE
    cross_entropy.PART, cross_entropy.LARGE = part, 0
    try:
        ours = both(cross_entropy, x, labels, weight, smoothing)
    finally:
        cross_entropy.PART, cross_entropy.LARGE = before
    for a, b in zip(ours, both(reference, without_nans(x), labels, weight, smoothing)):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_bits_in_any_parts(monkeypatch, threads):
    """With smoothing not quite: there the BLAS makes sums, and rounds by how many rows it has."""
    if threads > (most := minidl.kernels.file_of("cpu", "threads").most_threads()):
        pytest.skip(f"this process may use {most} threads")
    before = minidl.get_num_threads()
    minidl.set_num_threads(threads)
    try:
        x, labels, weight = inputs(300, 1000)
        assert x.size > cross_entropy.LARGE
        expected = both(cross_entropy, x, labels, weight, 0.0)
        for part, large in ((1, 0), (2500, 0), (2**30, 0), (1, 2**30)):
            monkeypatch.setattr(cross_entropy, "PART", part)
            monkeypatch.setattr(cross_entropy, "LARGE", large)
            for a, b in zip(both(cross_entropy, x, labels, weight, 0.0), expected):
                np.testing.assert_array_equal(a, b)
    finally:
        minidl.set_num_threads(before)


@pytest.mark.parametrize("classes", [1024, 1031, 3001])
def test_long_rows(monkeypatch, classes):
    """By compiled loops: the reference's numbers, and rows that are ignored are not looked at."""
    monkeypatch.setattr(cross_entropy, "LARGE", 0)
    x, labels, weight = inputs(9, classes)
    assert cross_entropy.is_long(x, 0.0) and not cross_entropy.is_long(x, 0.1)
    losses, gx = both(cross_entropy, x, labels, weight, 0.0)
    exact = without_nans(x).astype(np.float64), labels, weight.astype(np.float64), 0.0
    right, right_gx = both(reference, *exact)
    np.testing.assert_allclose(losses, right, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(gx, right_gx, rtol=5e-6, atol=1e-12)


def test_long_rows_with_infinite_scores(monkeypatch):
    """A class that is ruled out has no gradient; a row of nothing else has no probabilities."""
    monkeypatch.setattr(cross_entropy, "LARGE", 0)
    x, labels = np.zeros((3, 2000), np.float32), np.array([5, 5, 5])
    x[:, 7] = -np.inf
    x[1], x[2, 9] = -np.inf, np.inf
    weight = np.ones(2000, np.float32)
    with np.errstate(invalid="ignore"):
        losses, gx = both(cross_entropy, x, labels, weight, 0.0)
    assert losses[0] == pytest.approx(np.log(1999), rel=1e-6) and np.isnan(losses[1:]).all()
    assert gx[0, 7] == 0 and (np.delete(gx[0], 7) != 0).all() and np.isnan(gx[1:]).any(axis=1).all()


def test_the_same_bits_of_long_rows_with_any_number_of_threads():
    x, labels, weight = inputs(300, 1500)
    assert_same_bits_with_any_number_of_threads(lambda: both(cross_entropy, x, labels, weight, 0.0))


def test_what_is_ignored_raises_no_warning():
    x, labels, weight = inputs(9, 5)
    assert np.isnan(x).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses, gx = both(cross_entropy, x, labels, weight, 0.1)
    left_out = labels == IGNORED
    assert not losses[left_out].any() and not gx[left_out].any()
    assert losses[~left_out].all() and gx[~left_out].all()
