"""Diversity, Frechet distance, R-precision, interpolation: against other ways to compute them."""

import itertools

import numpy as np
import pytest

from apps.draw.batches import shrunk
from apps.draw.diversity import mean_spread, spread, spread_within_classes
from apps.draw.interpolation import along_line, along_sphere
from apps.draw.score.frechet import frechet_distance
from apps.draw.score.precision import r_precision
from apps.shared.rows import Rows
from minidl.data.flowers import COMBINATIONS, draw, oracle
from minidl.data.flowers.attributes import ATTRIBUTES
from minidl.errors import ArgumentError

RANDOM = np.random.default_rng(0)


def test_spread_is_the_root_mean_square_over_pairs():
    pictures = RANDOM.integers(0, 256, (7, 4, 4, 3)).astype(np.uint8)
    pairs = [a.astype(float) - b for a, b in itertools.combinations(pictures, 2)]
    assert spread(pictures) == pytest.approx(np.sqrt(np.mean([np.mean(d**2) for d in pairs])))
    assert spread(np.repeat(pictures[:1], 3, 0)) == 0
    assert mean_spread([pictures, pictures[:2]]) == pytest.approx(
        (spread(pictures) + spread(pictures[:2])) / 2
    )


def test_spread_within_classes_leaves_out_single_pictures():
    pictures = RANDOM.normal(size=(5, 3))
    members = Rows([[0, 1], [2], [3, 4]])
    expected = (spread(pictures[:2]) + spread(pictures[3:])) / 2
    assert spread_within_classes(pictures, members) == pytest.approx(expected)
    assert spread_within_classes(pictures, Rows([[0], [1]])) is None


def test_frechet_distance_by_the_matrix_root():
    linalg = pytest.importorskip("scipy.linalg", reason="scipy is not installed")
    a, b = RANDOM.normal(size=(50, 6)), RANDOM.normal(size=(40, 6)) @ RANDOM.normal(size=(6, 6)) + 1
    c1, c2 = np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(c1 @ c2).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(a[:, :1], a[:, :1] + 3) == pytest.approx(9)


def test_frechet_distance_refuses():
    with pytest.raises(ArgumentError):
        frechet_distance(np.ones((3, 2)), np.ones((3, 3)))


def test_r_precision():
    vectors = np.eye(100, dtype=np.float32)
    classes = np.arange(100)
    assert r_precision(vectors, vectors, classes, np.random.default_rng(0)) == 1
    assert r_precision(vectors, np.roll(vectors, 1, 0), classes, np.random.default_rng(0)) == 0
    # Another picture of the same class is no wrong sentence.
    twice = np.repeat(vectors, 2, 0)
    assert r_precision(twice, twice, np.repeat(classes, 2), np.random.default_rng(0)) == 1
    few = vectors[:99]  # of 98 others, more than one in a hundred would be found by chance
    assert r_precision(few, few, classes[:99], np.random.default_rng(0)) is None


def test_r_precision_of_noise_is_one_in_a_hundred():
    a, b = RANDOM.normal(size=(2, 3000, 16))
    assert r_precision(a, b, np.arange(3000), RANDOM) == pytest.approx(0.01, abs=0.006)


def test_the_oracle_on_real_flowers_and_on_others():
    wanted = COMBINATIONS[::7]
    pictures = draw(wanted, 32, np.random.default_rng(0))
    read = oracle.read(pictures)
    assert (read == wanted).mean(0).min() > 0.9
    mixed = dict(zip(ATTRIBUTES, (read == RANDOM.permutation(wanted)).mean(0)))
    assert mixed["color"] < 0.3 and mixed["count"] < 0.45


def test_along_line_and_sphere():
    a, b = np.array([2.0, 0], np.float32), np.array([0, 2.0], np.float32)
    line, sphere = along_line(a, b, 5), along_sphere(a, b, 5)
    for way in (line, sphere):
        np.testing.assert_allclose(way[[0, -1]], [a, b], atol=1e-6)
    np.testing.assert_allclose(line[2], [1, 1])
    np.testing.assert_allclose(np.linalg.norm(sphere, axis=1), 2, rtol=1e-6)
    angles = np.degrees(np.arctan2(sphere[:, 1], sphere[:, 0]))
    np.testing.assert_allclose(angles, [0, 22.5, 45, 67.5, 90], atol=1e-4)
    np.testing.assert_allclose(along_sphere(a, a, 3), [a, a, a])


def test_pictures_are_shrunk_by_means():
    pixels = np.array([[0, 4, 8, 8], [4, 0, 8, 8], [1, 1, 0, 0], [1, 1, 0, 0]], np.uint8)
    pictures = pixels[None, :, :, None].repeat(3, 3)
    np.testing.assert_array_equal(shrunk(pictures, 2)[0, :, :, 0], [[2, 8], [1, 0]])
    np.testing.assert_array_equal(shrunk(pictures, 4), pictures)
