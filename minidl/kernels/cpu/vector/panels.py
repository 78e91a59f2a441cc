"""Products of a few rows with a matrix whose columns were brought into panels before.

y = x w^T, as in a linear layer. A BLAS brings w into the order in which it reads it at each call,
which takes as long as to multiply it by some thirty rows. Of a w that does not change
(kernels/unchanging.py) it is done once: a panel (vector/matrix_product.py) has PANEL rows of w,
transposed, one k behind the other. Then the product reads each weight once, in the order of memory.
The panels come from memory as fast as it gives them where rows are few, so they are asked for long
before they are needed, and blocks for a few rows leave the processor time to wait.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, njit

from minidl.kernels import unchanging
from minidl.kernels.cpu.threads.workers import share
from minidl.kernels.cpu.vector.block_products import product_of
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.matrix_product import (
    BLOCKS,
    LARGE,
    PANEL,
    SMALL,
    check_blocks,
    takes_large,
)
from minidl.kernels.cpu.vector.transpose import transpose_matrix
from minidl.kernels.memory import aligned, scratch
from minidl.kernels.sums import LONG

MOST_ROWS = 128  # for more, a BLAS is as fast
LEAST = 2**16  # numbers of w: fewer are multiplied sooner than all this is called
FEWER = 2**20  # numbers of w: fewer are not worth a second thread
PARTS = 4  # for each thread: one that began late leaves them to the others
AT_ONCE = 512  # rows of a panel in a product: they should stay in the nearest cache
TINY = 4  # rows of the smallest block
AHEAD = 40  # rows of a panel that are fetched before they are needed: memory is far away
# Behind each row of x. Rows that lie a power of two apart get in each other's way in the cache.
GAP = WIDTH

large_block = product_of(LARGE, 2, ahead=AHEAD)
small_block = product_of(SMALL, 2, ahead=AHEAD)
tiny_block = product_of(TINY, 2, ahead=AHEAD)


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
    with scratch(size_of_rows(x)) as (a,):
        write_rows(x, a)
        share(multiply_part, parts_of(b), len(x), a, panels, bias, out)
    return out


def size_of_rows(x: np.ndarray) -> int:
    """How many numbers write_rows writes."""
    return rows_of_blocks(len(x)) * (x.shape[1] + GAP)


def write_rows(x: np.ndarray, a: np.ndarray) -> None:
    """x as multiply_rows reads it, in a flat array."""
    M, K = x.shape
    rows = a[: size_of_rows(x)].reshape(-1, K + GAP)
    rows[:M, :K] = x
    rows[M:] = 0  # they are computed with the others, and not used
    rows[:M, K:] = 0


def parts_of(b: np.ndarray) -> list[slice]:
    """Which panels are computed together."""
    n_panels = -(-b.shape[1] // PANEL)
    n_parts = PARTS * get_num_threads() if b.size >= FEWER and get_num_threads() > 1 else 1
    step = -(-n_panels // n_parts)
    return [slice(first, min(first + step, n_panels)) for first in range(0, n_panels, step)]


def make_panels(w: np.ndarray) -> np.ndarray:
    """w (N, K) as panels, (panels, K, PANEL): the last may end with zeros."""
    N, K = w.shape
    panels = aligned((-(-N // PANEL), K, PANEL), w.dtype)
    share(fill_panels, parts_of(w.T), w, panels)
    return panels


def fill_panels(part: slice, w: np.ndarray, panels: np.ndarray) -> None:
    whole = min(part.stop, len(w) // PANEL)
    fill_whole_panels(part.start, whole, w, panels)
    if whole < part.stop:
        panels[whole] = 0
        panels[whole, :, : len(w) % PANEL] = w[whole * PANEL :].T


@njit(nogil=True, cache=True)
def fill_whole_panels(first, end, w, panels):
    """Those from first to end. (One call for all: threads that make hundreds of calls wait for
    Python's lock as many times.)"""
    for number in range(first, end):
        transpose_matrix(w[number * PANEL : (number + 1) * PANEL], panels[number])


def multiply_part(
    part: slice, n_rows: int, a: np.ndarray, panels: np.ndarray, bias: np.ndarray, out: np.ndarray
) -> None:
    with scratch(rows_of_blocks(n_rows) * PANEL) as (work,):
        multiply_panels(BLOCKS, part.start, part.stop, n_rows, a, panels, bias, work, out)


@njit(nogil=True, cache=True)
def multiply_panels(blocks, first, end, rows, a, panels, bias, work, out):
    """The panels from first to end of out = a w^T + bias; `a` is what write_rows wrote."""
    check_blocks(blocks, BLOCKS)
    K, N = panels.shape[1], out.shape[1]
    for number in range(first, end):
        multiply_rows(rows, K, a, panels[number].reshape(K * PANEL), work, 0, PANEL, 0)
        start = number * PANEL
        for i in range(rows):
            for j in range(min(PANEL, N - start)):
                out[i, start + j] = work[i * PANEL + j] + bias[start + j]


@njit(nogil=True, cache=True)
def rows_of_blocks(rows):
    """How many rows the blocks cover that multiply_rows takes."""
    done = 0
    while done < rows:
        left = rows - done
        done += TINY if left <= TINY else LARGE if takes_large(left) else SMALL
    return done


@njit(nogil=True, cache=True)
def multiply_rows(rows, K, a, panel, c, c0, c_row, add):
    """One panel of c = a @ b (add 0) or c += a @ b (add 1).

    a[i, k] is a[i (K + GAP) + k], b[k, j] is panel[k PANEL + j], c[i, j] is c[c0 + i c_row + j]. As
    everywhere here, a and c have room for rows_of_blocks(rows) rows.
    """
    step = K + GAP
    for k in range(0, K, AT_ONCE):
        n, b0, done = min(AT_ONCE, K - k), k * PANEL, 0
        adding = 1 if k > 0 else add
        while done < rows:
            left, a0, c_now = rows - done, done * step + k, c0 + done * c_row
            if left <= TINY:
                tiny_block(1, n, a, a0, step, 0, 1, panel, b0, PANEL, c, c_now, c_row, adding)
                done += TINY
            elif takes_large(left):
                large_block(1, n, a, a0, step, 0, 1, panel, b0, PANEL, c, c_now, c_row, adding)
                done += LARGE
            else:
                small_block(1, n, a, a0, step, 0, 1, panel, b0, PANEL, c, c_now, c_row, adding)
                done += SMALL
