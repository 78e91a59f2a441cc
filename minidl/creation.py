"""Ways to make a leaf Tensor: from Python numbers, arrays, other libraries, or a shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.arrays import as_array, as_written, check_numbers
from minidl.checks import check_tensor
from minidl.device import array_module, import_cupy, to_device
from minidl.dtypes import check_fits, converted, floating_dtype, resolve_dtype
from minidl.errors import ArgumentError, DtypeError, MinidlError
from minidl.random import generator
from minidl.shapes import check_flag, check_size, is_int
from minidl.tensor import Tensor, check_differentiable


def tensor(data: Any, dtype: Any = None, device: str | None = None, requires_grad=False) -> Tensor:
    """A new leaf Tensor with a copy of `data`.

    Args:
        data: number, nested sequence, array or Tensor.
        dtype: element type; by default that of an array, else float32 for Python floats, int64
            for ints, bool for bools. Numbers are rounded once, to this type; for integers,
            fractions are cut off, and what is out of range is refused.
        device: "cpu" or "cuda"; by default where the data are.
        requires_grad: compute a gradient in backward; the dtype must be floating point.

    Raises:
        DtypeError: the data are not numbers, or requires_grad on integers.
        ArgumentError: a number does not fit into integers of `dtype`: 300 into uint8, NaN.

    >>> minidl.tensor([[1, 2], [3, 4]], dtype="float32").shape
    (2, 2)
    """
    if dtype is None:
        array = as_array(data).copy()
    else:
        dtype = resolve_dtype("tensor", dtype)
        array = converted("tensor", as_array(data, dtype), dtype)
    return leaf(array if device is None else to_device(array, device), requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor that shares the array's memory.

    Args:
        array: numbers or bools, any shape.

    Raises:
        DtypeError: not an array of numbers.

    >>> x = minidl.ones(2)
    >>> y = minidl.from_numpy(x.numpy())
    >>> y[0] = 5; x
    tensor([5., 1.])
    """
    if not isinstance(array, np.ndarray):
        raise DtypeError("from_numpy", "expects a NumPy array", {"array": type(array).__name__})
    # A subclass may compute otherwise: the * of a np.matrix is a matrix product.
    return Tensor(check_numbers("from_numpy", np.asarray(array)))


def from_dlpack(source: Any) -> Tensor:
    """A Tensor that shares the memory of another library's array through DLPack.

    Args:
        source: anything with __dlpack__: a PyTorch tensor, a NumPy or CuPy array, ...

    Raises:
        DtypeError: source does not speak DLPack, or refuses to share its memory.
    """
    if not hasattr(source, "__dlpack__") or not hasattr(source, "__dlpack_device__"):
        raise DtypeError(
            "from_dlpack", "expects an array with __dlpack__", {"source": type(source).__name__},
            "minidl.tensor(source) copies anything that looks like an array",
        )  # fmt: skip
    try:
        kind, _ = source.__dlpack_device__()
        if kind == 1:  # kDLCPU
            return Tensor(check_numbers("from_dlpack", np.from_dlpack(source)))
        return Tensor(import_cupy().from_dlpack(source))
    except (BufferError, RuntimeError, ValueError) as error:
        if isinstance(error, MinidlError):
            raise
        raise DtypeError(
            "from_dlpack", "the other library does not share this array",
            {"source": type(source).__name__, "it says": str(error).splitlines()[0]},
        ) from None  # fmt: skip


def leaf(array: Any, requires_grad: bool) -> Tensor:
    """A Tensor of a new array, after a check that it can have a gradient."""
    check_flag("requires_grad", "requires_grad", requires_grad)
    if requires_grad:
        check_differentiable(array)
    return Tensor(array, bool(requires_grad))


