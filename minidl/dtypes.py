"""Element types: their names, and which one results when two meet."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.errors import ArgumentError, DtypeError, nearest

float16, float32, float64 = np.float16, np.float32, np.float64
uint8, int32, int64 = np.uint8, np.int32, np.int64

NAMES = [
    "bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8",
    "uint16", "uint32", "uint64", "uint8",
]  # fmt: skip
RANK = {"b": 0, "u": 1, "i": 1, "f": 2}  # NumPy's dtype.kind -> bool < int < float


def resolve_dtype(op: str, dtype: Any) -> np.dtype:
    """The NumPy dtype behind "float32", np.float32, minidl.float32, int, bool, ...

    Raises:
        DtypeError: no such element type, or one that is not a number; names the nearest.
    """
    if isinstance(dtype, np.dtype) and dtype.kind in RANK:
        return dtype
    try:
        found = np.dtype(dtype) if dtype is not None else None
    except TypeError:
        found = None
    if found is None or found.kind not in RANK:
        raise DtypeError(op, "no such element type", {"dtype": dtype}, nearest(dtype, NAMES))
    return found


def floating_dtype(op: str, dtype: Any) -> np.dtype:
    """resolve_dtype for what makes fractions: in integers, numbers from 0 to 1 would all be 0.

    Raises:
        DtypeError: no such element type, or not a floating-point one.
    """
    found = resolve_dtype(op, dtype)
    if found.kind != "f":
        raise DtypeError(
            op, "makes fractions, which need a floating-point element type", {"dtype": str(found)},
            'convert afterwards: x.to("int64"); minidl.randint makes whole numbers',
        )  # fmt: skip
    return found


def check_fits(op: str, array: Any, dtype: np.dtype) -> None:
    """Every number of an array is one that integers of `dtype` can be, fractions cut off.

    As a conversion, NumPy and PyTorch take what is left of the bits: 44 of 300 for uint8, and of
    NaN whatever the processor makes of it. Floats and bools take every number: floats become
    infinite beyond their range, and bools are True of all but 0, as in PyTorch.

    Raises:
        ArgumentError: names the first of the smallest and the largest number that does not fit.
    """
    if dtype.kind not in "iu" or not array.size or np.can_cast(array.dtype, dtype):
        return
    limits = np.iinfo(dtype)
    for number in (array.min().item(), array.max().item()):
        if not abs(number) < np.inf or not limits.min <= int(number) <= limits.max:
            raise ArgumentError(
                op, f"{number} does not fit into {dtype}, {limits.min} to {limits.max}",
                {"numbers": array, "dtype": str(dtype)},
            )  # fmt: skip


def converted(op: str, array: Any, dtype: np.dtype) -> Any:
    """A copy of an array in another element type, which holds its numbers (check_fits)."""
    check_fits(op, array, dtype)
    return array.astype(dtype)


def promoted_dtype(a: Any, b: Any) -> np.dtype:
    """The dtype of a result of the arrays a and b, as in PyTorch.

    The higher kind (bool < int < float) wins; within a kind, an array wins over a 0-d array;
    otherwise the smallest type that holds both.
    """
    rank_a, rank_b = RANK[a.dtype.kind], RANK[b.dtype.kind]
    if rank_a != rank_b:
        return a.dtype if rank_a > rank_b else b.dtype
    if (a.ndim == 0) != (b.ndim == 0):
        return b.dtype if a.ndim == 0 else a.dtype
    return np.promote_types(a.dtype, b.dtype)


def number_dtype(number: Any, dtype: np.dtype, floating: bool = False) -> np.dtype:
    """The dtype of a result of a Python number and a tensor of `dtype`, as in PyTorch.

    The tensor's, unless the number is of a higher kind, or the result is to be `floating` in any
    case: then int64 or float32.
    """
    if dtype.kind == "f" or (isinstance(number, bool) and not floating):
        return dtype
    if floating:
        return np.dtype(np.float32)
    if isinstance(number, int):
        return dtype if dtype.kind in "iu" else np.dtype(np.int64)
    return np.dtype(np.float32)
