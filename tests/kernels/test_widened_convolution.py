"""Convolution with few output channels as one with neighbours for channels, and when it is used."""

import numpy as np
import pytest

from minidl.kernels.cpu import conv2d
from minidl.kernels.cpu.convolution import im2col, widened
from minidl.kernels.layout import channels_first
from minidl.kernels.reference import conv2d as reference

# N, C, H, W, K, R, S, stride, padding
SHAPES = {
    "9x9, to 3 channels": (2, 16, 14, 150, 3, 9, 9, (1, 1), (0, 0)),
    "9x9, from 3 channels": (1, 3, 13, 70, 16, 9, 9, (1, 1), (4, 4)),
    "sides that differ": (1, 5, 12, 160, 3, 9, 7, (1, 1), (1, 2, 3, 6)),
    "stride": (1, 4, 15, 180, 4, 7, 9, (2, 2), (3, 3)),
    "one channel": (1, 1, 9, 700, 1, 7, 7, (1, 1), (3, 3)),
}


def problem(N, C, H, W, K, R, S, stride, padding):
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    x, w, b = channels_first(draw(N, H, W, C)), draw(K, C, R, S), draw(K)
    geometry = stride, padding, (1, 1), 1
    y = reference.forward(x, w, b, *geometry)
    return x, w, b, channels_first(draw(*np.moveaxis(y, 1, -1).shape)), geometry


def close(actual, expected):
    assert actual.shape == expected.shape and actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", SHAPES)
def test_it_equals_the_reference(name):
    x, w, b, gy, geometry = problem(*SHAPES[name])
    close(widened.forward(x, w, b, *geometry), reference.forward(x, w, b, *geometry))
    close(widened.forward(x, w, None, *geometry), reference.forward(x, w, None, *geometry))
    close(
        widened.backward_weight(gy, x, w.shape, *geometry),
        reference.backward_weight(gy, x, w.shape, *geometry),
    )
    if geometry[0] == (1, 1):
        close(
            widened.backward_input(gy, w, x.shape, *geometry),
            reference.backward_input(gy, w, x.shape, *geometry),
        )


def test_neighbours_fill_a_panel():
    """Ten neighbours of three channels for vectors of 32; a layer of 16 needs two."""
    lanes = widened.PANEL
    assert widened.best_grouping(3, 9, 1)[0] * 3 in (lanes - 2, lanes - 1)
    assert widened.best_grouping(lanes // 2, 9, 1) == (2, 9 / 10)
    assert widened.best_grouping(lanes, 9, 1) == (1, 1)


def test_where_it_is_used():
    x, w, b, gy, geometry = problem(1, 16, 12, 300, 3, 9, 9, (1, 1), (4, 4))
    for result, array in [("y", x), ("gx", gy), ("gw", gy)]:
        assert conv2d.choose(result, array, x.shape, w.shape, *geometry) is widened
        double = array.astype(np.float64)
        assert conv2d.choose(result, double, x.shape, w.shape, *geometry) is im2col
    narrow = x[..., :10], w, (1, 1), (4, 4), (1, 1), 1
    assert conv2d.choose("y", narrow[0], narrow[0].shape, w.shape, *narrow[2:]) is im2col


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_reaches_the_pixels_that_see_it(value):
    x, w, b, _, geometry = problem(1, 16, 12, 300, 3, 9, 9, (1, 1), (4, 4))
    clean = conv2d.forward(x, w, b, *geometry)
    x[0, 5, 6, 100] = value
    y = conv2d.forward(x, w, b, *geometry)
    spoiled = np.zeros(y.shape, bool)
    spoiled[:, :, 2:11, 96:105] = True
    assert not np.isfinite(y[spoiled]).any()
    close(y[~spoiled], clean[~spoiled])


@pytest.mark.filterwarnings("error")
def test_a_weight_that_never_sees_infinity_stays_finite():
    """Padded outputs have a gradient of 0, and 0 times infinity is NaN."""
    x, w, _, gy, geometry = problem(1, 2, 12, 301, 3, 9, 9, (1, 1), (0, 0))
    x[0, 1, 5, 300] = np.inf
    x[0, 1, 6, 300] = -np.inf
    assert conv2d.choose("gw", gy, x.shape, w.shape, *geometry) is widened
    with np.errstate(invalid="ignore"):  # of the sums that do see both
        gw = conv2d.backward_weight(gy, x, w.shape, *geometry)
        expected = reference.backward_weight(gy, x, w.shape, *geometry)
    seen = ~np.isfinite(expected)
    assert 0 < seen.sum() < seen.size / 2
    np.testing.assert_array_equal(~np.isfinite(gw), seen)
    close(gw[~seen], expected[~seen])
