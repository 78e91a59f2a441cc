"""Image quilting: cuts along the smallest error, patches that fit, everything copied."""

import itertools

import numpy as np
import pytest

from apps.style.texture.cut import cheapest_path, old_pixels
from apps.style.texture.quilting import Quilting, starts
from minidl.errors import ArgumentError
from tests.apps.style.texture.samples import (
    assert_copied,
    assert_repeats,
    grains,
    material,
    repeated,
    run,
)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (6, 3), (5, 4)])
@pytest.mark.parametrize("levels", [2, 1000])
def test_path_is_the_cheapest_of_all(shape, levels):
    cost = np.random.default_rng(levels).integers(0, levels, shape).astype(float)

    def price(path):
        return sum(cost[i, j] for i, j in enumerate(path))

    path = cheapest_path(cost)
    steps = itertools.product(range(shape[1]), repeat=shape[0])
    paths = [p for p in steps if all(abs(a - b) <= 1 for a, b in itertools.pairwise(p))]
    assert tuple(path) in paths and price(path) == min(map(price, paths))


def test_cut_leaves_old_pixels_on_its_own_side():
    """The seam runs through the zeros; what lies beyond it, towards the side, stays."""
    cost = np.ones((6, 8))
    cost[:, 2] = 0
    expected = np.zeros((6, 8), bool)
    expected[:, :2] = True
    for left_first in (cost, cost[:, ::-1]):
        overlaps = (4, 0, 0, 0) if left_first is cost else (0, 0, 4, 0)
        turned = expected if left_first is cost else expected[:, ::-1]
        np.testing.assert_array_equal(old_pixels(left_first, overlaps), turned)
        top, bottom = (overlaps[0], 0), (0, overlaps[2])
        upright = (0, top[0], 0, bottom[1])
        np.testing.assert_array_equal(old_pixels(left_first.T, upright), turned.T)


@pytest.mark.parametrize("tileable", [False, True])
@pytest.mark.parametrize("side", [4, 7, 12, 18])
def test_patches_cover_the_picture_and_overlap(side, tileable):
    for length in range(side, 90):
        begin = starts(length, side, tileable)
        overlap = max(1, round(side / 6))
        assert begin[0] == 0 and begin[-1] + side >= length
        gaps = np.diff([*begin, length]) if tileable else np.diff(begin)
        assert (gaps <= side - overlap).all() and (gaps > 0).all()
        assert tileable is False or len(begin) > 1


@pytest.mark.parametrize("size", [(30, 41), (12, 12), (13, 50)])
@pytest.mark.parametrize("tileable", [False, True])
def test_every_pixel_comes_from_the_sample(size, tileable):
    samples = [grains(), grains((20, 15), seed=1)]
    synthesis = Quilting(material(*samples), size, 9, seed=3, tileable=tileable)
    assert run(synthesis).shape == (*size, 3) and synthesis.done == synthesis.total
    assert_copied(synthesis, samples)


@pytest.mark.parametrize("tileable", [False, True])
def test_a_periodic_sample_is_continued_exactly(tileable):
    sample = repeated((3, 2), (40, 40))
    synthesis = Quilting(material(sample), (48, 36), 18, seed=1, tileable=tileable)
    assert_repeats(run(synthesis), sample[:3, :2], wraps=tileable)


def test_the_seed_decides():
    pictures = [run(Quilting(material(grains()), (30, 30), 9, seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()


def test_transfer_follows_the_guide():
    """A ramp as texture, a disc as guide: the result is light where the disc is."""
    ramp = np.repeat(np.linspace(0, 1, 60, dtype=np.float32)[None, :, None], 50, 0)
    sample = np.repeat(ramp, 3, 2) * 0.8 + 0.2 * grains((50, 60))
    rows, columns = np.mgrid[:40, :40]
    disc = (np.hypot(rows - 20, columns - 20) < 12).astype(np.float32)[..., None]
    image = run(Quilting(material(sample, guides=[ramp]), (40, 40), 12, guide=disc, passes=3))
    light = image.mean(axis=2)
    assert light[disc[..., 0] == 1].mean() - light[disc[..., 0] == 0].mean() > 0.4


@pytest.mark.parametrize("after", [0, 3, 20])
@pytest.mark.parametrize("passes", [1, 2])
def test_goes_on_where_it_stopped(after, passes):
    ramp = np.repeat(np.linspace(0, 1, 28, dtype=np.float32)[None, :, None], 24, 0)

    def fresh():
        stuff = material(grains(), guides=[ramp])
        return Quilting(stuff, (24, 28), 8, seed=6, guide=ramp[:, ::-1], passes=passes)

    synthesis, other = fresh(), fresh()
    for _ in range(after):
        synthesis.step()
    other.load_state(synthesis.state())
    np.testing.assert_array_equal(run(other), run(synthesis))


def test_no_patch_to_copy():
    with pytest.raises(ArgumentError, match="smaller window"):
        Quilting(material(grains((8, 30))), (20, 20), 9)
