"""Products of two long, narrow matrices: the gradients of weights from very many rows.

    c[i, j] = sum over k of a[k, i] b[k, j]        a (n, M), b (n, K)

A BLAS keeps the sums of a few hundred products in registers and adds those to c, in float32: after
a million equal products c is wrong by 2e-5, and that of a few columns, which it adds up in one go,
by 6e-4. Here registers add up PRODUCTS, c adds up RUN of their sums, and the rest is added in
float64 (kernels/sums.py): 1e-6. As fast as the BLAS, where c stays in the cache.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minidl.kernels.cpu.vector.matrix_product import (
    BLOCKS,
    PANEL,
    block_rows,
    check_blocks,
    empty_into,
    sum_runs,
)
from minidl.kernels.sums import PRODUCTS, RUN


@njit(nogil=True, cache=True)
def add_long_product(blocks, a, b, total):
    """total, (M, K) float64, += a^T b; a and b are contiguous."""
    check_blocks(blocks, BLOCKS)
    (n, M), K = a.shape, b.shape[1]
    rows, panels = block_rows(M), (K + PANEL - 1) // PANEL
    c, runs = np.zeros(panels * rows * PANEL, a.dtype), 0
    # Blocks read `rows` numbers of a row of a, some of them from the rows behind it. The last rows,
    # which have too few behind them, are copied; so are those of b where panels do not fill them.
    a_rows = np.zeros(PRODUCTS * rows, a.dtype)
    b_rows = np.zeros(PRODUCTS * panels * PANEL, a.dtype)
    for start in range(0, n, PRODUCTS):
        count = min(PRODUCTS, n - start)
        b_part, b_step = b[start : start + count].reshape(-1), K
        if K % PANEL > 0:
            copy_rows(b[start : start + count], b_rows, panels * PANEL)
            b_part, b_step = b_rows, panels * PANEL
        a_part, a_step = a[start:].reshape(-1), M
        if (n - start - count + 1) * M < rows:
            copy_rows(a[start : start + count], a_rows, rows)
            a_part, a_step = a_rows, rows
        for p in range(panels):
            sum_runs(
                M, 1, count, a_part, 0, 0, a_step, b_part, p * PANEL, b_step,
                c, p * rows * PANEL, PANEL, 1,
            )  # fmt: skip
        runs += 1
        if runs == RUN or start + count == n:
            empty_rows_into(c, total, rows)
            runs = 0


@njit(nogil=True, cache=True)
def copy_rows(x, to, step):
    for i in range(x.shape[0]):
        row, target = x[i], to[i * step : (i + 1) * step]
        for j in range(len(row)):
            target[j] = row[j]


@njit(nogil=True, cache=True)
def empty_rows_into(c, total, rows):
    """total += c, which is 0 then, and lies in panels."""
    M, K = total.shape
    for p in range((K + PANEL - 1) // PANEL):
        for i in range(M):
            row, at = total[i, p * PANEL : (p + 1) * PANEL], (p * rows + i) * PANEL
            empty_into(c[at : at + len(row)], row)
    c[:] = 0  # and what fills up blocks and panels
