"""Products of matrices that lie in the cache, with all sums in registers.

c (rows x columns) = a (rows x K) times b (K x columns). The columns come in *panels*, PANEL wide:
b is kept so that the PANEL numbers of one k lie side by side and those of the next k behind them.
A panel of c is computed in blocks of a few rows (block_products.py): a block as large as the
registers allow, and a smaller one for what is left over. Where fewer rows are left than a block
has, the block computes the missing ones all the same: **a and c must have room for
block_rows(rows) rows.**
"""

from __future__ import annotations

from numba import njit

from minidl.kernels.cpu.vector.block_products import product_of
from minidl.kernels.cpu.vector.instructions import AVX512, WIDTH
from minidl.kernels.sums import PRODUCTS

# rows x vectors sums, the row of b and the broadcast number fill 16 or 32 registers:
# 6 x 2 + 2 + 1 = 15, or 14 x 2 + 2 + 1 = 31.
LARGE, SMALL = (14, 8) if AVX512 else (6, 4)
PANEL = 2 * WIDTH
# So many rows are computed in small blocks alone: with large ones, more rows would be.
EVEN = (16, 24, 32) if AVX512 else (8,)

BLOCKS = LARGE, SMALL, PANEL, EVEN
AT_ONCE = 512  # rows of a panel in a product: they should stay in the nearest cache

large_block = product_of(LARGE, 2)
small_block = product_of(SMALL, 2)
large_sum = product_of(LARGE, 2, from_zero=True)
small_sum = product_of(SMALL, 2, from_zero=True)


@njit(nogil=True, cache=True)
def check_blocks(now, compiled):
    """Numba's cache does not notice when a file changes that a compiled function was made of, and
    blocks of another size write elsewhere.
    """
    if now != compiled:
        raise ValueError("compiled for other block sizes: delete the __pycache__ folders of minidl")


@njit(nogil=True, cache=True)
def takes_large(left):
    """Whether the next block is a large one, where so many rows are left."""
    return left > SMALL and left not in EVEN


@njit(nogil=True, cache=True)
def block_rows(rows):
    """How many rows the blocks cover that multiply_panel takes."""
    done = 0
    while done < rows:
        done += LARGE if takes_large(rows - done) else SMALL
    return done


@njit(nogil=True, cache=True)
def multiply_panel(rows, K, a, a0, a_row, a_step, b, b0, b_step, c, c0, c_row, add):
    """One panel of c = a @ b (add 0) or c += a @ b (add 1).

    a[i, k] is a[a0 + i a_row + k a_step], b[k, j] is b[b0 + k b_step + j], c[i, j] is
    c[c0 + i c_row + j].
    """
    multiply_runs(rows, 1, K, a, a0, a_row, 0, a_step, b, b0, b_step, c, c0, c_row, add)


@njit(nogil=True, cache=True)
def multiply_in_parts(rows, K, a, panel, c, c0, c_row):
    """One panel of c = a @ b, some rows of b at a time."""
    for k in range(0, K, AT_ONCE):
        multiply_panel(
            rows, min(AT_ONCE, K - k), a, k, K, 1, panel, k * PANEL, PANEL, c, c0, c_row,
            1 if k > 0 else 0,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def multiply_runs(rows, runs, K, a, a0, a_row, a_run, a_step, b, b0, b_step, c, c0, c_row, add):
    """The same where a row of a lies in memory as some runs of K numbers.

    a[i, run K + k] is a[a0 + i a_row + run a_run + k a_step].
    """
    done = 0
    while done < rows:
        a_now, c_now = a0 + done * a_row, c0 + done * c_row
        if takes_large(rows - done):
            large_block(
                runs, K, a, a_now, a_row, a_run, a_step, b, b0, b_step, c, c_now, c_row, add
            )
            done += LARGE
        else:
            small_block(
                runs, K, a, a_now, a_row, a_run, a_step, b, b0, b_step, c, c_now, c_row, add
            )
            done += SMALL


@njit(nogil=True, cache=True)
def sum_runs(rows, runs, K, a, a0, a_run, a_step, b, b0, b_step, c, c0, c_row, add):
    """multiply_runs for sums of more than a few hundred products (kernels/sums.py).

    A register adds up some PRODUCTS of them before their sum is added to c. The rows of a lie side
    by side, a_row = 1: the compiler makes better code where it knows that.
    """
    at_once = max(1, PRODUCTS // max(1, K))
    done = 0
    while done < rows:
        is_large = takes_large(rows - done)
        c_now, add_now = c0 + done * c_row, add
        for run in range(0, runs, at_once):
            m = min(at_once, runs - run)
            for k in range(0, K, PRODUCTS):
                n, at = min(PRODUCTS, K - k), a0 + done + run * a_run + k * a_step
                row = b0 + (run * K + k) * b_step
                if is_large:
                    large_sum(
                        m, n, a, at, 1, a_run, a_step, b, row, b_step, c, c_now, c_row, add_now
                    )
                else:
                    small_sum(
                        m, n, a, at, 1, a_run, a_step, b, row, b_step, c, c_now, c_row, add_now
                    )
                add_now = 1
        done += LARGE if is_large else SMALL


@njit(nogil=True, cache=True)
def empty_into(sums, total):
    """total += sums, which are 0 then; both 1-d."""
    for i in range(len(sums)):
        total[i] += sums[i]
        sums[i] = 0
