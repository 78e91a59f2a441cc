"""Sums whose rounding error does not grow with the number of terms.

A float32 accumulator that has grown large rounds each further term, and equal terms all the same
way: the mean of a million times 0.1 comes out as 0.100958, and twenty million ones as 16777216.
Adding r terms one after the other loses at most

    u (r - 1) sum |x_i|,    u = 2^-24, half of what a float32 can tell apart

(Higham 1993), and half as much, u (r + 1) / 2, of equal or growing terms, whose early sums are
small. So here at most RUN terms are added one after the other, then at most RUN sums of such runs,
and what is left, one number for 225 terms, in float64: u (14 + 14 + 1) = 1.7e-6 at most for any
number of terms of one sign, and 9.8e-7 for equal ones. (Those that were tried: 2.4e-7.) Where signs
are mixed, that is a part of sum |x_i|, and may be much of a sum near 0.

Where the rows are short that is many times as fast as NumPy's own sum, which adds row to row in one
accumulator: the runs are laid out as a few long rows (see fold). Where they are long it takes 1.2
times as long for a million numbers, and twice as long for some ten or hundred thousand.

Along the axis that is the fastest in memory, NumPy halves the terms again and again (pairwise
summation), and its sum serves as it is. float16 is added in float64, and a mean divided there, too:
the largest float16 is 65,504. float64 and integers have digits enough.

The compiled kernels follow the rule in their loops. Sums of products, such as the gradient of a
weight, are made in vector registers, and to empty those more often takes time: a register adds up
PRODUCTS, then RUN of such sums are added, and those in float64. The first step loses 9.5e-7 of
equal products at most (u PRODUCTS / 4: each addition is off by half a unit of the sum so far, on
average half of the last), and all that were tried together 7e-7. Where a product is too large for
these loops (cpu/matmul.py), or its matrices lie in another order than they read, or it has fewer
than LONG terms, the BLAS adds up some hundred equal products in a register, and is off by 4e-6 or,
where it takes all terms of a small matrix or of a few last rows in one go, 2e-5. (PyTorch's: up to
1e-5.)

Higham, N. J. (1993), "The accuracy of floating point summation".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.device import array_module

RUN = 15  # terms that one float32 accumulator takes
LONG = 2**11  # products; fewer are the work of the BLAS
PRODUCTS = 64  # that one register adds up in the compiled kernels
SHORT = 64  # a sum of so few terms is made as it comes: u SHORT / 4 for equal ones
SMALL = 2**13  # numbers; to convert so few to float64 takes no time,
MEDIUM = 2**14  # and so few less than to add them in runs
LONG_ROW = 2**9  # numbers; for fewer, a call of NumPy takes longer than to add them
ROW = 2**12  # numbers that NumPy adds at a time: they should stay in the nearest cache
DOT = 128  # products that einsum adds up: it has several accumulators
ADDED_TO_A_PLACE = 64  # numbers are converted while NumPy looks up one place and adds to it


def total(x: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """x.sum(axis=axes, keepdims=keepdims), in x's dtype, and right to 1e-6.

    Args:
        x: an array of any dtype and strides.
        axes: each once.
        keepdims: keep the summed axes with size 1.
    """
    if x.size <= SMALL and x.dtype == np.float32:  # the usual case takes no further call
        if x.size <= SHORT:
            return x.sum(axis=axes, keepdims=keepdims)
        return x.sum(axis=axes, keepdims=keepdims, dtype=np.float64).astype(np.float32)
    return rounded(wide_total(x, axes, keepdims), x.dtype)


def total_in_range(x: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The same as total; of float16s in float32 where they add up to more than a float16 holds.

    So do the exponentials of 100,000 equal scores. It is for sums that are divided by, or made a
    logarithm of, next: their results are in range again.
    """
    if x.dtype != np.float16:
        return total(x, axes, keepdims)
    wide = wide_total(x, axes, keepdims)
    sums = rounded(wide, x.dtype)
    return sums if array_module(x).isfinite(sums).all() else wide.astype(np.float32)


