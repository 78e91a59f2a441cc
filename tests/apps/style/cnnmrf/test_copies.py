import math

import numpy as np
import pytest

from apps.shared.photo import Photo
from apps.style.cnnmrf.copies import both_sides, copies_of, inner_size, turned


def test_the_first_copy_is_the_style():
    style = Photo(np.random.default_rng(0).random((40, 60, 3), np.float32))
    copies = copies_of(style, rotations=3, scales=5)
    assert len(copies) == 15
    assert copies[0] is style
    assert both_sides(5) == [0, -1, 1, -2, 2]
    assert copies[1].size == (round(40 / 1.05), round(60 / 1.05))


@pytest.mark.parametrize("size", [(40, 60), (60, 40), (50, 50), (20, 90), (90, 21)])
@pytest.mark.parametrize("steps", [-5, -2, -1, 1, 3, 5])
def test_turned_copies_have_no_corners(size, steps):
    """Of a white picture every pixel is white; what lies outside would be black."""
    copy = turned(Photo(np.ones((*size, 3), np.float32)), steps * math.pi / 24)
    np.testing.assert_allclose(copy.pixels, 1, rtol=0, atol=1e-6)
    assert min(copy.size) > min(size) / 4


@pytest.mark.parametrize("height, width, angle", [(40, 60, 0.2), (60, 40, 0.1), (20, 90, 0.5)])
def test_inner_size_is_the_largest(height, width, angle):
    """By trying: is each corner of a rectangle inside of the turned picture?"""

    def fits(h, w):
        corners = np.array([[w, h], [w, -h]]) / 2
        turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        inside = np.abs(corners @ np.array(turn)) <= np.array([width, height]) / 2
        return inside.all()

    sizes = [(h, w) for h in range(1, height + 1) for w in range(1, width + 1) if fits(h, w)]
    largest = max(h * w for h, w in sizes)
    found_height, found_width = inner_size(height, width, angle)
    assert fits(found_height + 2, found_width + 2)
    assert (found_height + 3) * (found_width + 3) > 0.98 * largest


def test_turned_to_the_left():
    """The right end of a level line goes up."""
    pixels = np.zeros((61, 61, 3), np.float32)
    pixels[30] = 1
    copy = turned(Photo(pixels), math.pi / 24).pixels[..., 0]
    left, right = copy[:, 5].argmax(), copy[:, -6].argmax()
    assert right < left
