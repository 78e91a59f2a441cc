"""Arrays that show what a kernel does beside them, or that are unusual, and kernels in Python."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

import minidl
from minidl.kernels import memory
from minidl.kernels.layout import CHANNELS_LAST, logical

MARGIN = 256  # numbers on each side
SENTINEL = np.float32(12345.0)


def paddings(low, high):
    """Drawn by hypothesis: (height, width), or (top, left, bottom, right)."""
    sides = st.integers(low, high)
    return st.tuples(sides, sides) | st.tuples(sides, sides, sides, sides)


def between_nans(array, order=CHANNELS_LAST):
    """The same values with NaN before and behind: a read outside brings one into the result."""
    last = array.transpose(order) if array.ndim == 4 else array
    buffer = np.full(array.size + 2 * MARGIN, np.nan, np.float32)
    inside = buffer[MARGIN:-MARGIN].reshape(last.shape)
    inside[...] = last
    return logical(inside, order) if array.ndim == 4 else inside


def read_only(array):
    array = array.copy(order="K")
    array.flags.writeable = False
    return array


def with_gaps(array):
    wide = np.full([2 * size for size in array.shape], np.nan, array.dtype)
    inside = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    inside[...] = array
    return inside


class GuardedNumpy:
    """Stands in for np in a kernel file: its new arrays lie between sentinels.

    Those of floats begin as NaN, so that what is read before it was written shows, too.
    """

    def __init__(self):
        self.buffers = []

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, shape, dtype=np.float64):
        size = int(np.prod(shape))
        self.buffers.append(np.full(size + 2 * MARGIN, SENTINEL, dtype))
        inside = self.buffers[-1][MARGIN : MARGIN + size]
        if inside.dtype.kind == "f":
            inside[...] = np.nan
        return inside.reshape(shape)

    def zeros(self, shape, dtype=np.float64):
        array = self.empty(shape, dtype)
        array[...] = 0
        return array

    def check(self):
        for buffer in self.buffers:
            assert (buffer[:MARGIN] == SENTINEL).all(), "written before the array"
            assert (buffer[-MARGIN:] == SENTINEL).all(), "written behind the array"


def guarded_scratch(monkeypatch):
    """Working memory between sentinels from here on, each time a new array (kernels/memory.py).

    Returns:
        the GuardedNumpy that has made them.
    """
    guarded = GuardedNumpy()
    monkeypatch.setattr(memory, "find", lambda size: None)
    monkeypatch.setattr(memory, "new", lambda size: guarded.empty(size, np.float32))
    monkeypatch.setattr(memory, "KEPT_BYTES", 0)
    return guarded


def calls_of(monkeypatch, module, *names):
    """A list to which these functions of a module add their names when they are called."""
    called = []
    for name in names:
        function = getattr(module, name)

        def note(*arguments, name=name, function=function):
            called.append(name)
            return function(*arguments)

        monkeypatch.setattr(module, name, note)
    return called


def assert_same_bits_with_any_number_of_threads(compute):
    """compute() gives several arrays."""
    threads = minidl.get_num_threads()
    try:
        results = []
        for number in (1, threads, threads):
            minidl.set_num_threads(number)
            results.append(compute())
    finally:
        minidl.set_num_threads(threads)
    for result in results[1:]:
        for again, before in zip(result, results[0]):
            np.testing.assert_array_equal(again, before)


# The numbers in a vector, and what makes Numba take this processor for one that has such vectors.
each_processor = pytest.mark.parametrize(
    "width, processor",
    [
        (8, {"NUMBA_CPU_NAME": "haswell"}),
        (16, {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": "+avx512f"}),
    ],
    ids=["AVX2", "AVX-512"],
)


def run_in_python(code, processor):
    """What a program prints that runs kernels without compiling them, so that Python checks all."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", **processor}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
