"""The arrays behind numbers, nested lists and the tensors of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.dtypes import check_fits
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.tensor import Tensor


def as_array(data: Any, dtype: np.dtype | None = None) -> Any:
    """The NumPy or CuPy array behind `data`.

    Args:
        data: number, nested sequence, array or Tensor.
        dtype: what the array is converted to next, where that is known: Python floats stay
            float64, which they are, and are rounded once. Else they become float32.
    """
    if isinstance(data, Tensor):
        return data.data
    if type(data).__module__.partition(".")[0] == "cupy":
        return data
    if hasattr(data, "dtype") and hasattr(data, "__array__"):
        return check_numbers("tensor", array_of(data))
    if isinstance(data, list | tuple) and any(isinstance(part, Tensor) for part in data):
        data = [part.data if isinstance(part, Tensor) else part for part in data]
    try:
        array = np.asarray(data)
    except ValueError:
        raise ShapeError("tensor", "the nested sequence is ragged: its rows differ") from None
    if array.dtype == np.float64 and array.ndim and (dtype is None or dtype.kind in "iu"):
        check_not_ints(data, array)
    if array.dtype == np.float64 and dtype is None and not contains_float64(data):
        array = array.astype(np.float32)
    return check_numbers("tensor", array)


def array_of(other: Any) -> np.ndarray:
    """The NumPy array of another library's tensor, which may refuse (bfloat16, a gradient)."""
    try:
        return np.asarray(other)
    except (TypeError, RuntimeError) as error:
        raise DtypeError(
            "tensor", "the other library does not give this as a NumPy array",
            {"data": type(other).__name__, "it says": str(error).splitlines()[0]},
        ) from None  # fmt: skip


def check_numbers(op: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise DtypeError(
            op, "expects real numbers or bools", {"dtype": str(array.dtype)},
            "complex numbers, text, None and objects are not, nor ints of more than 64 bits",
        )  # fmt: skip
    return array


def check_not_ints(data: Any, array: np.ndarray) -> None:
    """Of ints above 2^63 beside smaller ones NumPy makes floats, which would round them.

    Raises:
        DtypeError
    """
    if array.size and np.abs(array).max() >= 2**63 and is_ints(data):
        raise DtypeError(
            "tensor", "ints above 2^63 and smaller ones have no common type",
            {"smallest": array.min().item(), "largest": array.max().item()},
            "where none is negative: minidl.tensor(np.array(data, np.uint64))",
        )  # fmt: skip


def is_ints(data: Any) -> bool:
    """Whether a nested sequence holds nothing but Python's ints."""
    return all(map(is_ints, data)) if isinstance(data, list | tuple) else isinstance(data, int)


def contains_float64(data: Any) -> bool:
    """Whether a nested sequence holds NumPy float64 values, which are kept as such."""
    if not isinstance(data, list | tuple):
        return getattr(data, "dtype", None) == np.float64
    if {float, int, bool}.issuperset(map(type, data)):
        return False  # the usual case: Python's own numbers, looked through in C
    return any(map(contains_float64, data))


def as_written(op: str, value: Any, dtype: np.dtype) -> Any:
    """The array of what is written into memory of `dtype`, which holds all of its numbers.

    Raises:
        DtypeError, ShapeError: as of tensor().
        ArgumentError: a number does not fit.
    """
    if isinstance(value, int):
        try:
            return np.asarray(value, dtype)
        except OverflowError:
            raise ArgumentError(
                op, f"the number does not fit into {dtype}", {"number": value}
            ) from None
    array = as_array(value, dtype)
    check_fits(op, array, dtype)
    return array
