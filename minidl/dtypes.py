"""Element types: their names, and which one results when two meet."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.errors import DtypeError, nearest

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
