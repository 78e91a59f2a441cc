"""What the compiled kernels promise beyond right values: any size, any number of threads."""

import numba
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minidl
from minidl import Tensor
from minidl.kernels.cpu import conv2d, matmul, max_pool2d
from minidl.kernels.cpu.convolution import im2col
from minidl.kernels.reference import conv2d as reference
from minidl.nn import functional as F
from tests.kernels.guards import paddings
from tests.op_cases import CASES
from tests.ops.test_ops import assert_close, run


def pair(most):
    """Drawn by hypothesis: (height, width), from 1 to most each."""
    return st.tuples(st.integers(1, most), st.integers(1, most))


CONVOLUTIONS = [case for case in CASES if case.op in ("conv2d", "conv_transpose2d")]


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=lambda case: case.id)
def test_columns_in_one_piece(case, monkeypatch):
    """As for many channels and few pixels."""
    expected = run(case, np.float64, "reference")
    monkeypatch.setattr(im2col, "MANY_TAPS", 1)
    actual = run(case, np.float64, "numba")
    for a, e in zip(actual, expected):
        assert_close(a, e, 1e-11)


@pytest.mark.parametrize("n_bytes", [1, 700])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=lambda case: case.id)
def test_columns_come_in_pieces(case, n_bytes, monkeypatch):
    """A row at a time (less than one fits), and pieces that begin and end inside an image."""
    expected = run(case, np.float64, "reference")
    monkeypatch.setattr(im2col, "COLUMNS_BYTES", n_bytes)
    actual = run(case, np.float64, "numba")
    for a, e in zip(actual, expected):
        assert_close(a, e, 1e-11)


CALLS = {
    "conv2d": lambda x: F.conv2d(x, x[:4, :, :3, :3], padding=1),
    "conv_transpose2d": lambda x: F.conv_transpose2d(x, x[:6, :4, :3, :3], stride=2),
    "max_pool2d": lambda x: F.max_pool2d(x, 5, 2, 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 5, 2, 2),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (7, 5)),
    "interpolate-nearest": lambda x: F.interpolate(x, (40, 11)),
    "interpolate-bilinear": lambda x: F.interpolate(x, (40, 11), mode="bilinear"),
    "unfold": lambda x: F.unfold(x, 3, padding=1),
}


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core: no two threads")
@pytest.mark.parametrize("name", CALLS)
def test_bits_do_not_depend_on_the_number_of_threads(name):
    array = np.random.default_rng(0).standard_normal((6, 6, 17, 19)).astype(np.float32)
    (y1, gx1), (y2, gx2) = (compute(CALLS[name], array, n_threads) for n_threads in (1, 2))
    np.testing.assert_array_equal(y1, y2)
    np.testing.assert_array_equal(gx1, gx2)