def mean(x: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """x.mean(axis=axes, keepdims=keepdims), in x's dtype; NaN where there is nothing."""
    return rounded(divide(wide_total(x, axes, keepdims), terms(x, axes)), x.dtype)


def wide_total(x: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The same as total, not yet rounded to x's dtype: float32 or float64 where x is float."""
    if x.dtype.kind != "f" or x.dtype.itemsize > 4:
        return x.sum(axis=axes, keepdims=keepdims)
    if x.size <= SMALL or x.dtype.itemsize < 4:
        return x.sum(axis=axes, keepdims=keepdims, dtype=np.float64)
    if is_safe(x, axes):
        return x.sum(axis=axes, keepdims=keepdims)
    if x.size <= MEDIUM:
        return x.sum(axis=axes, keepdims=keepdims, dtype=np.float64)
    y = sum_in_memory_order(x, tuple(axis % x.ndim for axis in axes))
    return np.expand_dims(y, axes) if keepdims else y


def is_safe(x: Any, axes: tuple[int, ...]) -> bool:
    """NumPy's sum is short or pairwise, or CuPy's (a tree of threads)."""
    if not isinstance(x, np.ndarray) or terms(x, axes) <= SHORT:
        return True
    if len(axes) == x.ndim:
        return x.flags.forc
    return axes in ((x.ndim - 1,), (-1,)) and x.flags.c_contiguous


def rounded(x: Any, dtype: np.dtype) -> Any:
    """x in that dtype. A sum may be too large for a float16, and is infinite then."""
    if dtype != np.float16:
        return x.astype(dtype, copy=False)
    with np.errstate(over="ignore"):
        return x.astype(dtype)


def terms(x: Any, axes: tuple[int, ...]) -> int:
    """How many numbers of x each sum over the axes has."""
    return math.prod([x.shape[axis] for axis in axes])


def divide(total: Any, n: float) -> Any:
    """total / n, and NaN for n = 0 without a warning: the mean of nothing is defined so."""
    if not n:
        return total * float("nan")
    if total.dtype == np.float16:  # n may be too large for one
        return (total.astype(np.float32) / n).astype(np.float16)
    return total / n


def sum_in_memory_order(x: np.ndarray, axes: tuple[int, ...]) -> Any:
    """The sums over the axes, one axis after the other, the fastest in memory first."""
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    kept = [axis for axis in order if axis not in axes]
    y, summed = x.transpose(order), [axis in axes for axis in order]
    if y.flags.c_contiguous:
        y, summed = merge(y, summed)
    for axis in reversed(range(len(summed))):
        if summed[axis]:
            y = y.sum(axis=-1) if axis == y.ndim - 1 else sum_axis(y, axis)
    y = y.reshape([x.shape[axis] for axis in kept])
    return y if kept == sorted(kept) else y.transpose(np.argsort(kept))


def merge(y: np.ndarray, summed: list[bool]) -> tuple[np.ndarray, list[bool]]:
    """A contiguous array with neighbouring axes of one kind, summed or kept, made one."""
    shape: list[int] = []
    kinds: list[bool] = []
    for size, kind in zip(y.shape, summed):
        if kinds and kinds[-1] == kind:
            shape[-1] *= size
        else:
            shape.append(size)
            kinds.append(kind)
    return y.reshape(shape), kinds


def sum_axis(x: np.ndarray, axis: int) -> np.ndarray:
    """x.sum(axis) of an axis that is not the fastest in memory."""
    x = x.transpose(axis, *range(axis), *range(axis + 1, x.ndim))
    for _ in range(2):
        if len(x) > RUN and x.size > MEDIUM:
            x = fold(x)
    return x.sum(axis=0, dtype=np.float64)


def fold(x: np.ndarray) -> np.ndarray:
    """Runs of RUN of the rows added up.

    A run is every n-th row of RUN n rows: n rows that lie side by side are one long row to NumPy,
    and it adds those many times as fast as short ones.
    """
    rest = x.shape[1:]
    n = min(max(1, ROW // max(1, math.prod(rest))), -(-len(x) // RUN))
    blocks = len(x) // (RUN * n)
    done, left = blocks * n, x[blocks * RUN * n :]
    y = np.empty((done + min(n, len(left)), *rest), x.dtype)
    whole = x[: done * RUN].reshape(blocks, RUN, n, *rest)
    whole.sum(axis=1, out=y[:done].reshape(blocks, n, *rest))
    last, pieces = y[done:], len(left) // n
    if pieces:
        left[: pieces * n].reshape(pieces, n, *rest).sum(axis=0, out=last)
        left = left[pieces * n :]
        last[: len(left)] += left
    else:
        last[...] = left
    return y


def dot(a: Any, b: Any) -> float:
    """The sum of the products of two 1-d arrays, without an array of the products."""
    if a.dtype.itemsize > 4:
        return float(a.dot(b))
    if a.dtype.itemsize < 4:
        return float(a.astype(np.float64).dot(b.astype(np.float64)))
    n = len(a) // DOT * DOT
    rows, rest = (a[:n].reshape(-1, DOT), b[:n].reshape(-1, DOT)), a[n:] * b[n:]
    of_rows = array_module(a).einsum("ij,ij->i", *rows)
    return float(wide_total(of_rows, (0,))) + float(wide_total(rest, (0,)))


def running_total(x: Any, axis: int) -> Any:
    """x.cumsum(axis) in x's dtype."""
    if x.dtype.kind != "f" or x.dtype.itemsize > 4:
        return x.cumsum(axis=axis)
    if isinstance(x, np.ndarray) and x.dtype == np.float32 and has_long_rows(x, axis):
        return running_rows(x, axis)
    wide = x.astype(np.float64)  # once: to convert as it adds, NumPy takes twice as long
    wide.cumsum(axis=axis, out=wide)
    return rounded(wide, x.dtype)


def has_long_rows(x: np.ndarray, axis: int) -> bool:
    """What x has for each place along the axis is much, and lies side by side."""
    if x.ndim < 2 or x.size < LONG_ROW * x.shape[axis]:
        return False
    return abs(x.strides[axis]) >= LONG_ROW * x.itemsize


def running_rows(x: np.ndarray, axis: int) -> np.ndarray:
    """The same, row by row. To add number by number NumPy would go from row to row each time."""
    y = np.empty_like(x)
    rows, sums = np.moveaxis(x, axis, 0), np.moveaxis(y, axis, 0)
    sum_so_far = np.zeros(rows.shape[1:], np.float64)
    for i in range(len(rows)):
        sum_so_far += rows[i]
        sums[i] = sum_so_far
    return y


def add_at(y: Any, index: Any, numbers: Any) -> None:
    """y[index] += numbers; a place that index names repeatedly gets all of its numbers."""
    add = array_module(y).add
    if y.dtype.itemsize > 4 or numbers.size <= at_once(y):
        add.at(y, index, numbers)
    elif numbers.size > y.size // ADDED_TO_A_PLACE:
        wide = y.astype(np.float64)
        add.at(wide, index, numbers.astype(np.float64))
        y[...] = rounded(wide, y.dtype)
    else:
        add_at_places(y, index, numbers)


def at_once(y: Any) -> int:
    """How many numbers y's dtype may add up."""
    return SHORT if y.dtype.itemsize == 4 else 1


def add_at_places(y: Any, index: Any, numbers: Any) -> None:
    """The same for few numbers: only the places they go to are copied to float64, if any is."""
    xp = array_module(y)
    at, axes = places_of(y, index)
    if xp.unique(at, return_counts=True)[1].max() <= at_once(y):
        xp.add.at(y, index, numbers)
        return
    flat, number = xp.unique(at, return_inverse=True)
    places = xp.unravel_index(flat, y.shape[:axes])
    wide = y[places].astype(np.float64)
    xp.add.at(wide, number.reshape(at.shape), numbers.astype(np.float64))
    y[places] = rounded(wide, y.dtype)


def places_of(y: Any, index: Any) -> tuple[Any, int]:
    """Where y[index] lies, counted along the first axes of y, and how many these are."""
    xp = array_module(y)
    parts = index if isinstance(index, tuple) else (index,)
    if all(isinstance(part, xp.ndarray) and part.dtype.kind in "iu" for part in parts):
        parts = xp.broadcast_arrays(*parts)
        return xp.ravel_multi_index(tuple(parts), y.shape[: len(parts)], mode="wrap"), len(parts)
    at = 0
    for axis, size in enumerate(y.shape):
        along = xp.arange(size).reshape(-1, *(1,) * (y.ndim - axis - 1))
        at = at * size + xp.broadcast_to(along, y.shape)[index]
    return at, y.ndim
