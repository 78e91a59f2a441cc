"""The product of a matrix's transpose with the matrix itself, a Gram matrix.

    G[i, j] = sum over k of x[k, i] x[k, j]        x (n, C)

G is symmetric: of its tiles, PANEL x PANEL numbers, only those on the diagonal and to the right of
it are computed; the others are copies. PRODUCTS rows of x at a time are brought into panels
(matrix_product.py), which stay in the cache until all tiles have their products, while the next
rows are fetched. So x goes through memory once.

Registers add up PRODUCTS, the sums of a part of the rows add up RUN of those, and the parts are
added in float64: right to 1e-6 for any number of rows (kernels/sums.py). The parts are the same for
any number of threads, and so are the bits.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.matrix_product import BLOCKS, PANEL, SMALL, check_blocks, small_sum
from minidl.kernels.cpu.vector.moves import fetch_part
from minidl.kernels.memory import scratch
from minidl.kernels.sums import PRODUCTS, RUN

MOST_ROWS = RUN * PRODUCTS  # in a part
MOST_COLUMNS = 2**9  # the sums of a part should stay in the cache
PARTS = 4  # or a multiple of it, to be shared among threads
WORK_PER_NUMBER = 16  # multiply-adds that take as long as to move a number


def is_gram(a, b, y=None):
    """a is the transpose of b, the same numbers in memory; gram_product computes a @ b into y."""
    if not (a.ndim == b.ndim == 2 and a.dtype == b.dtype == np.float32 and b.flags.c_contiguous):
        return False
    if a.shape != b.shape[::-1] or a.strides != b.strides[::-1] or b.shape[1] > MOST_COLUMNS:
        return False
    if a.__array_interface__["data"] != b.__array_interface__["data"]:
        return False
    if y is None:
        return True
    fits = y.dtype == np.float32 and y.shape == (len(a), len(a)) and y.flags.c_contiguous
    return fits and not np.may_share_memory(y, b)


def gram_product(x, G):
    """G = x^T x, of a contiguous float32 matrix (n, C)."""
    n, C = x.shape
    parts = PARTS * max(1, -(-n // (PARTS * MOST_ROWS)))
    bounds = n * np.arange(parts + 1) // parts
    row = -(-C // PANEL) * PANEL  # PANEL is a multiple of the rows of a block
    with (
        scratch(get_num_threads() * PRODUCTS * row, parts * row * row) as (work, sums),
        threads_for(n * C * C // 2 // WORK_PER_NUMBER),
    ):
        sum_parts(BLOCKS, bounds, x.reshape(-1), C, row, work, sums)
        add_parts(parts, row, sums, G)


@njit(parallel=True, cache=True)
def sum_parts(blocks, bounds, x, C, row, work, sums):
    check_blocks(blocks, BLOCKS)
    size = PRODUCTS * row
    for part in prange(len(bounds) - 1):
        mine = get_thread_id() * size
        sum_part(
            bounds[part], bounds[part + 1], C, row, x,
            work[mine : mine + size], sums[part * row * row : (part + 1) * row * row],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def sum_part(first, end, C, row, x, rows, sums):
    """Tiles on the diagonal and to the right of it, from rows first to end of x."""
    tiles, panel = row // PANEL * (row // PANEL + 1) // 2, PRODUCTS * PANEL
    rows[:] = 0  # what fills up the last panel
    if first == end:
        sums[:] = 0
    for start in range(first, end, PRODUCTS):
        n, tile, add = min(PRODUCTS, end - start), 0, 0 if start == first else 1
        into_panels(start, n, C, x, rows)
        for p in range(row // PANEL):
            for q in range(p + 1):
                fetch_part(tile, tiles, (start + n) * C, n * C, x)
                tile += 1
                for i in range(0, PANEL, SMALL):
                    small_sum(
                        1, n, rows, q * panel + i, 1, 0, PANEL, rows, p * panel, PANEL,
                        sums, (q * PANEL + i) * row + p * PANEL, row, add,
                    )  # fmt: skip


@njit(nogil=True, cache=True)
def into_panels(start, n, C, x, rows):
    for k in range(n):
        for p in range(0, C, PANEL):
            source = x[(start + k) * C + p : (start + k) * C + min(C, p + PANEL)]
            target = rows[PRODUCTS * p + k * PANEL : PRODUCTS * p + (k + 1) * PANEL]
            for j in range(len(source)):
                target[j] = source[j]


@njit(parallel=True, cache=True)
def add_parts(parts, row, sums, G):
    """G from the sums of its parts."""
    C = len(G)
    for i in prange(C):
        first = i // PANEL * PANEL
        total, target = np.zeros(C - first), G[i, first:]
        for part in range(parts):
            start = (part * row + i) * row
            source = sums[start + first : start + C]
            for j in range(len(source)):
                total[j] += source[j]
        for j in range(len(total)):
            target[j] = total[j]
    for p in prange((C + PANEL - 1) // PANEL):
        rows = G[p * PANEL : (p + 1) * PANEL]
        for q in range(p):
            tile = G[q * PANEL : (q + 1) * PANEL, p * PANEL : (p + 1) * PANEL]
            for i in range(len(rows)):
                for j in range(PANEL):
                    rows[i, q * PANEL + j] = tile[j, i]
