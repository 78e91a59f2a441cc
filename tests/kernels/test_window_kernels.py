"""What the compiled kernels promise beyond right values: any size, any number of threads."""

import numba
import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl.kernels.cpu.convolution import im2col
from minidl.nn import functional as F
from tests.op_cases import CASES
from tests.ops.test_ops import assert_close, run

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
