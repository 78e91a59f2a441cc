"""The oracle reads what the renderer draws, and nothing where there is nothing."""

import numpy as np
import pytest

from minidl.data.flowers import ATTRIBUTES, COMBINATIONS, draw, read
from minidl.errors import ArgumentError


def generator(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize("size, tilt, step", [(32, 12, 1), (64, 12, 1), (32, 180, 3), (64, 180, 3)])
def test_oracle_reads_what_is_drawn(size, tilt, step):
    flowers = COMBINATIONS[::step]
    right = (read(draw(flowers, size, generator(11), tilt)) == flowers).mean(0)
    for name, share in zip(ATTRIBUTES, right):
        assert share >= (0.98 if name == "shape" else 1.0), name


def test_oracle_bears_blur_and_noise():
    """What a network draws is less sharp: a mean of neighbouring pixels, and grain."""
    drawn = draw(COMBINATIONS[::4], 32, generator(12)).astype(float)
    blurred = sum(np.roll(drawn, (y, x), (1, 2)) for y in (0, 1) for x in (0, 1)) / 4
    noisy = np.clip(blurred + generator().normal(0, 8, drawn.shape), 0, 255).astype(np.uint8)
    right = (read(noisy) == COMBINATIONS[::4]).mean(0)
    assert right.min() > 0.9


def test_another_flower_is_another_answer():
    """The answer depends on each attribute alone: swap one, and only it is read differently."""
    rng = generator(13)
    for column in range(6):
        flowers = COMBINATIONS[rng.integers(0, 1344, 20)].copy()
        flowers[:, column] = 0
        other = flowers.copy()
        other[:, column] = 1
        read_as = read(draw(flowers, 64, generator(1))), read(draw(other, 64, generator(1)))
        assert ((read_as[0] != read_as[1]).sum(0) > 0).nonzero()[0].tolist() == [column]


def test_nothing_is_read_where_nothing_is():
    gray = np.full((2, 32, 32, 3), 118, np.uint8)
    speck = gray.copy()
    speck[:, 10:12, 10:12] = 255
    assert (read(gray) == -1).all() and (read(speck) == -1).all()
    assert read(gray[:0]).shape == (0, 6)


def test_anything_is_read_without_a_warning(recwarn):
    noise = generator().integers(0, 256, (20, 32, 32, 3)).astype(np.uint8)
    dot = np.zeros((1, 32, 32, 3), np.uint8)
    dot[:, 12:20, 12:20] = 255
    corner = np.zeros((1, 64, 64, 3), np.uint8)
    corner[:, :30, :30] = 200
    for pictures in (noise, dot, corner):
        assert read(pictures).shape == (len(pictures), 6)
    assert not recwarn.list


def test_pictures_are_checked():
    shapes = ((32, 32, 3), (1, 32, 30, 3), (1, 32, 32, 1), (1, 2, 2, 3))
    for wrong in (np.zeros((1, 32, 32, 3)), *(np.zeros(shape, np.uint8) for shape in shapes)):
        with pytest.raises(ArgumentError, match="uint8"):
            read(wrong)
