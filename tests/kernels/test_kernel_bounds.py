"""Compiled kernels stay inside their arrays. Numba does not check; a slip is silent or a crash.

Two nets with different meshes, the first over every case of the operations with windows, the
second over those of all operations with compiled kernels:

- canaries: each array lies in a larger buffer. A write outside changes the sentinel around it, and
  a read outside brings a NaN into the result.
- Numba's own bounds checks, compiled into the kernels in a process of its own.
"""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from numba import njit, prange

from minidl.kernels.cpu import adagrad, adam, lstm, relu, rmsprop, sgd
from minidl.kernels.cpu.convolution import im2col
from tests.kernels import (
    test_batch_last,
    test_depthwise,
    test_direct_convolution,
    test_lstm_strips,
    test_winograd,
)
from tests.op_cases import CASES
from tests.ops.test_ops import assert_close, make_inputs, run

FILES = [
    "avg_pool2d", "conv2d", "interpolate", "match_patches", "max_pool2d", "minibatch_std", "unfold",
]  # fmt: skip
OPS = [
    *FILES,
    "adaptive_avg_pool2d",
    "conv2d_relu",
    "conv_transpose2d",
]  # which use kernels of these
WINDOW_CASES = [case for case in CASES if case.op in OPS]
ONE_BY_ONE = ["relu", "relu6", "leaky_relu", "tanh"]
OTHERS = ["batch_norm", "dropout", "embedding", "instance_norm", "lrn", *ONE_BY_ONE]
COMPILED_CASES = WINDOW_CASES + [case for case in CASES if case.op in OTHERS]
MARGIN = 1024  # bytes on each side: more than a row of any case
SENTINEL = 0x7F  # as every byte of a float or int: no NaN, and no value that a kernel computes


class GuardedNumpy:
    """Stands in for np in a kernel file: its new arrays lie between sentinels."""

    def __init__(self):
        self.buffers = []

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, shape, dtype):
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        buffer = np.full(n_bytes + 2 * MARGIN, SENTINEL, np.uint8)
        self.buffers.append(buffer)
        return buffer[MARGIN : MARGIN + n_bytes].view(dtype).reshape(shape)

    def zeros(self, shape, dtype):
        array = self.empty(shape, dtype)
        array[...] = 0
        return array

    def check(self):
        for buffer in self.buffers:
            assert (buffer[:MARGIN] == SENTINEL).all(), "written before the array"
            assert (buffer[-MARGIN:] == SENTINEL).all(), "written behind the array"


def between_nans(array):
    """The same values, channels last as the kernels want them, with NaN before and behind."""
    last = array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
    margin = MARGIN // array.itemsize
    buffer = np.full(array.size + 2 * margin, np.nan, array.dtype)
    inside = buffer[margin : margin + array.size].reshape(last.shape)
    inside[...] = last
    return inside.transpose(0, 3, 1, 2) if array.ndim == 4 else inside


@pytest.mark.parametrize("case", WINDOW_CASES, ids=lambda case: case.id)
def test_canaries_live(case, monkeypatch):
    expected = run(case, np.float64, "numba")  # also compiles, while np is still np
    guarded = GuardedNumpy()
    for name in [*FILES, "convolution.im2col", "convolution.depthwise"]:
        module = import_module(f"minidl.kernels.cpu.{name}")
        monkeypatch.setattr(module, "np", guarded)
        if hasattr(module, "aligned"):
            monkeypatch.setattr(module, "aligned", guarded.empty)
    inputs = make_inputs(case, np.float64, case.gradient)
    for x in inputs:
        x.data = between_nans(x.data)
    actual = run(case, np.float64, "numba", inputs=inputs)
    assert guarded.buffers
    guarded.check()
    for a, e in zip(actual, expected):
        assert_close(a, e, 1e-11)


@pytest.mark.slow  # compiles everything once more
def test_bounds_checks_find_nothing(tmp_path):
    """In a process where Numba compiles its checks in; the cache is apart, as that is not keyed."""
    environment = {
        **os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", "from tests.kernels.test_kernel_bounds import *; run_checked()"],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{len(COMPILED_CASES)} cases inside\n"


def run_checked():
    """What that process does: see that the checks work, then take every case through numba."""
    try:
        step_outside(np.zeros(3))
    except (IndexError, SystemError):  # SystemError: how Numba reports it from a parallel loop
        pass
    else:
        raise AssertionError("NUMBA_BOUNDSCHECK has no effect")
    for case in COMPILED_CASES:
        run(case, np.float64, "numba")
    im2col.MANY_TAPS = 1  # columns in one piece
    for case in WINDOW_CASES:
        run(case, np.float64, "numba")
    run_fast_kernels()
    print(f"{len(COMPILED_CASES)} cases inside")


def run_fast_kernels():
    """Those for float32, through the checks of their own tests."""
    for division in test_winograd.DIVISIONS.values():
        with pytest.MonkeyPatch.context() as patch:
            for (module, name), value in division.items():
                patch.setattr(module, name, value)
            for shape, padding, R, groups in [
                ((3, 16, 48, 9, 14), (1, 1), 3, 1), ((2, 32, 96, 7, 6), (0, 2), 3, 2),
                ((2, 48, 16, 11, 5), (2, 1), 5, 1),
            ]:  # fmt: skip
                arrays = test_winograd.problem(0, *shape, padding, R, groups)
                test_winograd.assert_right(*arrays, padding, groups)
    for size, window, stride, padding in [
        ((17, 9), (3, 3), (1, 1), (1, 1)), ((5, 23), (7, 2), (2, 3), (4, 0)),
    ]:  # fmt: skip
        rest = stride, padding
        problem = test_direct_convolution.problem(0, 2, 5, 2 * test_direct_convolution.PANEL,
                                                  size, window, *rest)  # fmt: skip
        test_direct_convolution.assert_right(*problem, *rest)
    for window, stride, dilation in [((3, 3), (1, 1), (1, 1)), ((5, 4), (2, 3), (1, 2))]:
        rest = stride, (2, 1, 0, 3), dilation
        problem = test_depthwise.problem(0, 2, test_depthwise.WIDTH + 5, 1, (17, 23), window, *rest)
        test_depthwise.assert_right(*problem, *rest)
    for C, K, padding in [(1, 6, (0, 0)), (6, 16, (2, 1)), (13, 5, (4, 4))]:
        problem = test_batch_last.problem(0, test_batch_last.LANES, C, K, (7, 9), (5, 3), padding)
        test_batch_last.assert_right(*problem, padding)
    for T, N, panels in [(9, 3, 1), (8, 13, 4), (10, 1, 5)]:
        test_lstm_strips.assert_right(*test_lstm_strips.problem(T, N, panels * lstm.PANEL))
    for size in (7, 2**20 + 3):
        p, g, m, v = np.random.default_rng(0).random((4, size), np.float32)
        y = relu.forward(p)
        relu.backward(g, y)
        sgd.step(p, g, m, 0.1, 0.9, 0.0, 0.1, False)
        adam.step(p, g, m, v, None, 1, 0.1, 0.9, 0.99, 1e-8, 0.0, 0.1)
        rmsprop.step(p, g, v, m, m.copy(), 0.1, 0.9, 1e-8, 0.1, 0.9)
        adagrad.step(p, g, v, 0.1, 1e-8, 0.1)


@njit(parallel=True)
def step_outside(x):
    for i in prange(len(x)):
        x[i + len(x)] = 1
