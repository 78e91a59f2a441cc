"""Few groups of few channels, which are computed as one: a group sees its own numbers only."""

import numpy as np
import pytest

import minidl
from minidl.kernels.cpu import conv2d
from minidl.kernels.reference import conv2d as reference
from minidl.nn import functional as F


@pytest.mark.parametrize("K", [4, 8])
@pytest.mark.parametrize("kernels", ["reference", "numba"])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_groups_do_not_see_each_others_numbers(kernels, K, number):
    """A few narrow groups are computed as one, which must not show."""
    rng = np.random.default_rng(0)
    x, w, gy = (
        rng.standard_normal(shape, np.float32)
        for shape in ((2, 8, 9, 9), (K, 2, 3, 3), (2, K, 4, 4))
    )
    clean = x.copy()
    x[1, 0, 4, 4], gy[0, K - 1, 1, 1] = number, number  # in the first group, and in the last
    geometry = (2, 2), (0, 0), (1, 1), 4
    kernel = conv2d if kernels == "numba" else reference
    with np.errstate(invalid="ignore"):
        y = kernel.forward(x, w, None, *geometry)
        gx = kernel.backward_input(gy, w, x.shape, *geometry)
        gw = kernel.backward_weight(gy, x, w.shape, *geometry)
    of_group = K // 4
    assert not np.isfinite(y[1, :of_group, 1:3, 1:3]).any()
    y[1, :of_group, 1:3, 1:3] = 0
    expected = kernel.forward(clean, w, None, *geometry)
    expected[1, :of_group, 1:3, 1:3] = 0
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5)
    assert np.isfinite(gx[:, :6]).all() and not np.isfinite(gx[0, 6:, 2:5, 2:5]).any()
    assert np.isfinite(gx[1]).all() and np.isfinite(gx[0]).sum() == 8 * 81 - 2 * 9
    assert np.isfinite(gw[of_group : K - 1]).all() and not np.isfinite(gw[K - 1]).any()
    assert not np.isfinite(gw[:of_group, 0]).all() and np.isfinite(gw[:of_group, 1]).all()


def test_one_nan_makes_as_many_as_its_group_and_window_see():
    """conv2d of 4 groups with stride 2: 2 output channels of 4 pixels, and 2 channels of gx."""
    x = minidl.randn(1, 8, 9, 9)
    x.data[0, 0, 4, 4] = np.nan
    x.requires_grad = True
    with minidl.use_cpu_kernels("numba"):
        y = F.conv2d(x, minidl.randn(8, 2, 3, 3), stride=2, groups=4)
        (y * y).sum().backward()
    assert np.isnan(y.data).sum() == 8
    assert np.isnan(x.grad.data).sum() == 2 * 25  # the pixels of four overlapping windows
    assert np.isfinite(x.grad.data[:, 2:]).all()


def test_transposed_convolutions_of_narrow_groups_too():
    x = minidl.randn(1, 8, 5, 5)
    x.data[0, 0, 2, 2] = np.inf
    with minidl.use_cpu_kernels("numba"):
        y = F.conv_transpose2d(x, minidl.randn(8, 1, 3, 3), groups=4)
    assert np.isfinite(y.data[:, 1:]).all() and (~np.isfinite(y.data[:, :1])).sum() == 9