def compute(call, array, n_threads):
    before = numba.get_num_threads()
    numba.set_num_threads(n_threads)
    try:
        with minidl.use_cpu_kernels("numba"):
            x = Tensor(array, requires_grad=True)
            y = call(x)
            (y * y).sum().backward()
    finally:
        numba.set_num_threads(before)
    return y.data, x.grad.data


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 20), st.integers(1, 12), pair(4), pair(3), pair(2), paddings(0, 3),
    st.sampled_from([1, 2]), st.sampled_from([1, 500, 2**21]),
)  # fmt: skip
def test_gradient_of_an_image_in_parts(H, W, window, stride, dilation, padding, groups, n_bytes):
    """Products of some rows of outputs at a time; neighbouring ones add to the same pixels."""
    OH, OW = im2col.output_size((1, H, W, 1), *window, stride, padding, dilation)
    assume(OH > 0 and OW > 0)
    rng = np.random.default_rng(0)
    gy, w = rng.standard_normal((1, 4, OH, OW)), rng.standard_normal((4, 6 // groups, *window))
    mask = np.maximum(rng.standard_normal(gy.shape), 0)
    rest = (1, 6, H, W), stride, padding, dilation, groups
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "COLUMNS_BYTES", n_bytes)
        patch.setattr(im2col, "SMALL_BYTES", 0)
        for behind in ({}, {"mask": mask}):
            actual = im2col.backward_input(gy, w, *rest, **behind)
            assert_close([actual], [reference.backward_input(gy, w, *rest, **behind)], 1e-11)


@pytest.mark.parametrize("order", ["channels-last", "batch-last", "first"])
@pytest.mark.parametrize("kernel, stride, padding", [(3, 2, 0), (2, 2, 1), (3, 1, 1), (2, 3, 0)])
def test_gradients_of_max_pools_are_added_to_others(order, kernel, stride, padding):
    rng = np.random.default_rng(0)
    x, others = (in_order(rng.standard_normal((2, 5, 9, 8)), order) for _ in range(2))
    rest = (kernel, kernel), (stride, stride), (padding, padding), (1, 1)
    sizes = tuple((n + 2 * padding - kernel) // stride + 1 for n in (9, 8))
    y, indices = max_pool2d.forward(x, *rest, sizes)
    gy = rng.standard_normal(y.shape)
    expected = others + max_pool2d.backward(gy, indices, x.shape, *rest)
    actual = max_pool2d.backward(gy, indices, x.shape, *rest, others.copy(order="K"))
    assert_close([actual], [expected], 1e-14)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(
    "x_shape, w_shape, stride, padding, groups",
    [
        ((1, 96, 50, 40), (16, 96, 1, 1), (1, 1), (0, 0), 1),
        ((2, 5, 4, 3), (7, 5, 1, 1), (1, 1), (0, 0), 1),
        ((1, 3, 5, 4), (300, 3, 1, 1), (1, 1), (0, 0), 1),
        ((1, 4, 5, 4), (6, 2, 1, 1), (1, 1), (0, 0), 2),
        ((1, 5, 7, 6), (4, 5, 1, 1), (2, 2), (0, 0), 1),
        ((1, 5, 7, 6), (4, 5, 3, 2), (1, 1), (1, 0), 1),
        ((1, 16, 9, 8), (16, 16, 3, 3), (1, 1), (1, 1), 1),
    ],
    ids=["pointwise", "small", "wide", "groups", "stride", "window", "winograd"],
)  # fmt: skip
@pytest.mark.parametrize("order", ["channels-last", "first"])
@pytest.mark.parametrize("n_bytes", [2**21, 1000])
def test_gradients_of_convolutions_are_added_to_others(
    monkeypatch, relu, x_shape, w_shape, stride, padding, groups, order, n_bytes
):
    """In parts, where they are a product."""
    monkeypatch.setattr(matmul, "PART_BYTES", n_bytes)
    rng = np.random.default_rng(0)
    w, others = rng.standard_normal(w_shape), in_order(rng.standard_normal(x_shape), order)
    rest = stride, padding, (1, 1), groups
    gy = rng.standard_normal(conv2d.forward(np.zeros(x_shape), w, None, *rest).shape)
    mask = np.maximum(rng.standard_normal(gy.shape), 0) if relu else None
    for dtype in (np.float64, np.float32):
        if dtype == np.float32:
            gy, w, others = (a.astype(dtype, order="K") for a in (gy, w, others))
            mask = mask.astype(dtype) if relu else None
        expected = reference.backward_input(gy, w, x_shape, *rest, mask=mask, add_to=others)
        actual = conv2d.backward_input(
            gy, w, x_shape, *rest, mask=mask, add_to=others.copy(order="K")
        )
        assert_close([actual], [expected], 1e-13 if dtype == np.float64 else 1e-5)


def in_order(array, name):
    """The same numbers with memory of that order."""
    axes = {"channels-last": (0, 2, 3, 1), "batch-last": (1, 2, 3, 0), "first": (0, 1, 2, 3)}[name]
    return np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))
