"""The gradient of a picture: the numbers, the memory around, and when it is computed so."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minidl.kernels.cpu import conv2d
from minidl.kernels.cpu.convolution import few_channels, im2col
from minidl.kernels.layout import channels_first
from minidl.kernels.reference import conv2d as reference
from tests.kernels.guards import (
    GuardedNumpy,
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    each_processor,
    guarded_scratch,
    paddings,
    run_in_python,
)

GEOMETRY = (2, 2), (1, 0), (1, 1), 1  # stride, padding, dilation, groups


def problem(seed, N, C, H, W, K, R, S, stride, padding):
    """gy, w, outputs of a ReLU, and what backward_input takes besides."""
    rng = np.random.default_rng(seed)
    OH, OW = im2col.output_size((N, H, W, C), R, S, stride, padding, (1, 1))
    gy, y = (
        channels_first(rng.standard_normal((N, OH, OW, K), np.float32)) for _ in range(2)
    )  # fmt: skip
    w = rng.standard_normal((K, C, R, S), np.float32)
    return gy, w, channels_first(np.maximum(y.transpose(0, 2, 3, 1), 0)), (
        (N, C, H, W), stride, padding, (1, 1), 1,
    )  # fmt: skip


def assert_right(gy, w, y, rest):
    exact = gy.astype(np.float64), w.astype(np.float64), *rest
    for mask in (None, y):
        actual = few_channels.backward_input(gy, w, *rest, mask=mask)
        expected = reference.backward_input(*exact, mask=mask)
        assert actual.shape == expected.shape and actual.dtype == np.float32
        atol = 1e-6 * np.abs(expected).max(initial=0) * len(w) ** 0.5
        np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


sizes, strides = st.integers(1, 14), st.integers(1, 4)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 4), sizes, st.integers(1, 40),
    st.integers(1, 50), st.integers(1, 4), st.integers(1, 4), st.tuples(strides, strides),
    paddings(0, 5),
)  # fmt: skip
def test_any_shape(seed, N, C, H, W, K, R, S, stride, padding):
    assume(H + padding[0] + padding[-2] >= R and W + padding[1] + padding[-1] >= S)
    assert_right(*problem(seed, N, C, H, W, K, R, S, stride, padding))


@pytest.mark.parametrize(
    "shape", [(1, 3, 31, 30, 64, 3, 3), (2, 4, 9, 41, 40, 4, 4), (1, 1, 5, 5, 32, 3, 2)]
)
def test_stays_inside_its_memory(monkeypatch, shape):
    """NaN around what is read and in what was not written, sentinels around what is written."""
    gy, w, y, rest = problem(1, *shape, *GEOMETRY[:2])
    for mask in (None, y):
        plain = few_channels.backward_input(gy, w, *rest, mask=mask)
        with monkeypatch.context() as patch:
            guarded = GuardedNumpy()
            patch.setattr(few_channels, "np", guarded)
            scratch = guarded_scratch(patch)
            mask = mask if mask is None else between_nans(mask)
            found = few_channels.backward_input(between_nans(gy), w, *rest, mask=mask)
        assert len(scratch.buffers) == 1
        guarded.check()
        scratch.check()
        np.testing.assert_array_equal(found, plain)


def test_the_same_bits_with_any_number_of_threads():
    gy, w, y, rest = problem(2, 1, 3, 120, 130, 64, 3, 3, (1, 1), (1, 1))
    assert_same_bits_with_any_number_of_threads(
        lambda: [few_channels.backward_input(gy, w, *rest, mask=mask) for mask in (None, y)]
    )


@each_processor
def test_in_python_the_same_with_checks(width, processor):
    code = """
from tests.kernels import test_few_channels as t
t.assert_right(*t.problem(0, 2, 3, 5, 17, 34, 3, 3, (2, 1), (1, 0)))
print(t.few_channels.PANEL)
"""
    assert run_in_python(code, processor) == f"{2 * width}\n"


def test_where_it_is_used():
    gy, w, _, rest = problem(3, 1, 3, 64, 64, 64, 3, 3, (1, 1), (1, 1))
    assert conv2d.choose("gx", gy, rest[0], w.shape, *rest[1:]) is few_channels
    double = gy.astype(np.float64)
    assert conv2d.choose("gx", double, rest[0], w.shape, *rest[1:]) is im2col
    dilated = *rest[1:3], (2, 2), 1
    assert conv2d.choose("gx", gy, rest[0], w.shape, *dilated) is im2col
    many = problem(3, 1, 12, 64, 64, 64, 3, 3, (1, 1), (1, 1))
    assert conv2d.choose("gx", many[0], many[3][0], many[1].shape, *many[3][1:]) is im2col


def test_infinities_that_the_relu_stops_are_not_seen():
    gy, w, y, rest = problem(4, 1, 3, 20, 20, 64, 3, 3, (1, 1), (1, 1))
    expected = conv2d.backward_input(gy, w, *rest, mask=y)
    gy[y == 0] = np.inf
    np.testing.assert_array_equal(conv2d.backward_input(gy, w, *rest, mask=y), expected)
