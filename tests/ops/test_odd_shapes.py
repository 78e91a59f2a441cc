"""Shapes nobody thought of: hypothesis draws them for every operation with windows.

Whatever is drawn, either the operation refuses with a MinidlError, the same under both kernel
sets, or the numba kernels agree with the reference kernels, output and gradients. Sizes are small
and reach below the kernel's, so that borders, strides beyond the picture and padding meet.
"""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minidl
from minidl import MinidlError, Tensor
from minidl.nn import functional as F

few = settings(max_examples=100, deadline=None, derandomize=True)

sizes = st.integers(1, 9)
pixels = st.tuples(st.integers(0, 3), st.integers(0, 4), sizes, sizes)  # N, C, H, W
kernels = st.tuples(st.integers(1, 4), st.integers(1, 4))
strides = st.tuples(st.integers(1, 5), st.integers(1, 5))
paddings = st.tuples(st.integers(0, 3), st.integers(0, 3))
dilations = st.tuples(st.integers(1, 3), st.integers(1, 3))
groups = st.integers(1, 3)


def check(call, *shapes, values="normal"):
    """numba and reference agree on call(*tensors of these shapes), in float64."""
    rng = np.random.default_rng(0)
    if values == "normal":
        arrays = [rng.standard_normal(shape) for shape in shapes]
    else:  # few different values, so that several are the largest
        arrays = [rng.integers(0, 3, shape).astype(np.float64) for shape in shapes]
    expected = compute("reference", call, arrays)
    actual = compute("numba", call, arrays)
    if isinstance(expected, str):
        assert actual == expected
        return
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        np.testing.assert_allclose(a, e, rtol=0, atol=1e-12 * max(1, np.abs(e).max(initial=0)))


def compute(kernel_set, call, arrays):
    """[output, gradients...], or the message of the error."""
    with minidl.use_cpu_kernels(kernel_set):
        inputs = [Tensor(array, requires_grad=True) for array in arrays]
        try:
            y = call(*inputs)
        except MinidlError as error:
            return str(error)
        y.backward(np.random.default_rng(1).standard_normal(y.shape))
    return [y.data] + [x.grad.data for x in inputs]


@few
@given(pixels, kernels, st.integers(1, 4), strides, paddings, dilations, groups, st.booleans())
def test_conv2d(x, kernel, K, stride, padding, dilation, groups, fits):
    N, C, H, W = x
    x = (N, C * groups, H, W) if fits else x
    K = K * groups if fits else K
    check(
        lambda x, w, b: F.conv2d(x, w, b, stride, padding, dilation, groups),
        x, (K, max(C, 1), *kernel), (K,),
    )  # fmt: skip


@few
@given(
    pixels, kernels, st.integers(1, 3), strides, paddings, paddings, groups, dilations,
    st.booleans(),
)  # fmt: skip
def test_conv_transpose2d(
    x, kernel, K_group, stride, padding, output_padding, groups, dilation, fits
):
    N, C, H, W = x
    if fits:
        C = max(C, 1) * groups
        output_padding = [min(a, b - 1) for a, b in zip(output_padding, stride)]
    check(
        lambda x, w, b: F.conv_transpose2d(
            x, w, b, stride, padding, output_padding, groups, dilation
        ),
        (N, C, H, W), (C, K_group, *kernel), (K_group * groups,),
    )  # fmt: skip


@few
@given(pixels, kernels, strides, paddings, dilations, st.booleans(), st.booleans())
def test_max_pool2d(x, kernel, stride, padding, dilation, ceil_mode, fits):
    padding = at_most_half(padding, kernel) if fits else padding
    check(lambda x: F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode), x, values="ties")


@few
@given(pixels, kernels, strides, paddings, st.booleans(), st.booleans(), st.booleans())
def test_avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, fits):
    padding = at_most_half(padding, kernel) if fits else padding
    check(lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad), x)


@few
@given(pixels, st.tuples(st.integers(0, 12), st.integers(1, 12)))
def test_adaptive_avg_pool2d(x, output_size):
    check(lambda x: F.adaptive_avg_pool2d(x, output_size), x)


scales = st.floats(0.05, 3.5)


