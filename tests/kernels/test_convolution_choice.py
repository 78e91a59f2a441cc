"""Which of the five algorithms computes a convolution and its gradients."""

import numpy as np
import pytest

import minidl
from minidl.kernels.cpu.conv2d import choose
from minidl.kernels.cpu.convolution import batch_last
from minidl.kernels.cpu.vector.matrix_product import PANEL
from minidl.kernels.layout import BATCH_LAST, CHANNELS_LAST, arranged, logical

LANES = batch_last.LANES
PLAIN = (1, 1), (1, 1), (1, 1), 1  # stride, padding, dilation, groups

# x, w, geometry, order in memory: the algorithm for y, gx and gw
CHOICES = {
    "few channels": ((LANES, 1, 12, 12), (6, 1, 5, 5), PLAIN, CHANNELS_LAST, "batch_last"),
    "batch last": ((LANES, 16, 9, 9), (32, 16, 3, 3), PLAIN, BATCH_LAST, "batch_last"),
    "3x3": ((2, 32, 20, 20), (48, 32, 3, 3), PLAIN, CHANNELS_LAST, "winograd"),
    "3x3 in groups": (
        (2, 64, 20, 20), (64, 32, 3, 3), ((1, 1), (1, 1), (1, 1), 2), CHANNELS_LAST, "winograd",
    ),
    "first layer": (
        (1, 3, 64, 64), (64, 3, 7, 7), ((2, 2), (3, 3), (1, 1), 1), CHANNELS_LAST,
        ("direct", "im2col", "direct"),
    ),
    "5x5, of one tile": (
        (64, 16, 6, 6), (16, 16, 5, 5), ((1, 1), (0, 0), (1, 1), 1), CHANNELS_LAST,
        # 16 channels fill a vector pair of AVX2, and half of one of AVX-512
        ("winograd", "widened" if PANEL == 16 else "im2col", "winograd"),
    ),
    "1x1": (
        (2, 64, 14, 14), (32, 64, 1, 1), ((1, 1), (0, 0), (1, 1), 1), CHANNELS_LAST, "im2col",
    ),
    "depthwise": (
        (2, 32, 20, 20), (32, 1, 3, 3), ((2, 2), (1, 1), (1, 1), 32), CHANNELS_LAST, "depthwise",
    ),
    "odd channels": ((2, 7, 20, 20), (41, 7, 3, 3), PLAIN, CHANNELS_LAST, "im2col"),
}  # fmt: skip


def chosen(x_shape, w_shape, geometry, order, dtype=np.float32):
    """Names, for y, gx and gw."""
    x = logical(arranged(np.zeros(x_shape, dtype), order), order)
    y_shape = minidl.nn.functional.conv2d(
        minidl.Tensor(x), minidl.zeros(*w_shape, dtype=str(x.dtype)), None, *geometry
    ).shape
    gy = logical(arranged(np.zeros(y_shape, dtype), order), order)
    return tuple(
        choose(result, array, x_shape, w_shape, *geometry).__name__.rpartition(".")[2]
        for result, array in (("y", x), ("gx", gy), ("gw", gy))
    )


@pytest.mark.parametrize("name", CHOICES)
def test_what_computes_a_convolution_and_its_gradients(name):
    *problem, names = CHOICES[name]
    assert chosen(*problem) == (names if isinstance(names, tuple) else (names,) * 3)


@pytest.mark.parametrize("name", CHOICES)
def test_float64_is_computed_with_columns_where_channels_are_summed(name):
    *problem, names = CHOICES[name]
    expected = names if names == "depthwise" else "im2col"
    assert chosen(*problem, np.float64) == (expected,) * 3


def test_plain_sums_where_exact_convolutions_are_asked_for():
    *problem, _ = CHOICES["3x3"]
    with minidl.use_exact_conv(True):
        assert "winograd" not in chosen(*problem)
