"""Ways to make a leaf Tensor: from Python numbers, arrays, other libraries, or a shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.device import array_module, to_device
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.random import generator
from minidl.tensor import Tensor, check_differentiable


def tensor(data: Any, dtype: Any = None, device: str | None = None, requires_grad=False) -> Tensor:
    """A new leaf Tensor with a copy of `data`.

    Args:
        data: number, nested sequence, array or Tensor.
        dtype: element type; by default that of an array, else float32 for Python floats, int64
            for ints, bool for bools.
        device: "cpu" or "cuda"; by default where the data are.
        requires_grad: compute a gradient in backward; the dtype must be floating point.

    Raises:
        DtypeError: the data are not numbers, or requires_grad on integers.

    >>> minidl.tensor([[1, 2], [3, 4]], dtype="float32").shape
    (2, 2)
    """
    array = as_array(data)
    array = array.astype(dtype) if dtype is not None else array.copy()
    if device is not None:
        array = to_device(array, device)
    if requires_grad:
        check_differentiable(array)
    return Tensor(array, requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor that shares the array's memory."""
    if not isinstance(array, np.ndarray):
        raise DtypeError("from_numpy", "expects a NumPy array", {"array": type(array)})
    return Tensor(array)


def from_dlpack(source: Any) -> Tensor:
    """A Tensor that shares the memory of another library's array through DLPack.

    Args:
        source: anything with __dlpack__: a PyTorch tensor, a NumPy or CuPy array, ...
    """
    kind, _ = source.__dlpack_device__()
    if kind == 1:  # kDLCPU
        return Tensor(np.from_dlpack(source))
    from minidl.device import import_cupy

    return Tensor(import_cupy().from_dlpack(source))


def as_array(data: Any) -> Any:
    """The NumPy or CuPy array behind `data`; Python floats become float32."""
    if isinstance(data, Tensor):
        return data.data
    if hasattr(data, "dtype") and hasattr(data, "__array__") or hasattr(data, "get"):
        return data if type(data).__module__.startswith("cupy") else np.asarray(data)
    if isinstance(data, list | tuple) and any(isinstance(part, Tensor) for part in data):
        data = [part.data if isinstance(part, Tensor) else part for part in data]
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ShapeError("tensor", f"the nested sequence is ragged: {error}") from None
    if array.dtype == np.float64 and not contains_float64(data):
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise DtypeError(
            "tensor", "expects numbers", {"data": data}, "complex numbers, text and None are not"
        )
    return array


def contains_float64(data: Any) -> bool:
    """Whether a nested sequence holds NumPy float64 values, which are kept as such."""
    while isinstance(data, list | tuple) and data:
        data = data[0]
    return getattr(data, "dtype", None) == np.float64


def empty(*shape: int, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of the given shape with undefined values."""
    return Tensor(np.empty(check_shape("empty", shape), dtype), requires_grad)


def zeros(*shape: int, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    return Tensor(np.zeros(check_shape("zeros", shape), dtype), requires_grad)


def ones(*shape: int, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return Tensor(np.ones(check_shape("ones", shape), dtype), requires_grad)


def full(shape: tuple, value: float, dtype: Any = np.float32, requires_grad=False) -> Tensor:
    """A tensor filled with one value."""
    return Tensor(np.full(check_shape("full", shape), value, dtype), requires_grad)


def arange(*bounds: float, dtype: Any = None) -> Tensor:
    """arange([start,] stop[, step]): evenly spaced values, int64 unless a bound is a float."""
    if dtype is None:
        dtype = np.float32 if any(isinstance(bound, float) for bound in bounds) else np.int64
    return Tensor(np.arange(*bounds, dtype=dtype))


def randn(*shape: int, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Normal values of mean 0 and standard deviation 1 from minidl's generator."""
    shape = check_shape("randn", shape)
    return Tensor(generator().standard_normal(shape).astype(dtype), requires_grad)


def rand(*shape: int, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Values uniform in [0, 1) from minidl's generator."""
    return Tensor(generator().random(check_shape("rand", shape)).astype(dtype), requires_grad)


def empty_like(x: Tensor) -> Tensor:
    """A tensor of x's shape, dtype, device and memory layout with undefined values."""
    return Tensor(array_module(x.data).empty_like(x.data))


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of x's shape, dtype, device and memory layout."""
    return Tensor(array_module(x.data).zeros_like(x.data))


def ones_like(x: Tensor) -> Tensor:
    """Ones of x's shape, dtype, device and memory layout."""
    return Tensor(array_module(x.data).ones_like(x.data))


def check_shape(op: str, shape: Any) -> tuple:
    """The sizes of zeros(2, 3) or zeros((2, 3)) as a tuple."""
    if isinstance(shape, int):
        shape = (shape,)
    elif len(shape) == 1 and isinstance(shape[0], list | tuple):
        shape = shape[0]
    shape = tuple(shape)
    if any(not isinstance(size, int | np.integer) or size < 0 for size in shape):
        raise ArgumentError(op, "a shape is a tuple of sizes >= 0", {"shape": shape})
    return shape
