"""Test-time augmentation: which views there are, pixel by pixel."""

import numpy as np
import pytest

from apps.classify.views import make_views
from minidl.data import transforms as T
from minidl.errors import ArgumentError

rng = np.random.default_rng(0)


def pipeline(size, crop=None, *end):
    crop = crop or size
    return T.Compose([T.Resize(size), T.CenterCrop(crop), *end, T.ToFloat()])


def as_float(image):
    return image.transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def test_ten_crops_are_corners_middle_and_their_mirror_images():
    image = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)  # 28 * 256 / 224: is not scaled
    views = make_views(pipeline(28), "10-crop")
    windows = [
        image[t : t + 28, le : le + 28] for t, le in ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))
    ]
    expected = [as_float(w) for w in windows] + [as_float(w[:, ::-1]) for w in windows]
    assert len(views) == 10
    np.testing.assert_array_equal(views(image), np.concatenate(expected))


def test_crops_reach_the_corners_of_pictures_that_are_not_square():
    image = rng.integers(0, 256, (48, 64, 1)).astype(np.uint8)
    scaled = T.Resize(32)(image)
    assert scaled.shape == (32, 43, 1)
    crops = make_views(pipeline(28), "10-crop")(image)
    np.testing.assert_array_equal(crops[0], as_float(scaled[:28, :28])[0])
    np.testing.assert_array_equal(crops[3], as_float(scaled[4:, 15:])[0])
    np.testing.assert_array_equal(crops[4], as_float(scaled[2:30, 7:35])[0])


def test_a_pipeline_that_crops_already_keeps_its_scale():
    image = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    crops = make_views(pipeline(40, 32), "10-crop")(image)
    expected = as_float(T.Resize(40)(image)[8:, 8:])
    np.testing.assert_array_equal(crops[9:12], expected)


def test_sides_of_an_exact_resize_grow_alike():
    image = rng.integers(0, 256, (30, 50, 1)).astype(np.uint8)
    crops = make_views(pipeline((14, 28)), "10-crop")(image)
    scaled = T.Resize((16, 32))(image)
    np.testing.assert_array_equal(crops[0], as_float(scaled[:14, :28])[0])


def test_borders_come_after_the_crop():
    """28x28 digits get a border of 2: a crop is 28 wide, and has it, too."""
    image = np.full((28, 28, 1), 255, np.uint8)
    crops = make_views(pipeline(28, 28, T.Pad(2)), "10-crop")(image)
    assert crops.shape == (10, 32, 32)
    np.testing.assert_array_equal(crops[:, 2:30, 2:30], 1)
    assert crops.sum() == 10 * 28 * 28


def test_flip_and_none():
    image = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
    plain = pipeline(32, 32, T.Pad((1, 0)))(image)
    both = make_views(pipeline(32, 32, T.Pad((1, 0))), "flip")(image)
    np.testing.assert_array_equal(both, np.concatenate([plain, plain[:, :, ::-1]]))
    np.testing.assert_array_equal(make_views(pipeline(32), "none")(image), pipeline(32)(image))


def test_shifts_by_a_pixel_with_reflected_borders():
    """Half of the mean is of the two views that are not shifted."""
    image = rng.integers(0, 256, (9, 8, 3)).astype(np.uint8)
    views = make_views(T.Compose([T.ToFloat()]), "flip-shift")(image).reshape(8, 3, 9, 8)
    plain = as_float(image)
    up, down = plain.copy(), plain.copy()
    up[:, :-1, :-1], down[:, 1:, 1:] = plain[:, 1:, 1:], plain[:, :-1, :-1]
    up[:, -1, :-1], up[:, :-1, -1], up[:, -1, -1] = (
        plain[:, -2, 1:], plain[:, 1:, -2], plain[:, -2, -2]
    )  # fmt: skip
    down[:, 0, 1:], down[:, 1:, 0], down[:, 0, 0] = (
        plain[:, 1, :-1], plain[:, :-1, 1], plain[:, 1, 1]
    )  # fmt: skip
    expected = [view for v in (plain, plain, up, down) for view in (v, v[:, :, ::-1])]
    np.testing.assert_array_equal(views, np.stack(expected))


def test_what_is_refused():
    with pytest.raises(ArgumentError, match="did you mean 10-crop"):
        make_views(pipeline(32), "10-corp")
    with pytest.raises(ArgumentError, match="Resize and CenterCrop"):
        make_views(T.Compose([T.CenterCrop(8), T.ToFloat()]), "10-crop")
