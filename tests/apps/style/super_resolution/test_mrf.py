"""Super-resolution by examples: the bands add up, and a picture knows itself again."""

import tracemalloc

import numpy as np
import pytest

from apps.style.super_resolution import examples, mrf, patches, search
from apps.style.super_resolution.patches import FACTOR, HIGH, MIDDLE, STEP, examples_of
from apps.style.super_resolution.settings import Settings


def picture(size=(40, 46), seed=0):
    """(H, W) in 0..1 with edges: discs of different greys."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    found = np.zeros(size)
    for _ in range(30):
        y, x, r, grey = random.random(4) * (*size, 9, 1)
        found[np.hypot(rows - y, columns - x) < r] = grey
    return found.astype(np.float32)


def psnr(a, b):
    return -10 * np.log10(((a - b) ** 2).mean())


@pytest.mark.parametrize("size", [(40, 46), (37, 41), (9, 8), (5, 4), (2, 1)])
def test_patches_cover_a_picture_of_any_size(size):
    band = np.random.default_rng(0).random(size, np.float32)
    middle = patches.middle_patches(band)
    inner = middle.reshape(*middle.shape[:2], MIDDLE, MIDDLE)[:, :, 1:-1, 1:-1]
    whole = mrf.put_together(inner)
    assert whole.shape[0] >= size[0] and whole.shape[1] >= size[1]
    np.testing.assert_allclose(whole[: size[0], : size[1]], band, rtol=1e-6)


def test_nearest_examples():
    random = np.random.default_rng(0)
    wanted, middle = random.random((700, 49), np.float32), random.random((900, 49), np.float32)
    numbers, distances = search.nearest_examples(wanted, middle, (middle**2).sum(axis=1), 5)
    everything = ((wanted[:, None].astype(np.float64) - middle) ** 2).sum(axis=2)
    expected = np.argsort(everything, axis=1)[:, :5]
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_allclose(distances, np.take_along_axis(everything, expected, 1), rtol=1e-4)


@pytest.mark.parametrize("columns, k", [(1, 1), (40, 3), (64, 2), (700, 16), (1000, 31), (31, 31)])
def test_smallest(columns, k):
    values = np.random.default_rng(columns).integers(0, 300, (50, columns)).astype(np.float32)
    numbers, found = search.smallest(values, k)
    np.testing.assert_array_equal(found, np.sort(values, axis=1)[:, :k])
    np.testing.assert_array_equal(found, np.take_along_axis(values, numbers, axis=1))
    assert all(len(set(row)) == k for row in numbers.tolist())


def test_neighbours_disagree_where_they_overlap():
    high = np.random.default_rng(0).random((3, 4, 2, HIGH, HIGH))
    beside, below = mrf.disagreement(high)
    assert beside.shape == (3, 3, 2, 2) and below.shape == (2, 4, 2, 2)
    expected = ((high[1, 2, 0, :, STEP] - high[1, 3, 1, :, 0]) ** 2).mean()
    assert beside[1, 2, 0, 1] == pytest.approx(expected)
    expected = ((high[1, 3, 1, STEP] - high[2, 3, 0, 0]) ** 2).mean()
    assert below[1, 3, 1, 0] == pytest.approx(expected)


def test_an_example_seen_before_is_restored():
    """The small version of a picture that is itself among the examples becomes that picture."""
    large = picture((80, 80))
    small = patches.resized(large, (40, 40))
    result = mrf.doubled(small, examples_of(large), 4, 0.1)
    cubic = patches.resized(small, large.shape)
    inside = slice(0, 76)  # the last patches reach over the border, and have no example
    assert psnr(result[inside, inside], large[inside, inside]) > 60
    assert psnr(cubic[inside, inside], large[inside, inside]) < 35
    assert psnr(result, large) > psnr(cubic, large)  # with the border


def test_examples_are_drawn_before_they_are_cut_out():
    """The same as all patches, of which some are taken; the memory is that of those."""
    pictures = [picture((30, 41)), picture((64, 50), 1), picture((15, 14), 2)]
    everything = examples.gather(pictures, 10**6, np.random.default_rng(3))
    counts = [patches.count_examples(one.shape) for one in pictures]
    assert len(everything.middle) == len(everything.high) == sum(counts)
    chosen = np.sort(np.random.default_rng(3).choice(sum(counts), 500, replace=False))
    some = examples.gather(pictures, 500, np.random.default_rng(3))
    np.testing.assert_array_equal(some.middle, everything.middle[chosen])
    np.testing.assert_array_equal(some.high, everything.high[chosen])
    large = picture((500, 600))
    tracemalloc.start()
    examples.gather([large], 1000, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1] / large.size
    tracemalloc.stop()
    assert peak < 60  # bytes for each pixel of the example; all patches would be 600


def test_memory_counts_the_examples():
    settings = Settings()
    little = mrf.needed_megabytes((16, 16), [picture((80, 80))], settings)
    much = mrf.needed_megabytes((16, 16), [np.zeros((3000, 4000), np.float32)], settings)
    assert much > little + 500


def test_other_pictures_of_the_kind_help():
    """Discs learned from other discs: nearer to the truth than any interpolation."""
    large = picture((80, 90), seed=7)
    small = patches.resized(large, (40, 45))
    pairs = examples.gather(
        [picture((80, 90), s) for s in range(3)], 20_000, np.random.default_rng(0)
    )
    assert len(pairs.middle) <= 20_000
    result = mrf.doubled(small, pairs, 16, 1.0)
    plain = patches.interpolated(small, large.shape)
    assert psnr(plain, large) > psnr(patches.resized(small, large.shape), large)
    assert psnr(result, large) > psnr(plain, large) + 2


def test_back_projection_agrees_with_what_is_given():
    large, small = picture(), patches.resized(picture(seed=3), (20, 23))
    before = np.abs(patches.resized(large, small.shape) - small).mean()
    after = patches.back_projected(large, small, 4)
    assert np.abs(patches.resized(after, small.shape) - small).mean() < before / 10
    assert after.shape == (FACTOR * 20, FACTOR * 23)