@few
@given(
    pixels,
    st.tuples(st.integers(1, 14), st.integers(1, 14)) | st.none(),
    st.tuples(scales, scales) | scales | st.none(),
    st.sampled_from(["nearest", "bilinear"]),
    st.sampled_from([None, True, False]),
)
def test_interpolate(x, size, scale_factor, mode, align_corners):
    assume(size is None or scale_factor is None)
    check(lambda x: F.interpolate(x, size, scale_factor, mode, align_corners), x)


@few
@given(pixels, kernels, dilations, paddings, strides)
def test_unfold(x, kernel, dilation, padding, stride):
    check(lambda x: F.unfold(x, kernel, dilation, padding, stride), x)


@few
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.lists(st.integers(-3, 5), max_size=8),
    st.sampled_from(["constant", "reflect", "replicate"]),
)
def test_pad_equals_numpy(shape, widths, mode):
    """pad has no kernels to compare, but NumPy has pad (which knows no negative widths)."""
    x = Tensor(np.random.default_rng(0).standard_normal(shape), requires_grad=True)
    try:
        y = F.pad(x, widths, mode)
    except MinidlError:
        return
    pairs = [widths[i : i + 2] for i in range(0, len(widths), 2)][::-1]
    pairs = [[0, 0]] * (len(shape) - len(pairs)) + pairs
    # Pixel numbers say where each output comes from, 0 from nowhere: forward and gradient follow.
    numbers = np.arange(1, x.numel() + 1).reshape(shape)
    kept = tuple(slice(max(-a, 0), n + min(b, 0)) for n, (a, b) in zip(shape, pairs))
    positive = [[max(a, 0), max(b, 0)] for a, b in pairs]
    numpy_mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}[mode]
    source = np.pad(numbers[kept], positive, numpy_mode)
    np.testing.assert_array_equal(y.data, np.append(0.0, x.data)[source])
    gy = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(gy)
    gx = np.bincount(source.ravel(), gy.ravel(), minlength=x.numel() + 1)[1:].reshape(shape)
    np.testing.assert_allclose(x.grad.data, gx, rtol=0, atol=1e-12)


def at_most_half(padding, kernel):
    return [min(p, k // 2) for p, k in zip(padding, kernel)]


floats = st.floats(-2, 4) | st.sampled_from([float("nan"), float("inf")])
anything = st.one_of(
    st.integers(-2, 3), floats, st.none(), st.text(max_size=2), st.booleans(),
    st.lists(st.integers(-1, 3), max_size=3), st.tuples(st.integers(0, 3), floats),
)  # fmt: skip
x = minidl.ones(1, 4, 5, 6)
w = minidl.ones(4, 2, 3, 2)


CALLS = {
    "conv2d": lambda *a: F.conv2d(x, w, None, *a, 2),
    "conv2d-groups": lambda *a: F.conv2d(x, w, None, 1, 0, 1, a[0]),
    "conv_transpose2d": lambda *a: F.conv_transpose2d(x, w, None, *a),
    "conv_transpose2d-groups": lambda *a: F.conv_transpose2d(x, w, None, 1, 0, 0, *a[:2]),
    "max_pool2d": lambda *a: F.max_pool2d(x, *a),
    "max_pool2d-dilation": lambda *a: F.max_pool2d(x, 2, 1, 1, a[0]),
    "avg_pool2d": lambda *a: F.avg_pool2d(x, *a),
    "avg_pool2d-divisor": lambda *a: F.avg_pool2d(x, 2, divisor_override=a[0]),
    "adaptive_avg_pool2d": lambda *a: F.adaptive_avg_pool2d(x, a[0]),
    "interpolate-size": lambda *a: F.interpolate(x, a[0]),
    "interpolate-scale": lambda *a: F.interpolate(x, None, a[0]),
    "interpolate-mode": lambda *a: F.interpolate(x, None, 2.0, a[0]),
    "unfold": lambda *a: F.unfold(x, *a),
    "unfold-stride": lambda *a: F.unfold(x, 2, 1, 0, a[0]),
    "pad": lambda *a: F.pad(x, a[0]),
    "pad-value": lambda *a: F.pad(x, [1, 0], "constant", a[0]),
    "pad-mode": lambda *a: F.pad(x, [1, 0], a[0]),
}


@pytest.mark.parametrize("name", CALLS)
@few
@given(anything, anything, anything)
def test_wrong_arguments_raise_nothing_but_minidl_errors(name, a, b, c):
    with minidl.use_cpu_kernels("reference"):
        try:
            CALLS[name](a, b, c)
        except MinidlError as error:
            assert str(error)
