"""Where sources differ on windows, minidl does as PyTorch: by hand, on pictures of one row."""

import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl.nn import functional as F
from tests.oracles import onnx

nan, inf = np.nan, np.inf
both_sets = pytest.mark.parametrize("kernels", ["reference", "numba"])


def row(*values):
    return Tensor(np.array(values, np.float64).reshape(1, 1, 1, -1), requires_grad=True)


def flat(x):
    return x.detach().numpy().ravel().tolist()


@both_sets
def test_max_pool_gives_a_tie_to_the_first(kernels):
    with minidl.use_cpu_kernels(kernels):
        x = row(1, 3, 3, 3, 2)
        F.max_pool2d(x, (1, 3), stride=1).backward(np.array([[[[1.0, 10.0, 100.0]]]]))
    assert flat(x.grad) == [0, 11, 100, 0, 0]


@both_sets
def test_max_pool_passes_nan_on_and_never_pads_a_winner(kernels):
    with minidl.use_cpu_kernels(kernels):
        y = F.max_pool2d(row(nan, 5, -1, -2, -inf), (1, 2), stride=1)
        np.testing.assert_array_equal(flat(y), [nan, 5, -1, -2])
        y, at = F.max_pool2d(row(-1, -inf), (1, 3), 1, (0, 1), return_indices=True)
        assert (flat(y), flat(at)) == ([-1, -1], [0, 0])
        y, at = F.max_pool2d(row(-inf, -inf), (1, 3), 1, (0, 1), return_indices=True)
        assert (flat(y), flat(at)) == ([-inf, -inf], [0, 0])


@both_sets
def test_ceil_mode_keeps_a_last_window_that_starts_in_the_picture(kernels):
    with minidl.use_cpu_kernels(kernels):
        assert flat(F.max_pool2d(row(1, 2, 3, 4, 5), (1, 2), 2)) == [2, 4]
        assert flat(F.max_pool2d(row(1, 2, 3, 4, 5), (1, 2), 2, ceil_mode=True)) == [2, 4, 5]
        # With stride 3 the third window would start behind the picture, at 6 (or in padding).
        assert flat(F.max_pool2d(row(1, 2, 3, 4, 5, 6), (1, 2), 3, ceil_mode=True)) == [2, 5]
        y = F.max_pool2d(row(1, 2, 3, 4, 5), (1, 2), 3, (0, 1), ceil_mode=True)
        assert flat(y) == [1, 4]


@both_sets
@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, [2 / 3, 14 / 3]),
        ({"ceil_mode": True}, [2 / 3, 14 / 3, 8 / 2]),  # one pixel, one of padding: divided by 2
        ({"ceil_mode": True, "count_include_pad": False}, [2 / 2, 14 / 3, 8 / 1]),
        ({"ceil_mode": True, "divisor_override": 4}, [2 / 4, 14 / 4, 8 / 4]),
    ],
    ids=str,
)
def test_avg_pool_counts(kernels, options, expected):
    """Pixels 0, 2 | 4, 4, 6 | 8 and padding, by threes from one pixel of padding on."""
    with minidl.use_cpu_kernels(kernels):
        y = F.avg_pool2d(row(0, 2, 4, 4, 6, 8), (1, 3), 3, (0, 1), **options)
    np.testing.assert_allclose(flat(y), expected, rtol=1e-15)


@both_sets
def test_adaptive_bins_overlap(kernels):
    with minidl.use_cpu_kernels(kernels):
        assert flat(F.adaptive_avg_pool2d(row(1, 2, 3, 5, 8), (1, 3))) == [1.5, 10 / 3, 6.5]


@both_sets
def test_interpolation_positions(kernels):
    with minidl.use_cpu_kernels(kernels):
        x = row(0, 10, 20)
        assert flat(F.interpolate(x, (1, 5))) == [0, 0, 10, 10, 20]
        # The step is 1 / 1.7, not 4 / 6: output 3 reads floor(1.76).
        y = F.interpolate(row(0, 10, 20, 30), scale_factor=(1, 1.7))
        assert flat(y) == [0, 0, 10, 10, 20, 20]
        # A size that doubles has a step of 1/2, whatever the scale factor.
        y = F.interpolate(row(0, 10, 20, 30), scale_factor=(1, 2.2))
        assert flat(y) == [0, 0, 10, 10, 20, 20, 30, 30]
        # A size that stays the same is a copy, whatever the scale factor.
        assert flat(F.interpolate(x, scale_factor=(1, 1.3), mode="bilinear")) == [0, 10, 20]
        edges = F.interpolate(x, (1, 6), mode="bilinear", align_corners=False)
        assert flat(edges) == [0, 2.5, 7.5, 12.5, 17.5, 20]
        corners = F.interpolate(x, (1, 5), mode="bilinear", align_corners=True)
        assert flat(corners) == [0, 5, 10, 15, 20]
        given, computed = (
            F.interpolate(row(*range(0, 50, 10)), mode="bilinear", **how)
            for how in ({"scale_factor": (1, 1.5)}, {"size": (1, 7)})
        )
        np.testing.assert_allclose(flat(given)[1], 10 * (1.5 / 1.5 - 0.5), rtol=1e-12)
        np.testing.assert_allclose(flat(computed)[1], 10 * (1.5 * 5 / 7 - 0.5), rtol=1e-12)


@pytest.mark.parametrize(
    "size, kernel, stride", [(6, 3, 2), (7, 3, 2), (6, 5, 2), (9, 2, 4), (1, 5, 3)]
)
def test_same_upper_is_onnx_auto_pad(size, kernel, stride):
    """ceil(size / stride) outputs, an odd row and column behind."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((1, 1, n, n + 1), np.float32) for n in (size, kernel))
    y = F.conv2d(Tensor(x), Tensor(w), stride=stride, padding="same_upper").numpy()
    assert y.shape[2:] == (-(-size // stride), -(-(size + 1) // stride))
    strides, shape = [stride, stride], [kernel, kernel + 1]
    run = onnx("Conv", auto_pad="SAME_UPPER", strides=strides, kernel_shape=shape)
    np.testing.assert_allclose(y, run(x, w)[0], rtol=0, atol=1e-5)


def test_pad_names_the_last_axis_first():
    y = F.pad(Tensor(np.ones((1, 1, 2, 2))), (1, 0, 0, 2))
    assert y.detach().numpy()[0, 0].tolist() == [[0, 1, 1], [0, 1, 1], [0, 0, 0], [0, 0, 0]]


@both_sets
def test_lrn_of_numbers_whose_squares_overflow(kernels):
    """d is infinite, and x d^-beta is 0 in both sets: no infinity divided by another."""
    x = np.zeros((1, 5, 1, 1), np.float32)
    x[0, 0] = 1e20
    with minidl.use_cpu_kernels(kernels), np.errstate(over="ignore"):
        y = F.local_response_norm(minidl.Tensor(x), 5, alpha=1.0, k=1.0)
    np.testing.assert_array_equal(y.data, 0)
