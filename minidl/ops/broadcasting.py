"""What operations on two tensors share: a common dtype and shapes that stretch to each other.

Axes are matched from the last one. Two sizes fit when they are equal or one of them is 1, and a
size of 1 is stretched; missing axes in front count as 1:

    (8, 1, 6)
       (7, 1)    ->    (8, 7, 6)

Stretching copies a value to many places, so the gradient of a stretched axis is the sum over it
(`unbroadcast`). Types promote as in PyTorch: a Python number or a 0-d tensor does not widen a
tensor of the same kind, and integers meeting floats become the floats' type.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.arrays import as_array
from minidl.device import array_module
from minidl.dtypes import number_dtype, promoted_dtype
from minidl.errors import ArgumentError, DeviceError, DtypeError, ShapeError
from minidl.kernels.sums import total
from minidl.ops.casting import cast
from minidl.tensor import Tensor

NUMBER = (int, float)  # a union would be built anew in every isinstance


def operands(op: str, a: Any, b: Any, floating: bool = False) -> tuple[Tensor, Tensor]:
    """a and b as Tensors of one dtype whose shapes broadcast.

    With `floating`, integers of two types, or with a number, become float32: their common type
    may be too small for one of them (uint8 / 1000).

    Raises:
        ShapeError: the shapes do not broadcast.
        DtypeError, DeviceError: not numbers, or on two devices.
    """
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        x, y = a.data, b.data
        if x.shape == y.shape and x.dtype == y.dtype and type(x) is type(y):
            return a, b  # the usual case pays for nothing else
    elif isinstance(b, NUMBER):
        return with_number(op, a, b, floating)
    elif isinstance(a, NUMBER):
        return with_number(op, b, a, floating)[::-1]
    return promote(op, a, b, floating)


def with_number(op: str, x: Any, number: Any, floating: bool) -> tuple[Tensor, Tensor]:
    """x and a Python number, which becomes a 0-d Tensor of the result's dtype."""
    if not isinstance(x, Tensor):
        check_operand(op, x)
        x = Tensor(as_array(x))
    array = x.data
    dtype = array.dtype if array.dtype.kind == "f" else number_dtype(number, array.dtype, floating)
    try:
        b = Tensor(array_module(array).asarray(number, dtype))
    except OverflowError:
        raise ArgumentError(
            op, f"the number does not fit into {dtype}", {"tensor": x, "number": number}
        ) from None
    return x if dtype == array.dtype else cast(x, dtype), b


def promote(op: str, a: Any, b: Any, floating: bool) -> tuple[Tensor, Tensor]:
    """Both as Tensors of the dtype that PyTorch's promotion gives, on one device."""
    check_operand(op, a)
    check_operand(op, b)
    a, b = beside(b, a), beside(a, b)
    check_devices(op, a, b)
    check_broadcast(op, a, b)
    if a.data.dtype == b.data.dtype:
        return a, b
    dtype = promoted_dtype(a.data, b.data)
    if floating and dtype.kind != "f":
        dtype = np.dtype(np.float32)
    return cast(a, dtype), cast(b, dtype)


def beside(other: Any, value: Any) -> Tensor:
    """A value as a Tensor. The floats of a list keep all digits beside an array of float64."""
    if isinstance(value, Tensor):
        return value
    wide = getattr(other, "dtype", None) == np.float64 and other.ndim > 0
    return Tensor(as_array(value, other.dtype if wide else None))


def is_operand(value: Any) -> bool:
    """Whether a value can stand beside a Tensor in an expression.

    Args:
        value: anything.

    Returns:
        True for Tensors, numbers, lists, and whatever has a dtype and a shape.
    """
    if isinstance(value, Tensor | int | float | list | tuple):
        return True
    return hasattr(value, "dtype") and hasattr(value, "shape")


def check_operand(op: str, value: Any) -> None:
    if not is_operand(value):
        raise DtypeError(
            op, "expects Tensors and numbers", {"received": f"{type(value).__name__} {value!r:.60}"}
        )


def check_devices(op: str, a: Tensor, b: Tensor) -> None:
    if type(a.data) is not type(b.data):
        raise DeviceError(
            op, "the tensors are on two devices", {"input": a.device, "other": b.device},
            'move one with x.to("cuda")',
        )  # fmt: skip


def check_broadcast(op: str, a: Tensor, b: Tensor) -> None:
    """Axis by axis from the last, the sizes are equal or one of them is 1."""
    for size_a, size_b in zip(a.data.shape[::-1], b.data.shape[::-1]):
        if size_a != size_b and size_a != 1 and size_b != 1:
            raise ShapeError(
                op,
                f"the shapes do not broadcast: sizes {size_a} and {size_b} meet on one axis",
                {"input": a, "other": b},
                "axes are matched from the last one; sizes must be equal or 1",
            )


def unbroadcast(g: Any, shape: tuple) -> Any:
    """Sum a gradient over the axes that broadcasting stretched, back to `shape`."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    stretched = [i for i, size in enumerate(shape) if size == 1 and g.shape[extra + i] != 1]
    axes = tuple(range(extra)) + tuple(extra + i for i in stretched)
    return total(g, axes, keepdims=True).reshape(shape)
