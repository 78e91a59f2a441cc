"""Transposing matrices in memory."""

from __future__ import annotations

from numba import njit

from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.moves import transpose_block


@njit(nogil=True, cache=True)
def transpose_matrix(x, y):
    """y = x^T of contiguous float32 matrices, in squares that fit into the registers.

    So each piece of memory that is read or written is a vector. NumPy walks down all rows, number
    by number, and takes several times as long.
    """
    rows, columns = x.shape
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    whole_rows, whole_columns = rows // WIDTH * WIDTH, columns // WIDTH * WIDTH
    for i in range(0, whole_rows, WIDTH):
        for j in range(0, whole_columns, WIDTH):
            transpose_block(flat_x, i * columns + j, columns, flat_y, j * rows + i, rows)
    for i in range(rows):  # what is left over at the right and below
        for j in range(whole_columns if i < whole_rows else 0, columns):
            y[j, i] = x[i, j]
