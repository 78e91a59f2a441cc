"""Keeping the content's colours."""

import numpy as np
import pytest

from apps.shared.photo import Photo
from apps.style.colors import (
    filled,
    grey_like,
    luma,
    luma_of,
    matched,
    moments,
    with_luma_of,
)

RNG = np.random.default_rng(0)
# Y'UV of ITU-R BT.601, from red, green and blue.
YUV = np.array([[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]])


def noise(H=20, W=30, low=0.0, high=1.0):
    return Photo(RNG.uniform(low, high, (H, W, 3)).astype(np.float32))


def test_luma_keeps_u_and_v():
    content, made = noise(), noise()
    kept = with_luma_of(content, made)
    before, after = content.pixels @ YUV.T, kept.pixels @ YUV.T
    np.testing.assert_allclose(after[..., 1:], before[..., 1:], atol=2e-5)
    again = Photo.decode(kept.encoded(".png"), "again").pixels @ YUV.T
    assert np.abs(again[..., 1:] - before[..., 1:]).max() < 1.5 / 255  # quantisation


def test_luma_takes_the_light_where_there_is_room():
    content, made = noise(low=0.4, high=0.6), noise(low=0.45, high=0.55)
    kept = with_luma_of(content, made)
    np.testing.assert_allclose(luma(kept.pixels), luma(made.pixels), atol=1e-5)
    full = with_luma_of(noise(), noise())
    assert full.pixels.min() >= 0 and full.pixels.max() <= 1


def test_grey_styles_have_the_light_of_the_content():
    content, style = noise(low=0.4, high=0.6), noise()
    grey = grey_like(style, content)
    assert grey.pixels.mean() == pytest.approx(luma(content.pixels).mean(), abs=1e-3)
    assert grey.pixels.std() == pytest.approx(luma(content.pixels).std(), rel=0.02)
    assert np.ptp(grey.pixels, axis=2).max() == np.ptp(luma_of(content).pixels, axis=2).max() == 0


def test_matched_styles_have_the_moments_of_the_content():
    content, style = noise(low=0.35, high=0.6), noise()
    content.pixels[..., 0] += 0.5 * content.pixels[..., 1] - 0.2
    mean, covariance = moments(matched(style, content))
    expected_mean, expected = moments(content)
    np.testing.assert_allclose(mean, expected_mean, atol=2e-3)
    np.testing.assert_allclose(covariance, expected, atol=2e-4)


def test_one_colour_can_be_matched():
    flat = Photo(np.full((8, 8, 3), 0.3, np.float32))
    assert np.isfinite(matched(flat, noise()).pixels).all()
    assert np.abs(matched(noise(), flat).pixels - 0.3).max() < 0.05
    assert np.isfinite(grey_like(flat, noise()).pixels).all()


@pytest.mark.filterwarnings("error")
def test_one_pixel_can_be_matched():
    dot = Photo(np.full((1, 1, 3), 0.3, np.float32))
    assert np.abs(matched(noise(), dot).pixels - 0.3).max() < 0.05
    assert np.isfinite(matched(dot, noise()).pixels).all()


def on_nothing(photo, hidden=0.0):
    """The picture in the middle of transparent pixels of some colour."""
    H, W = photo.size
    pixels = np.full((2 * H, 2 * W, 3), hidden, np.float32)
    alpha = np.zeros((2 * H, 2 * W), np.float32)
    pixels[:H, :W], alpha[:H, :W] = photo.pixels, 1
    return Photo(pixels, alpha)


def test_what_is_transparent_lends_no_colour():
    content, style = noise(low=0.4, high=0.9), noise()
    for hidden in (0.0, 1.0):
        cut = on_nothing(content, hidden)
        for way in (matched, grey_like):
            expected = way(style, content).pixels
            np.testing.assert_allclose(way(style, cut).pixels, expected, atol=1e-5)
        seen = filled(cut)
        np.testing.assert_array_equal(seen.pixels[:20, :30], content.pixels)
        np.testing.assert_allclose(seen.pixels[25, 40], content.pixels.mean((0, 1)), atol=1e-5)
        edge = luma_of(seen).resized(40, 61).pixels[2:18, 2:29]
        assert 0.35 < edge.min() and edge.max() < 0.95
    nothing = Photo(content.pixels, np.zeros(content.size, np.float32))
    assert np.isfinite(matched(style, nothing).pixels).all()
