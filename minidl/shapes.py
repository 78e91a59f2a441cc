"""Sizes and dimensions: the arithmetic that several operations share, with its checks.

The checks of whole tensors are in minidl/checks.py.
"""

from __future__ import annotations

import math
import os
import sys
from functools import lru_cache
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, ShapeError


def pair(op: str, name: str, value: Any, minimum: int = 0) -> tuple[int, int]:
    """(height, width) from one int or two.

    Raises:
        ArgumentError: not one or two ints, or one is below `minimum`.
    """
    if type(value) is int and value >= minimum:  # the usual case, first
        return value, value
    numbers = (value, value) if isinstance(value, int | np.integer) else value
    if (
        not isinstance(numbers, list | tuple)
        or len(numbers) != 2
        or any(isinstance(n, bool) or not isinstance(n, int | np.integer) for n in numbers)
        or min(numbers) < minimum
    ):
        raise ArgumentError(
            op, f"{name} is an int >= {minimum} or a pair (height, width) of them", {name: value}
        )
    return int(numbers[0]), int(numbers[1])


def is_int(value: Any) -> bool:
    """A whole number, Python's or NumPy's; True is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """A real number, Python's or NumPy's, whole or not; True is none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def window_output(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many places a window has along one axis:

        floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1

    0 or less where the window does not fit.
    """  # fmt: skip
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def check_size(op: str, shape: tuple, dtype: Any, received: dict[str, Any]) -> None:
    """An array of this shape fits into this machine's memory.

    For sizes that come from a number in the call: with one digit too many it asks for terabytes.

    Raises:
        ShapeError
    """
    n_bytes = math.prod(max(size, 1) for size in shape) * np.dtype(dtype).itemsize
    if n_bytes > memory_bytes():
        raise ShapeError(
            op,
            f"the result would take {n_bytes / 2**30:,.0f} GiB of memory"
            if n_bytes < sys.maxsize
            else "the result is larger than any memory",
            {**received, "result": tuple(shape)},
        )
    if len(shape) > 64:
        raise ShapeError(op, f"at most 64 dimensions, not {len(shape)}", received)


@lru_cache(maxsize=1)
def memory_bytes() -> int:
    """The memory of this machine; without limit where the system does not say (Windows)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return sys.maxsize


def normalize_dim(op: str, dim: int, ndim: int) -> int:
    """A dimension counted from the front: -1 is the last one.

    Raises:
        ArgumentError: there is no such dimension.
    """
    lowest, highest = (-ndim, ndim - 1) if ndim else (-1, 0)  # a 0-d tensor accepts 0 and -1
    if isinstance(dim, bool) or not isinstance(dim, int | np.integer):
        raise ArgumentError(op, "dim is an int", {"dim": dim})
    if not lowest <= dim <= highest:
        raise ArgumentError(
            op, f"dim is from {lowest} to {highest} for {ndim} dimensions", {"dim": dim}
        )
    return int(dim) % ndim if ndim else 0


def normalize_dims(op: str, dim: Any, ndim: int) -> tuple[int, ...]:
    """Dimensions counted from the front, each once; None means all of them.

    Raises:
        ArgumentError: there is no such dimension, or it is named twice.
    """
    if dim is None:
        return tuple(range(ndim))
    if not isinstance(dim, tuple | list):
        dim = (dim,)
    dims = tuple(normalize_dim(op, one, ndim) for one in dim)
    if len(set(dims)) != len(dims):
        raise ArgumentError(op, "each dimension is named once", {"dim": tuple(dim)})
    return dims if ndim else ()


def reduced_dims(op: str, dim: Any, ndim: int) -> tuple[int, ...]:
    """normalize_dims for a reduction, where naming no dimension, dim=(), also means all of them."""
    nothing_named = isinstance(dim, tuple | list) and not dim
    return normalize_dims(op, None if nothing_named else dim, ndim)


def check_flag(op: str, name: str, value: Any) -> None:
    """A switch is a bool: the text "False" would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(op, f"{name} is a bool", {name: value})


def check_keepdim(op: str, keepdim: Any) -> None:
    """keepdim is a bool: x.sum(0, 1) says that two dimensions are one tuple."""
    if not isinstance(keepdim, bool | np.bool_):
        raise ArgumentError(
            op, "keepdim is a bool", {"keepdim": keepdim}, "several dimensions: dim=(0, 1)"
        )
