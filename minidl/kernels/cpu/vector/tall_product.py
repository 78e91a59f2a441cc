"""The product of a matrix of many rows with a small one: 1x1 convolutions, layers of few units.

    y[i, j] = sum over k of a[i, k] b[k, j] + bias[j], or `least` where that is less,
    or y[i, j] += sum over k of a[i, k] b[k, j]

All of b stays in the cache, in panels (matrix_product.py). A band of rows of a is multiplied by
each of them while the next band is fetched, and bias and least number meet the sums before these
are written. So a is read once and y is written once.

One thread of a BLAS is as fast. But its other threads, or Python's (threads/workers.py), would
first have to push aside those of the compiled loops before and behind it, which still look for
work; these here are the same threads.

Each number is one sum, in the order of k: its bits are the same for any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.matrix_product import (
    BLOCKS,
    LARGE,
    PANEL,
    block_rows,
    check_blocks,
    multiply_panel,
)
from minidl.kernels.cpu.vector.moves import fetch_part
from minidl.kernels.memory import scratch

BAND = 2 * LARGE  # rows
FEWEST_ROWS = 2**8  # for fewer, the panels are not worth their copy
FEWEST_COLUMNS = PANEL // 2  # panels are computed whole
MOST_TERMS = 2**9  # in a sum
MOST_NUMBERS = 2**17  # in b
WORK_PER_NUMBER = 6  # multiply-adds that take as long as to move a number: few sums are long here


def is_tall(a, b, y=None):
    """tall_product computes a @ b, into y where that is given."""
    if not (a.ndim == b.ndim == 2 and a.dtype == b.dtype == np.float32 and a.flags.c_contiguous):
        return False
    if len(a) < FEWEST_ROWS or not a.shape[1] == len(b) <= MOST_TERMS:
        return False
    if len(b) == 0 or b.shape[1] < FEWEST_COLUMNS or b.size > MOST_NUMBERS:
        return False
    if y is None:
        return True
    if y.dtype != np.float32 or y.shape != (len(a), b.shape[1]) or not y.flags.c_contiguous:
        return False
    return not (np.may_share_memory(y, a) or np.may_share_memory(y, b))


def tall_product(a, b, y, bias=None, least=-np.inf, add=False):
    """y = a @ b + bias, or `least` where that is less (NaN is not); or, to add, y += a @ b."""
    (n, K), M = a.shape, b.shape[1]
    panels = -(-M // PANEL)
    columns = np.zeros((panels, K, PANEL), np.float32)
    for p in range(panels):
        part = b[:, p * PANEL : (p + 1) * PANEL]
        columns[p, :, : part.shape[1]] = part
    bias = np.zeros(M, np.float32) if bias is None else np.ascontiguousarray(bias)
    size = BAND * (K + panels * PANEL)
    with (
        scratch(get_num_threads() * size) as (work,),
        threads_for(n * K * panels * PANEL // WORK_PER_NUMBER),
    ):
        multiply_bands(
            BLOCKS, n, K, panels, a.reshape(-1), columns.reshape(-1), bias, np.float32(least), add,
            work, size, y,
        )  # fmt: skip


@njit(parallel=True, cache=True)
def multiply_bands(blocks, n, K, panels, a, b, bias, least, add, work, size, y):
    check_blocks(blocks, BLOCKS)
    for band in prange((n + BAND - 1) // BAND):
        mine, first, end = get_thread_id() * size, band * BAND, min(n, (band + 1) * BAND)
        rows, sums = work[mine : mine + BAND * K], work[mine + BAND * K : mine + size]
        if first + block_rows(end - first) <= n:
            multiply_band(first * K, end - first, K, panels, a, b, sums)
        else:  # blocks would read behind the end
            rows[: (end - first) * K] = a[first * K : end * K]
            multiply_band(0, end - first, K, panels, rows, b, sums)
        write_band(sums, panels * PANEL, bias, least, add, y[first:end])


@njit(nogil=True, cache=True)
def multiply_band(start, rows, K, panels, a, b, sums):
    """The products of some rows; a and the sums have room for block_rows(rows)."""
    for p in range(panels):
        fetch_part(p, panels, start + rows * K, rows * K, a)
        multiply_panel(
            rows, K, a, start, K, 1, b, p * K * PANEL, PANEL, sums, p * PANEL, panels * PANEL, 0
        )


@njit(nogil=True, cache=True)
def write_band(sums, step, bias, least, add, y):
    """Some rows of y, from sums whose rows lie `step` apart. To sum up in y itself would take
    longer: memory is written fastest in the order in which it lies."""
    M = len(bias)
    for i in range(len(y)):
        row, target = sums[i * step : i * step + M], y[i]
        if add:
            for j in range(M):
                target[j] += row[j]
        else:
            for j in range(M):
                number = row[j] + bias[j]
                target[j] = least if number <= least else number
