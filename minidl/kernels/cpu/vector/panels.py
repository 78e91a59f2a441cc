"""Products of a few rows with a matrix whose columns were brought into panels before.

y = x w^T, as in a linear layer. A BLAS brings w into the order in which it reads it at each call,
which takes as long as to multiply it by some thirty rows. Of a w that does not change
(kernels/unchanging.py) it is done once: a panel (vector/matrix_product.py) has PANEL rows of w,
transposed, one k behind the other. Then the product reads each weight once, in the order of memory.
For 10,000 x 512 weights and 3 rows of x it takes 2.1 instead of 5.1 ms of one core, for 32 rows 3.5
instead of 6.9, for 96 rows 9.2 instead of 10.7. A single row a BLAS multiplies without all that.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, njit

from minidl.kernels import unchanging
from minidl.kernels.cpu.threads.workers import share
from minidl.kernels.cpu.vector.matrix_product import (
    BLOCKS,
    PANEL,
    block_rows,
    check_blocks,
    multiply_in_parts,
)
from minidl.kernels.cpu.vector.transpose import transpose_matrix
from minidl.kernels.memory import aligned, scratch
from minidl.kernels.sums import LONG

MOST_ROWS = 128  # for more, a BLAS is as fast
LEAST = 2**16  # numbers of w: fewer are multiplied sooner than all this is called
SMALL = 2**20  # numbers of w: fewer are not worth a second thread
PARTS = 4  # for each thread: one that began late leaves them to the others


def product_with_panels(
    x: np.ndarray, b: np.ndarray, out: np.ndarray | None = None, bias: np.ndarray | None = None
) -> np.ndarray | None:
    """x @ b + bias where b is the transpose of a matrix that stays as it is, or None.

    Args:
        x: float32 (M, K), 2 rows or more, but few.
        b: float32 (K, N).
        out: where the product is written, (M, N) row by row in memory; None for a new array.
        bias: float32 (N,), added to each row.
    """
    if x.ndim != 2 or b.ndim != 2 or x.dtype != np.float32 or x.shape[1] != len(b):
        return None
    if not 1 < len(x) <= MOST_ROWS or b.size < LEAST or len(b) >= LONG:  # long: kernels/sums.py
        return None
    if (panels := unchanging.prepared(b.T, make_panels)) is None:
        return None
    if out is None:
        out = np.empty((len(x), b.shape[1]), np.float32)
    elif out.shape != (len(x), b.shape[1]) or not out.flags.c_contiguous:
        return None
    bias = np.zeros(b.shape[1], np.float32) if bias is None else np.ascontiguousarray(bias)
    rows, K = block_rows(len(x)), len(b)
    with scratch(rows * K) as (a,):
        a[: x.size].reshape(x.shape)[...] = x
        a[x.size : rows * K] = 0  # rows that are computed with the others, and not used
        share(multiply_part, parts_of(b), len(x), a, panels, bias, out)
    return out


def parts_of(b: np.ndarray) -> list[slice]:
    """Which panels are computed together."""
    n_panels = -(-b.shape[1] // PANEL)
    n_parts = PARTS * get_num_threads() if b.size >= SMALL and get_num_threads() > 1 else 1
    step = -(-n_panels // n_parts)
    return [slice(first, min(first + step, n_panels)) for first in range(0, n_panels, step)]


def make_panels(w: np.ndarray) -> np.ndarray:
    """w (N, K) as panels, (panels, K, PANEL): the last may end with zeros."""
    N, K = w.shape
    panels = aligned((-(-N // PANEL), K, PANEL), w.dtype)
    share(fill_panels, parts_of(w.T), w, panels)
    return panels


def fill_panels(part: slice, w: np.ndarray, panels: np.ndarray) -> None:
    for number in range(part.start, part.stop):
        rows = w[number * PANEL : (number + 1) * PANEL]
        if len(rows) == PANEL:
            transpose_matrix(rows, panels[number])
        else:
            panels[number] = 0
            panels[number, :, : len(rows)] = rows.T


def multiply_part(
    part: slice, n_rows: int, a: np.ndarray, panels: np.ndarray, bias: np.ndarray, out: np.ndarray
) -> None:
    with scratch(block_rows(n_rows) * PANEL) as (work,):
        multiply_panels(BLOCKS, part.start, part.stop, n_rows, a, panels, bias, work, out)


@njit(nogil=True, cache=True)
def multiply_panels(blocks, first, end, rows, a, panels, bias, work, out):
    """The panels from first to end of out = a w^T + bias; a has room for block_rows(rows) rows."""
    check_blocks(blocks, BLOCKS)
    K, N = panels.shape[1], out.shape[1]
    for number in range(first, end):
        panel = panels[number].reshape(K * PANEL)
        multiply_in_parts(rows, K, a, panel, work, 0, PANEL)
        start = number * PANEL
        for i in range(rows):
            for j in range(min(PANEL, N - start)):
                out[i, start + j] = work[i * PANEL + j] + bias[start + j]
