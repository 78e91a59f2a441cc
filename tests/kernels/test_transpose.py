"""Matrices transposed in squares that fit into the registers: the numbers, the memory around."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.transpose import transpose_matrix
from tests.kernels.guards import MARGIN, SENTINEL, between_nans, each_processor, run_in_python

SIZES = st.integers(0, 3 * WIDTH + 1)


def between_sentinels(*shape):
    buffer = np.full(int(np.prod(shape)) + 2 * MARGIN, SENTINEL, np.float32)
    return buffer, buffer[MARGIN:-MARGIN].reshape(shape)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES)
@example(2 * WIDTH, WIDTH)
def test_any_shape_and_nothing_beside_it(rows, columns):
    x = between_nans(np.random.default_rng(0).standard_normal((rows, columns), np.float32))
    buffer, y = between_sentinels(columns, rows)
    transpose_matrix(x, y)
    np.testing.assert_array_equal(y, x.T)
    assert (buffer[:MARGIN] == SENTINEL).all() and (buffer[-MARGIN:] == SENTINEL).all()


@each_processor
def test_in_python_with_checks(width, processor):
    code = """
import numpy as np
from minidl.kernels.cpu.vector.transpose import transpose_matrix
from minidl.kernels.cpu.vector.instructions import WIDTH
x = np.arange((2 * WIDTH + 1) * (WIDTH + 2), dtype=np.float32).reshape(2 * WIDTH + 1, WIDTH + 2)
y = np.empty(x.shape[::-1], np.float32)
transpose_matrix(x, y)
assert (y == x.T).all()
print(WIDTH)
"""
    assert run_in_python(code, processor) == f"{width}\n"


@pytest.mark.parametrize("outside", ["source", "target"])
def test_python_refuses_a_square_that_is_not_all_inside(outside):
    code = f"""
import numpy as np
from minidl.kernels.cpu.vector.moves import transpose_block
from minidl.kernels.cpu.vector.instructions import WIDTH
source, target = np.zeros(WIDTH * WIDTH, np.float32), np.zeros(WIDTH * WIDTH, np.float32)
try:
    transpose_block(source, {int(outside == "source")}, WIDTH, target,
                    {int(outside == "target")}, WIDTH)
except IndexError as error:
    print(error)
"""
    assert "elements" in run_in_python(code, {})
