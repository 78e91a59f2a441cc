"""Matrix products with as many threads as they are worth.

A small product runs in the calling thread (threads/blas.py says why). A large one of two matrices
is divided among worker threads. What these cannot divide (stacks, vectors, very long sums) the BLAS
does with threads of its own. Any dtype that NumPy multiplies will do.

Which products are small depends on their shape alone, never on the load: where one Python thread
computes, the same product gives the same bits every time. (A large one has one thread, too, while
another Python thread computes.) How many parts a large one has depends on the number of threads,
and the BLAS may round another way at the edge of a part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_num_threads, njit

from minidl.kernels import sums
from minidl.kernels.cpu.threads import blas
from minidl.kernels.cpu.threads.blas import one_thread
from minidl.kernels.cpu.threads.workers import share
from minidl.kernels.cpu.vector.long_product import add_long_product
from minidl.kernels.cpu.vector.matrix_product import BLOCKS, PANEL

SMALL = 2**24  # multiply-adds, about 0.2 ms on one core
LONG = 4  # a sum of so many times as many terms as there are rows and columns stays in one piece
LONG_SUM = sums.LONG  # of products; from here on the BLAS loses digits that can be kept
NARROW = 2**16  # numbers in a product whose sums long_product adds up as fast as the BLAS,
MORE_TERMS = 8  # where there are not more than so many numbers for each term,
PARTS, PART_TERMS = 4, 2**12  # in parts of at least so many terms
VERY_LONG = 2**15  # products of the BLAS whose sums are added in float64
PART_BYTES = 2**21  # of a product that something is added to: it should stay in the cache


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """a @ b as np.matmul computes it, written to out if that is given."""
    if len(b) >= LONG_SUM and (y := long_sum(a, b)) is not None:
        if out is None:
            return y.astype(np.float32)
        out[...] = y
        return out
    rows = a.shape[-2] if a.ndim > 1 else 1
    columns = b.shape[-1] if b.ndim > 1 else 1
    if rows * a.shape[-1] * columns < SMALL:
        with one_thread():
            return np.matmul(a, b, out=out)
    if not can_be_divided(a, b, out):
        return np.matmul(a, b, out=out)
    if out is None:
        out = np.empty((rows, columns), np.result_type(a, b))
    multiply(a, b, out, threads=blas.all_threads)
    return out


def long_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """a @ b in float64 where its sums are long (kernels/sums.py); None where the BLAS will do."""
    if len(b) < LONG_SUM or not a.dtype == b.dtype == np.float32:
        return None
    if a.ndim > 2 or b.ndim > 2 or a.shape[-1] != len(b):
        return None
    as_rows = a.T if a.ndim == 2 else a[:, None]
    columns = b if b.ndim == 2 else b[:, None]
    numbers = as_rows.shape[1] * columns.shape[1]
    is_worth_a_copy = len(b) >= VERY_LONG
    if numbers <= min(NARROW, len(b)) and (as_rows.flags.c_contiguous or is_worth_a_copy):
        as_rows, columns = np.ascontiguousarray(as_rows), np.ascontiguousarray(columns)
        if as_rows.shape[1] > columns.shape[1] and as_rows.shape[1] % PANEL == 0:
            y = long_product(columns, as_rows).T  # whole panels need no copy
        else:
            y = long_product(as_rows, columns)
        return y.reshape(a.shape[:-1] + b.shape[1:])
    if len(b) < VERY_LONG:
        return None
    y = np.zeros(a.shape[:-1] + b.shape[1:], np.float64)
    for k in range(0, len(b), LONG_SUM):
        y += np.matmul(a[..., k : k + LONG_SUM], b[k : k + LONG_SUM])
    return y


def is_narrow(numbers: int, terms: int) -> bool:
    """long_product is as fast as the BLAS for so many numbers with so many terms each."""
    return numbers <= min(NARROW, MORE_TERMS * terms)


def long_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a^T b in float64, of contiguous float32 matrices (n, M) and (n, K).

    In a few parts of the rows, as many for any number of threads.
    """
    n_parts = min(PARTS, 1 + len(a) // PART_TERMS)
    step = -(-len(a) // n_parts)
    parts = [slice(start, start + step) for start in range(0, len(a), step)]
    totals = np.zeros((len(parts), a.shape[1], b.shape[1]), np.float64)
    share(add_part, range(len(parts)), parts, a, b, totals)
    return totals.sum(axis=0)


def add_part(number: int, parts: list[slice], a: Any, b: Any, totals: Any) -> None:
    add_long_product(BLOCKS, a[parts[number]], b[parts[number]], totals[number])


def can_be_divided(a: np.ndarray, b: np.ndarray, out: np.ndarray | None) -> bool:
    """Parts of the product are worth a thread, and may be written while others are computed."""
    if one_thread.inside > 0 or not a.ndim == b.ndim == 2 or a.shape[1] != len(b):
        return False
    rows, columns = len(a), b.shape[1]
    if len(b) > LONG * (rows + columns):  # each part would read all of one matrix
        return False
    if blas.libraries is None:
        blas.find_libraries()
    if out is None or blas.all_threads == 1:
        return blas.all_threads > 1
    return out.shape == (rows, columns) and not any(np.may_share_memory(out, x) for x in (a, b))


def multiply(
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray,
    bias: np.ndarray | None = None,
    threads: int | None = None,
) -> None:
    """out = a @ b + bias of matrices, divided among the threads along the longer side of `out`.

    So each part reads all of the smaller matrix and some of the larger one. There are two parts for
    each thread: one that begins late, because it slept or another program had its core, leaves its
    second to the others. With a bias, one number for each column, there are more: it is added to a
    part that is still in the cache.
    """
    rows, columns = out.shape
    threads = threads or get_num_threads()
    parts = min(2 * threads, rows * columns * a.shape[1] // SMALL) if threads > 1 else 1
    if bias is not None:
        parts = max(parts, out.nbytes // PART_BYTES)
    step = max(1, -(-max(rows, columns) // max(1, parts)))
    parts = [slice(start, start + step) for start in range(0, max(rows, columns), step)]
    share(multiply_rows if rows >= columns else multiply_columns, parts, a, b, out, bias)


def multiply_rows(rows: slice, a: np.ndarray, b: np.ndarray, out: np.ndarray, bias: Any) -> None:
    np.matmul(a[rows], b, out=out[rows])
    if bias is not None:
        add_to_rows(out[rows], bias)


def multiply_columns(
    columns: slice, a: np.ndarray, b: np.ndarray, out: np.ndarray, bias: Any
) -> None:
    np.matmul(a, b[:, columns], out=out[:, columns])
    if bias is not None:
        out[:, columns] += bias[columns]


@njit(nogil=True, cache=True)
def add_to_rows(matrix, row):
    """matrix += row. NumPy begins anew for each row, which takes longer than a short one."""
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            matrix[i, j] += row[j]
