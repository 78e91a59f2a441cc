"""Patch matching: equal to brute force, whatever the tiles; ties, memory, arrays of any kind."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl.errors import ArgumentError
from minidl.kernels.cpu import match_patches
from minidl.nn import functional as F
from minidl.ops.match_patches import patch_places
from tests.kernels.guards import (
    GuardedNumpy,
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    read_only,
    with_gaps,
)

few = settings(max_examples=40, deadline=None)
sides = st.integers(1, 9)
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


def patches(pictures, size, stride):
    """Every patch, one after the other, and how many rows and columns of them a picture has."""
    rows, columns = (patch_places(pictures.shape[2 + i], size[i], stride[i]) for i in (0, 1))
    return [
        picture[:, a : a + size[0], b : b + size[1]].ravel()
        for picture in pictures for a in rows for b in columns
    ], (len(rows), len(columns))  # fmt: skip


def brute_force(x, source, size, stride, source_stride):
    (wanted, shape), (candidates, _) = (
        patches(x, size, stride), patches(source, size, source_stride)
    )  # fmt: skip
    indices, correlations = [], []
    for p in wanted:
        best, found = -np.inf, 0
        for number, q in enumerate(candidates):
            length = np.sqrt((q * q).sum())
            score = (p * q).sum() * (1 / length if length > 0 else 0.0)
            if score > best:
                best, found = score, number
        length = np.sqrt((p * p).sum())
        indices.append(found)
        correlations.append(best / length if length > 0 else 0.0)
    shape = (len(x), *shape)
    return np.array(indices).reshape(shape), np.array(correlations).reshape(shape)


def compute(x, source, size, stride=1, source_stride=None):
    found = F.match_patches(minidl.Tensor(x), minidl.Tensor(source), size, stride, source_stride)
    return [y.numpy() for y in found]


def problem(seed, N, M, C, sides, source_sides, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x, source = (rng.standard_normal((n, C, *s)) for n, s in ((N, sides), (M, source_sides)))
    return x.astype(dtype), source.astype(dtype)


def tiny_tiles(patch):
    patch.setattr(match_patches, "SMALL", 0)
    patch.setattr(match_patches, "INPUT_PATCHES", 7)
    patch.setattr(match_patches, "TILE_NUMBERS", 50)


@pytest.mark.parametrize("tiles", ["usual", "tiny"])
@few
@given(
    st.integers(0, 2**16), st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), sides, sides,
    sides, sides, pairs, pairs, pairs,
)  # fmt: skip
def test_equals_brute_force(tiles, seed, N, M, C, H, W, sH, sW, size, stride, source_stride):
    size = min(size[0], H, sH), min(size[1], W, sW)
    x, source = problem(seed, N, M, C, (H, W), (sH, sW))
    with pytest.MonkeyPatch.context() as patch:
        if tiles == "tiny":
            tiny_tiles(patch)
        indices, correlations = compute(x, source, size, stride, source_stride)
    expected, expected_correlations = brute_force(x, source, size, stride, source_stride)
    np.testing.assert_allclose(correlations, expected_correlations, rtol=0, atol=1e-12)
    if C * size[0] * size[1] > 1:  # single numbers all correlate with 1 or -1, within rounding
        np.testing.assert_array_equal(indices, expected)


@pytest.mark.parametrize("kernels", ["numba", "reference"])
@pytest.mark.parametrize("stride", [1, 2])
def test_of_equals_the_first_wins(stride, kernels, monkeypatch):
    """Zeros and ones: many patches are alike, and their products have no rounding."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (2, 1, 9, 8)).astype(np.float64)
    source = rng.integers(0, 2, (3, 1, 9, 11)).astype(np.float64)
    tiny_tiles(monkeypatch)
    with minidl.use_cpu_kernels(kernels):
        indices, _ = compute(x, source, 3, stride)
    expected, _ = brute_force(x, source, (3, 3), (stride, stride), (stride, stride))
    np.testing.assert_array_equal(indices, expected)


@pytest.mark.parametrize("kernels", ["numba", "reference"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_picture_matches_itself(stride, kernels):
    x = np.random.default_rng(0).random((1, 5, 10, 11), np.float32)
    with minidl.use_cpu_kernels(kernels):
        indices, correlations = compute(x, x, 3, stride)
    np.testing.assert_array_equal(indices.ravel(), np.arange(indices.size))
    np.testing.assert_allclose(correlations, 1, rtol=0, atol=1e-6)


def test_float32_finds_patches_as_good_as_the_best():
    x, source = problem(1, 1, 1, 64, (33, 31), (32, 35), np.float32)
    indices, correlations = compute(x, source, 3)
    _, best = compute(x.astype(np.float64), source.astype(np.float64), 3)
    candidates, _ = patches(source.astype(np.float64), (3, 3), (1, 1))
    wanted, _ = patches(x.astype(np.float64), (3, 3), (1, 1))
    chosen = np.array(candidates)[indices.ravel()]
    true = (np.array(wanted) * chosen).sum(1)
    true /= np.linalg.norm(wanted, axis=1) * np.linalg.norm(chosen, axis=1)
    np.testing.assert_allclose(true, best.ravel(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(correlations, best, rtol=0, atol=1e-6)


@few
@given(st.integers(0, 2**16), st.integers(1, 3), sides, sides, sides, sides, pairs, pairs)
def test_stays_inside_its_memory(seed, C, H, W, sH, sW, size, stride):
    size = min(size[0], H, sH), min(size[1], W, sW)
    x, source = problem(seed, 2, 2, C, (H, W), (sH, sW), np.float32)
    expected = compute(x, source, size, stride)
    guarded = GuardedNumpy()
    with pytest.MonkeyPatch.context() as patch:
        tiny_tiles(patch)
        patch.setattr(match_patches, "np", guarded)
        indices, correlations = compute(between_nans(x), between_nans(source), size, stride)
    guarded.check()
    np.testing.assert_allclose(correlations, expected[1], rtol=0, atol=1e-5)
    rows, columns = (len(patch_places(n, k, s)) for n, k, s in zip((sH, sW), size, stride))
    assert indices.min() >= 0 and indices.max() < 2 * rows * columns


def test_a_patch_has_to_fit():
    assert list(patch_places(3, 3, 2)) == [0]
    with pytest.raises(ArgumentError, match="larger than the picture"):
        patch_places(2, 3, 1)


@pytest.mark.parametrize("kind", [read_only, with_gaps, np.asfortranarray])
@pytest.mark.parametrize("stride", [1, 2])
def test_arrays_of_any_kind(kind, stride):
    x, source = problem(2, 1, 2, 3, (9, 8), (7, 10), np.float32)
    expected = compute(x, source, 3, stride)
    for y, e in zip(compute(kind(x), kind(source), 3, stride), expected):
        np.testing.assert_array_equal(y, e)


@pytest.mark.parametrize("stride", [1, 2])
def test_same_bits_with_any_number_of_threads(stride):
    x, source = problem(3, 1, 1, 16, (40, 40), (40, 30), np.float32)
    assert_same_bits_with_any_number_of_threads(lambda: compute(x, source, 3, stride))


@pytest.mark.parametrize("stride", [1, (1, 2)])
def test_memory_is_bounded(stride):
    """All dot products at once would take 300 MB, or 150."""
    x, source = problem(4, 1, 1, 4, (96, 96), (96, 96), np.float32)
    compute(x, source, 3, stride)
    tracemalloc.start()
    try:
        compute(x, source, 3, stride)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    tiles = 4 * match_patches.TILE_NUMBERS * minidl.get_num_threads()
    assert peak < tiles + 2**23