def empty(*shape: int, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of the given shape with undefined values.

    Args:
        shape: the sizes, as ints or one tuple.
        dtype: element type.
        requires_grad: compute a gradient in backward; the dtype must be floating point.

    >>> minidl.empty(2, 3).shape
    (2, 3)
    """
    dtype = resolve_dtype("empty", dtype)
    return leaf(np.empty(check_shape("empty", shape, dtype), dtype), requires_grad)


def zeros(*shape: int, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros.

    Args:
        shape: the sizes, as ints or one tuple.
        dtype: element type.
        requires_grad: compute a gradient in backward; the dtype must be floating point.

    >>> minidl.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    dtype = resolve_dtype("zeros", dtype)
    return leaf(np.zeros(check_shape("zeros", shape, dtype), dtype), requires_grad)


def ones(*shape: int, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of ones.

    Args:
        shape: the sizes, as ints or one tuple.
        dtype: element type.
        requires_grad: compute a gradient in backward; the dtype must be floating point.

    >>> minidl.ones((2,), dtype="int64")
    tensor([1, 1])
    """
    dtype = resolve_dtype("ones", dtype)
    return leaf(np.ones(check_shape("ones", shape, dtype), dtype), requires_grad)


def full(shape: tuple, fill_value: float, dtype: Any = None, requires_grad=False) -> Tensor:
    """A tensor filled with one number.

    Args:
        shape: the sizes.
        fill_value: the number.
        dtype: by default float32 for a float, int64 for an int, bool for a bool.
        requires_grad: compute a gradient in backward.

    Raises:
        ArgumentError: the number does not fit into integers of `dtype`.

    >>> minidl.full((2, 2), 7.0)
    tensor([[7., 7.],
            [7., 7.]])
    """
    if dtype is None:
        value = as_array(fill_value)
    else:
        dtype = resolve_dtype("full", dtype)
        value = as_written("full", fill_value, dtype).astype(dtype)
    array = np.empty(check_shape("full", (shape,), value.dtype), value.dtype)
    array[...] = value
    return leaf(array, requires_grad)


def arange(*bounds: float, dtype: Any = None) -> Tensor:
    """Evenly spaced values from start (0) up to, not including, end.

    Args:
        bounds: end; start, end; or start, end, step.
        dtype: by default int64, or float32 when a bound is a float.

    Raises:
        ArgumentError: not one to three finite numbers, a step of 0, or values that do not fit into
            integers of `dtype`.
        ShapeError: more values than fit into memory.

    >>> minidl.arange(1, 2, 0.25)
    tensor([1.  , 1.25, 1.5 , 1.75])
    """
    numbers = all(isinstance(b, int | float | np.number) and abs(b) < np.inf for b in bounds)
    if not numbers or not 1 <= len(bounds) <= 3 or (len(bounds) == 3 and bounds[2] == 0):
        raise ArgumentError(
            "arange", "expects end, or start, end, or start, end, step (not 0)", {"bounds": bounds}
        )
    first, last, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    check_size("arange", (int((last - first) // step),), np.int64, {"bounds": bounds})
    if not all(map(is_bound, bounds)):
        raise ArgumentError("arange", "ints have at most 64 bits", {"bounds": bounds})
    if dtype is None:
        whole = all(isinstance(bound, int | np.integer) for bound in bounds)
        dtype = np.int64 if whole else np.float32
    return Tensor(converted("arange", np.arange(*bounds), resolve_dtype("arange", dtype)))


def linspace(start: float, end: float, steps: int, dtype: Any = np.float32) -> Tensor:
    """`steps` evenly spaced values from start up to, and including, end.

    Raises:
        ArgumentError: steps is not an int >= 0, start or end not a finite number, or one that does
            not fit into integers of `dtype`.

    >>> minidl.linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    if not is_bound(start) or not is_bound(end):
        raise ArgumentError(
            "linspace", "start and end are finite numbers", {"start": start, "end": end}
        )
    (steps,) = check_shape("linspace", (steps,), np.float64)
    values = np.linspace(start, end, steps)
    return Tensor(converted("linspace", values, resolve_dtype("linspace", dtype)))


def is_bound(value: Any) -> bool:
    """A finite number, or an int of 64 bits."""
    if isinstance(value, int):
        return abs(value) < 2**63
    return isinstance(value, float | np.number) and bool(np.isfinite(value))


def eye(n: int, m: int | None = None, dtype: Any = np.float32) -> Tensor:
    """The identity matrix (n, n), or (n, m) with ones where row and column are equal.

    Raises:
        ArgumentError: n or m is not an int >= 0.

    >>> minidl.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    dtype = resolve_dtype("eye", dtype)
    n, m = check_shape("eye", (n, n if m is None else m), dtype)
    return Tensor(np.eye(n, m, dtype=dtype))


def randn(*shape: int, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Normal values of mean 0 and standard deviation 1 from minidl's generator.

    Args:
        shape: the sizes, as ints or one tuple.
        dtype: element type, floating point.
        requires_grad: compute a gradient in backward.

    Raises:
        DtypeError: the dtype is not floating point.

    >>> minidl.randn(2, 3).shape
    (2, 3)
    """
    dtype = floating_dtype("randn", dtype)
    array = generator().standard_normal(check_shape("randn", shape, np.float64))
    return leaf(np.asarray(array, dtype), requires_grad)


def rand(*shape: int, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Values uniform in [0, 1) from minidl's generator.

    Args:
        shape: the sizes, as ints or one tuple.
        dtype: element type, floating point.
        requires_grad: compute a gradient in backward.

    Raises:
        DtypeError: the dtype is not floating point.

    >>> bool((minidl.rand(5) < 1).all())
    True
    """
    dtype = floating_dtype("rand", dtype)
    array = generator().random(check_shape("rand", shape, np.float64))
    below_1 = 1 - float(np.finfo(dtype).epsneg)  # a value above it would round to 1
    return leaf(np.asarray(np.minimum(array, below_1), dtype), requires_grad)


def randint(low: int, high: int, size: tuple, dtype: Any = np.int64) -> Tensor:
    """Whole numbers uniform in [low, high) from minidl's generator.

    Raises:
        ArgumentError: low or high is not an int of 64 bits, low is not below high, or a value
            does not fit into integers of `dtype`.

    >>> minidl.randint(3, 4, (2,))
    tensor([3, 3])
    """
    if not is_int(low) or not is_int(high) or not -(2**63) <= low < high <= 2**63 - 1:
        raise ArgumentError("randint", "expects ints low < high", {"low": low, "high": high})
    dtype = resolve_dtype("randint", dtype)
    check_fits("randint", np.array([low, high - 1]), dtype)
    array = generator().integers(low, high, check_shape("randint", (size,), np.int64))
    return Tensor(np.asarray(array, dtype))


def randperm(n: int) -> Tensor:
    """The numbers 0 to n - 1 (int64) in random order, from minidl's generator.

    Raises:
        ArgumentError: n is not an int >= 0.

    >>> sorted(minidl.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    (n,) = check_shape("randperm", (n,), np.int64)
    return Tensor(generator().permutation(n))


def full_like(x: Tensor, fill_value: float) -> Tensor:
    """One number in x's shape, dtype, device and memory layout; refused where it does not fit."""
    check_tensor("full_like", input=x)
    y = empty_like(x)
    try:
        y.fill_(fill_value)
    except MinidlError as error:
        error.op = "full_like"  # which was called
        raise
    return y


def empty_like(x: Tensor) -> Tensor:
    """A tensor of x's shape, dtype, device and memory layout with undefined values."""
    check_tensor("empty_like", input=x)
    return Tensor(array_module(x.data).empty_like(x.data))


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of x's shape, dtype, device and memory layout."""
    check_tensor("zeros_like", input=x)
    return Tensor(array_module(x.data).zeros_like(x.data))


def ones_like(x: Tensor) -> Tensor:
    """Ones of x's shape, dtype, device and memory layout."""
    check_tensor("ones_like", input=x)
    return Tensor(array_module(x.data).ones_like(x.data))


def check_shape(op: str, shape: Any, dtype: Any) -> tuple:
    """The sizes of zeros(2, 3) or zeros((2, 3)) as a tuple, which dtype makes fit into memory."""
    if isinstance(shape, int):
        shape = (shape,)
    elif len(shape) == 1 and isinstance(shape[0], list | tuple):
        shape = shape[0]
    shape = tuple(shape)
    if any(not is_int(size) or size < 0 for size in shape):
        raise ArgumentError(op, "a shape is a tuple of sizes >= 0", {"shape": shape})
    check_size(op, shape, dtype, {})
    return shape
