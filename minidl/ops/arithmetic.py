"""Arithmetic with broadcasting: + - * / and powers.

    y = a + b     ga = gy                gb = gy
    y = a - b     ga = gy                gb = -gy
    y = a * b     ga = gy b              gb = gy a
    y = a / b     ga = gy / b            gb = -gy a / b^2
    y = a ** b    ga = gy b a^(b-1)      gb = gy a^b log(a)

Broadcasting stretches an axis of size 1, so the gradient of a stretched axis is the sum over it
(`unbroadcast`). Types promote as in PyTorch: a Python number or a 0-d tensor does not widen a
tensor of the same kind, and integers meeting floats become the floats' type.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.device import array_module
from minidl.errors import DeviceError, ShapeError
from minidl.function import Function
from minidl.tensor import Tensor


class Add(Function):
    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        return a + b

    def backward(self, gy):
        return unbroadcast(gy, self.shapes[0]), unbroadcast(gy, self.shapes[1])


class Sub(Function):
    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        return a - b

    def backward(self, gy):
        gb = -unbroadcast(gy, self.shapes[1]) if self.needs_grad[1] else None
        return unbroadcast(gy, self.shapes[0]), gb


class Mul(Function):
    def forward(self, a, b):
        self.a, self.b = a, b
        return a * b

    def backward(self, gy):
        ga = unbroadcast(gy * self.b, self.a.shape) if self.needs_grad[0] else None
        gb = unbroadcast(gy * self.a, self.b.shape) if self.needs_grad[1] else None
        return ga, gb


class Div(Function):
    def forward(self, a, b):
        self.a, self.b = a, b
        return a / b

    def backward(self, gy):
        ga = unbroadcast(gy / self.b, self.a.shape) if self.needs_grad[0] else None
        gb = None
        if self.needs_grad[1]:
            gb = unbroadcast(-gy * self.a / (self.b * self.b), self.b.shape)
        return ga, gb


def add(a: Any, b: Any) -> Tensor:
    """a + b, broadcast. Shapes as in NumPy; a Python number stands for a 0-d tensor."""
    a, b = operands("add", a, b)
    return Add().apply(a, b)


def sub(a: Any, b: Any) -> Tensor:
    """a - b, broadcast."""
    a, b = operands("sub", a, b)
    return Sub().apply(a, b)


def mul(a: Any, b: Any) -> Tensor:
    """a * b elementwise, broadcast."""
    a, b = operands("mul", a, b)
    return Mul().apply(a, b)


def div(a: Any, b: Any) -> Tensor:
    """a / b elementwise, broadcast; integers divide to float32."""
    a, b = operands("div", a, b)
    if a.data.dtype.kind != "f":
        a, b = Tensor(a.data.astype(np.float32)), Tensor(b.data.astype(np.float32))
    return Div().apply(a, b)


def operands(op: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """a and b as Tensors of one dtype whose shapes broadcast.

    Raises:
        ShapeError: the shapes do not broadcast.
        DtypeError, DeviceError: not numbers, or on two devices.
    """
    if type(a) is Tensor and type(b) is Tensor and a.data.dtype == b.data.dtype:
        if a.data.shape == b.data.shape:
            return a, b  # the usual case pays for nothing else
    a, b = promote(op, a, b)
    if type(a.data) is not type(b.data):
        raise DeviceError(op, "the tensors are on two devices", {"a": a.device, "b": b.device})
    check_broadcast(op, a, b)
    return a, b


def promote(op: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Both as Tensors of the dtype that PyTorch's promotion gives."""
    from minidl.creation import as_array

    if not isinstance(a, Tensor):
        a = Tensor(array_module(b.data).asarray(as_array(a)) if is_number(a) else as_array(a))
    elif not isinstance(b, Tensor):
        b = Tensor(array_module(a.data).asarray(as_array(b)) if is_number(b) else as_array(b))
    if a.data.dtype == b.data.dtype:
        return a, b
    dtype = promoted_dtype(a.data, b.data)
    return cast(a, dtype), cast(b, dtype)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)


def promoted_dtype(a: Any, b: Any) -> np.dtype:
    """The higher kind (bool < int < float) wins; within a kind, tensors win over 0-d tensors."""
    rank = {"b": 0, "u": 1, "i": 1, "f": 2}
    rank_a, rank_b = rank[a.dtype.kind], rank[b.dtype.kind]
    if rank_a != rank_b:
        return a.dtype if rank_a > rank_b else b.dtype
    if (a.ndim == 0) != (b.ndim == 0):
        return b.dtype if a.ndim == 0 else a.dtype
    return np.promote_types(a.dtype, b.dtype)


def cast(x: Tensor, dtype: np.dtype) -> Tensor:
    if x.data.dtype == dtype:
        return x
    return x.to(dtype) if x.requires_grad else Tensor(x.data.astype(dtype))


def check_broadcast(op: str, a: Tensor, b: Tensor) -> None:
    """Axis by axis from the last, the sizes are equal or one of them is 1."""
    for size_a, size_b in zip(a.data.shape[::-1], b.data.shape[::-1]):
        if size_a != size_b and size_a != 1 and size_b != 1:
            raise ShapeError(
                op,
                f"the shapes do not broadcast: sizes {size_a} and {size_b} meet on one axis",
                {"a": a, "b": b},
                "axes are matched from the last one; sizes must be equal or 1",
            )


def unbroadcast(g: Any, shape: tuple) -> Any:
    """Sum a gradient over the axes that broadcasting stretched, back to `shape`."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    stretched = [i for i, size in enumerate(shape) if size == 1 and g.shape[extra + i] != 1]
    axes = tuple(range(extra)) + tuple(extra + i for i in stretched)
    return g.sum(axis=axes, keepdims=True).reshape(shape)
