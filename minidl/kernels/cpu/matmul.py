"""Matrix products with as many threads as they are worth.

A small product runs in the calling thread (threads/blas.py says why). A large one of two matrices
is divided among worker threads, by its rows or columns, or by the terms of its sums where these are
long. What they cannot divide (stacks, vectors) the BLAS does with threads of its own. Any dtype
that NumPy multiplies will do.

Which products are small depends on their shape alone, never on the load: where one Python thread
computes, the same product gives the same bits every time. (A large one has one thread, too, while
another Python thread computes.) How many parts a large one has depends on the number of threads,
and the BLAS may round another way at the edge of a part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_num_threads, njit

from minidl.kernels import sums, unchanging
from minidl.kernels.cpu.threads import blas
from minidl.kernels.cpu.threads.blas import one_thread
from minidl.kernels.cpu.threads.workers import share
from minidl.kernels.cpu.vector.long_product import add_long_product
from minidl.kernels.cpu.vector.matrix_product import BLOCKS, PANEL
from minidl.kernels.cpu.vector.panels import product_with_panels

SMALL = 2**24  # multiply-adds, about 0.2 ms on one core
LONG = 4  # a sum of so many times as many terms as there are rows and columns stays in one piece
LONG_IN_PIECES = 64  # the same for sums in pieces; threads of the BLAS would share each of these
LONG_SUM = sums.LONG  # of products; from here on the BLAS loses digits that can be kept
NARROW = 2**16  # numbers in a product whose sums long_product adds up as fast as the BLAS,
MORE_TERMS = 8  # where there are not more than so many numbers for each term,
PARTS, PART_TERMS = 4, 2**12  # in parts of at least so many terms
FEW = 16  # columns to copy where their sums are very long, or sums of products by a vector
VERY_LONG, TERMS = 2**15, 2**14  # so long a sum is made of pieces of so many terms,
TERMS_OF_VECTOR = 2**11  # and one of a matrix times a vector from so many terms on
SUM_PARTS = 4  # into which the terms of long sums are divided
PART_BYTES = 2**21  # of a product that something is added to: it should stay in the cache


def product(
    a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None, bias: np.ndarray | None = None
) -> np.ndarray:
    """a @ b as np.matmul computes it, written to out if that is given.

    Or a @ b + bias of matrices in a new array, a number of bias for each column.
    """
    if unchanging.entries and (y := product_with_panels(a, b, out, bias)) is not None:
        return y
    if bias is not None:
        return product_with_bias(a, b, bias)
    matmul: Any = np.matmul
    if len(b) >= LONG_SUM:
        if (y := long_sum(a, b)) is not None:
            return y.astype(np.float32) if out is None else rounded_to(out, y)
        matmul = in_pieces
    rows = a.shape[-2] if a.ndim > 1 else 1
    columns = b.shape[-1] if b.ndim > 1 else 1
    if rows * a.shape[-1] * columns < SMALL:
        with one_thread():
            return matmul(a, b, out=out)
    if not can_be_divided(a, b, out):
        if has_long_sums(a, b, out):
            return divide_sums(a, b, out)
        return matmul(a, b, out=out)
    if out is None:
        out = np.empty((rows, columns), np.result_type(a, b))
    multiply(a, b, out, threads=blas.all_threads)
    return out


def product_with_bias(a: np.ndarray, b: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """a @ b + bias of matrices. Of a large product, bias is added to a part that is in the cache.

    Not of long sums, of which `product` takes care, nor of numbers that Numba does not know.
    """
    is_large = len(a) * b.size >= SMALL and len(b) < LONG_SUM and a.dtype.itemsize in (4, 8)
    if is_large and can_be_divided(a, b, None):
        y = np.empty((len(a), b.shape[1]), a.dtype)
        multiply(a, b, y, bias, threads=blas.all_threads)
        return y
    y = product(a, b)
    y += bias
    return y


def long_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """a @ b in float64 where its sums are long (kernels/sums.py) and it is narrow, or None.

    A large matrix times a vector takes as long as it takes to read the matrix, and is left to the
    BLAS. So is one whose matrices lie in another order than these loops read: to copy a matrix can
    take longer than to multiply it by a few columns.
    """
    if len(b) < LONG_SUM or not a.dtype == b.dtype == np.float32:
        return None
    if a.ndim > 2 or b.ndim > 2 or a.shape[-1] != len(b):
        return None
    rows = a.T if a.ndim == 2 else a[:, None]
    columns = b if b.ndim == 2 else b[:, None]
    M, K = rows.shape[1], columns.shape[1]
    if M * K > min(NARROW, len(b)) or (1 in (M, K) and M * K > FEW):
        return None
    if not (can_be_read(rows) and can_be_read(columns)):
        return None
    rows, columns = np.ascontiguousarray(rows), np.ascontiguousarray(columns)
    if M == K == 1:
        return np.full(a.shape[:-1] + b.shape[1:], sums.dot(rows[:, 0], columns[:, 0]))
    if M > K and M % PANEL == 0:
        y = long_product(columns, rows).T  # whole panels need no copy
    else:
        y = long_product(rows, columns)
    return y.reshape(a.shape[:-1] + b.shape[1:])


def can_be_read(x: np.ndarray) -> bool:
    """Row by row as it lies, or in a copy that is worth its time."""
    is_vector = x.shape[1] == 1
    return x.flags.c_contiguous or is_vector or (x.shape[1] <= FEW and len(x) >= VERY_LONG)


def in_pieces(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """np.matmul(a, b, out=out), float32 sums of very many terms in pieces added in float64.

    With a vector only where the pieces of the matrix lie one behind the other. If it is read along
    the sums, a piece of each row, memory takes up to ten times as long; and there the BLAS adds in
    many accumulators, and is off by 5e-6 for any number of terms.
    """
    if a.ndim > 2 or b.ndim > 2 or not a.dtype == b.dtype == np.float32:
        return np.matmul(a, b, out=out)
    longest, terms = VERY_LONG, TERMS
    if a.ndim + b.ndim < 4 or 1 in (len(a), b.shape[1]):
        is_in_order = all(x.ndim == 1 or x.shape[1] == 1 or is_by_rows(x) for x in (a.T, b))
        longest = terms = TERMS_OF_VECTOR if is_in_order else len(b)
    if len(b) <= longest or a.shape[-1] != len(b):
        return np.matmul(a, b, out=out)
    # NumPy adds up a vector with gaps itself, in one accumulator.
    a, b = (np.ascontiguousarray(x) if x.ndim == 1 else x for x in (a, b))
    if terms == TERMS_OF_VECTOR:
        with one_thread():  # reads a piece as fast as two
            return sum_of_pieces(a, b, terms, out)
    return sum_of_pieces(a, b, terms, out)


def sum_of_pieces(a: np.ndarray, b: np.ndarray, terms: int, out: np.ndarray | None) -> np.ndarray:
    y = np.zeros(a.shape[:-1] + b.shape[1:], np.float64)
    for k in range(0, len(b), terms):
        y += np.matmul(a[..., k : k + terms], b[k : k + terms])
    return y.astype(np.float32) if out is None else rounded_to(out, y)


def has_long_sums(a: np.ndarray, b: np.ndarray, out: np.ndarray | None) -> bool:
    """Whether it pays to divide the terms of the sums among threads.

    So it does for gw = gy^T x, and for a Gram matrix, of which np.matmul computes only one half.
    What np.matmul would refuse is left to it, and so are integers, which float64 cannot all hold.
    """
    if one_thread.inside > 0 or not a.ndim == b.ndim == 2 or a.shape[1] != len(b):
        return False
    dtype, shape = np.result_type(a, b), (len(a), b.shape[1])
    if dtype.kind != "f" or (out is not None and (out.dtype, out.shape) != (dtype, shape)):
        return False
    is_long = len(b) > LONG * sum(shape)
    return is_long and 1 not in shape and blas.all_threads > 1


def divide_sums(a: np.ndarray, b: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """a @ b, its sums divided among the threads and added up in float64, or in a wider type.

    The parts are the same for any number of threads from two on, and so are the bits.
    """
    step = -(-len(b) // SUM_PARTS)
    parts = [slice(start, start + step) for start in range(0, len(b), step)]
    dtype = np.result_type(a, b)
    totals = np.zeros((len(parts), len(a), b.shape[1]), np.result_type(dtype, np.float64))
    share(add_terms, range(len(parts)), parts, a, b, totals)
    y = totals[0]
    for part in totals[1:]:
        y += part
    return y.astype(dtype) if out is None else rounded_to(out, y)


def add_terms(number: int, parts: list[slice], a: Any, b: Any, totals: Any) -> None:
    for start in range(parts[number].start, min(parts[number].stop, len(b)), TERMS):
        terms = slice(start, min(start + TERMS, parts[number].stop))
        totals[number] += np.matmul(a[:, terms], b[terms])


def is_by_rows(x: np.ndarray) -> bool:
    return x.strides[1] == x.itemsize


def rounded_to(out: np.ndarray, y: np.ndarray) -> np.ndarray:
    if out.shape != y.shape:
        raise ValueError(f"out has the wrong dimensions, {out.shape} rather than {y.shape}")
    np.copyto(out, y, casting="same_kind")
    return out


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
    if a.size * b.shape[1] < SMALL:
        for number in range(len(parts)):
            add_part(number, parts, a, b, totals)
    else:
        share(add_part, range(len(parts)), parts, a, b, totals)
    return totals.sum(axis=0)


def add_part(number: int, parts: list[slice], a: Any, b: Any, totals: Any) -> None:
    add_long_product(BLOCKS, a[parts[number]], b[parts[number]], totals[number])


def can_be_divided(a: np.ndarray, b: np.ndarray, out: np.ndarray | None) -> bool:
    """Parts of the product are worth a thread, and may be written while others are computed."""
    if one_thread.inside > 0 or not a.ndim == b.ndim == 2 or a.shape[1] != len(b):
        return False
    rows, columns = len(a), b.shape[1]
    longest = LONG if len(b) < VERY_LONG else LONG_IN_PIECES
    if len(b) > longest * (rows + columns):  # each part would read all of one matrix
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
    least: float = -np.inf,
    add: bool = False,
) -> None:
    """out = a @ b + bias of matrices, or `least` where that is less (0 for a ReLU), or, to add,
    out += a @ b; divided among the threads along the longer side of `out`.

    So each part reads all of the smaller matrix and some of the larger one. There are two parts for
    each thread: one that begins late, because it slept or another program had its core, leaves its
    second to the others. With a bias, one number for each column, a least number, or to add, there
    are more: that is done to a part that is still in the cache.
    """
    rows, columns = out.shape
    threads = threads or get_num_threads()
    parts = min(2 * threads, rows * columns * a.shape[1] // SMALL) if threads > 1 else 1
    if bias is None and least > -np.inf:
        bias = np.zeros(columns, out.dtype)
    if bias is not None or add:
        parts = max(parts, out.nbytes // PART_BYTES)
    step = max(1, -(-max(rows, columns) // max(1, parts)))
    parts = [slice(start, start + step) for start in range(0, max(rows, columns), step)]
    if add:
        share(add_rows if rows >= columns else add_columns, parts, a, b, out)
    else:
        share(multiply_rows if rows >= columns else multiply_columns, parts, a, b, out, bias, least)


def multiply_rows(
    rows: slice, a: np.ndarray, b: np.ndarray, out: np.ndarray, bias: Any, least: float
) -> None:
    matmul: Any = in_pieces if len(b) >= LONG_SUM else np.matmul
    matmul(a[rows], b, out=out[rows])
    if bias is not None:
        add_to_rows(out[rows], bias, out.dtype.type(least))


def multiply_columns(
    columns: slice, a: np.ndarray, b: np.ndarray, out: np.ndarray, bias: Any, least: float
) -> None:
    matmul: Any = in_pieces if len(b) >= LONG_SUM else np.matmul
    matmul(a, b[:, columns], out=out[:, columns])
    if bias is not None:
        out[:, columns] += bias[columns]
        if least > -np.inf:
            np.maximum(out[:, columns], out.dtype.type(least), out=out[:, columns])


def add_rows(rows: slice, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    out[rows] += in_pieces(a[rows], b) if len(b) >= LONG_SUM else a[rows] @ b


def add_columns(columns: slice, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    b = b[:, columns]
    out[:, columns] += in_pieces(a, b) if len(b) >= LONG_SUM else a @ b


@njit(nogil=True, cache=True)
def add_to_rows(matrix, row, least):
    """matrix += row, then `least` where it is less (NaN is not). NumPy begins anew for each row,
    which takes longer than a short one."""
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            number = matrix[i, j] + row[j]
            matrix[i, j] = least if number <= least else number
