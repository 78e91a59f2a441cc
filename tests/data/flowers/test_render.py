"""Drawing flowers: what varies, what does not, and that it is always the same."""

import hashlib

import numpy as np
import pytest

from minidl.data.flowers import COMBINATIONS, TILT, draw, extended_flowers
from minidl.data.flowers.attributes import COUNTS
from minidl.data.flowers.extended import COLUMN, KINDS
from minidl.errors import ArgumentError

SOME = COMBINATIONS[::97]


def generator(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize("size", [32, 64])
def test_same_seed_same_bytes(size):
    pictures = draw(SOME, size, generator(3))
    assert pictures.shape == (len(SOME), size, size, 3) and pictures.dtype == np.uint8
    np.testing.assert_array_equal(pictures, draw(SOME, size, generator(3)))
    assert (pictures != draw(SOME, size, generator(4))).mean() > 0.5


def test_bytes_are_those_of_every_machine():
    flowers, _ = extended_flowers(30, generator(1))
    pictures = np.concatenate([draw(SOME, 32, generator(3)), draw(flowers, 32, generator(3))])
    assert hashlib.sha256(pictures).hexdigest()[:16] == HASH


HASH = "f44a85bc0d1af895"


def test_both_sizes_show_the_same_flowers():
    small, large = (draw(SOME, size, generator(5)).astype(float) for size in (32, 64))
    halved = large.reshape(len(SOME), 32, 2, 32, 2, 3).mean((2, 4))
    assert np.abs(small - halved).mean() < 4
    assert np.abs(small - np.roll(halved, 1, 0)).mean() > 20


def test_many_flowers_are_drawn_as_few():
    """Chunks of equal flowers change neither the order nor a flower, but for its noise."""
    order = generator(1).permutation(1344)[:200]
    together = draw(COMBINATIONS[order], 32, generator(2)).astype(int)
    repeated = draw(np.repeat(COMBINATIONS[order[:1]], 200, 0), 32, generator(2)).astype(int)
    assert np.abs(together[0] - repeated[0]).max() < 20
    assert np.abs(together[0] - repeated[0]).mean() < 3


def test_no_flowers_are_no_pictures():
    assert draw(COMBINATIONS[:0], 64).shape == (0, 64, 64, 3)


@pytest.mark.parametrize("tilt, least, most", [(0, 0, 40), (180, 100, 230)])
def test_tilt_turns_flowers(tilt, least, most):
    flower = np.repeat(COMBINATIONS[[1]], 40, 0)  # four round red petals, large, on dark green
    red = draw(flower, 32, generator(), tilt)[..., 0].astype(float)
    diagonal = red[:, 7, 7]  # between two petals of an upright flower
    assert least <= diagonal.max() - diagonal.min() <= most


def test_upright_flowers_have_a_petal_that_points_up():
    """And those that are turned by any angle point anywhere."""
    shapes = COMBINATIONS[(COMBINATIONS[:, 0] == 0) & (COMBINATIONS[:, 4] == 0)][::2]
    for tilt in (TILT, 180):
        pictures = draw(np.repeat(shapes, 4, 0), 64, generator(7), tilt).astype(float)
        red = pictures[..., 0] - pictures[..., 1] > 60
        off = []
        for mask, number in zip(red, np.repeat(shapes[:, 1], 4)):
            y, x = np.nonzero(mask)
            dx, dy = x - x.mean(), y - y.mean()
            outer = np.hypot(dx, dy) > 0.6 * np.hypot(dx, dy).max()
            wave = np.exp(1j * COUNTS[number] * np.arctan2(dx, -dy)[outer]).mean()
            off.append(abs(np.angle(wave)) / np.pi)  # 0: a petal points up, 1: a gap does
        expected = 0.5 if tilt == 180 else np.mean(TILT / 2 * np.array(COUNTS) / 180)
        assert abs(np.mean(off) - expected) < 0.06
        assert (np.max(off) > 0.9) == (tilt == 180)


def test_wrong_arguments_are_named():
    for rng in (5, np.random.RandomState(0)):
        with pytest.raises(ArgumentError, match=r"numpy\.random\.Generator"):
            draw(SOME, rng=rng)
    with pytest.raises(ArgumentError, match="size is 32 or 64"):
        draw(SOME, 48)
    with pytest.raises(ArgumentError, match="tilt lies between 0 and 180"):
        draw(SOME, tilt=200)


def test_flowers_fit_into_the_picture():
    """The outermost pixels are background: no petal is cut off."""
    for size in (32, 64):
        pictures = draw(COMBINATIONS[::9], size, generator(6), 180).astype(int)
        border = np.concatenate(
            [pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]], 1
        )
        middle = np.median(border, 1, keepdims=True)
        assert np.abs(border - middle).max() < 60


def test_extended_flowers_differ_from_plain_ones():
    for kind in KINDS:
        extras = [name for name in (*kind.named, *kind.fixed) if COLUMN[name] >= 6]
        flowers, classes = extended_flowers(60, generator(1))
        number = [i for i in range(60) if KINDS[i % len(KINDS)] is kind]
        chosen = flowers[number]
        plain = chosen.copy()
        plain[:, 6:] = 0
        different = (draw(chosen, 64, generator(2)) != draw(plain, 64, generator(2))).mean()
        assert bool(extras) == bool(different > 0.02)
