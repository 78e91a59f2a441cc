"""Operators that make tensors."""

from __future__ import annotations

import math

import numpy as np

from minidl.io.onnx.node import Node, int_list
from minidl.shapes import check_size
from minidl.tensor import Tensor


def constant(node: Node) -> Tensor:
    """The value is one of several attributes."""
    for name, dtype in (
        ("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64),
        ("value_ints", np.int64),
    ):  # fmt: skip
        if name in node.attributes:
            return Tensor(np.array(node.attributes[name], dtype))
    value = node.required("value")
    if not isinstance(value, np.ndarray):
        node.refuse("the value is not a tensor of numbers")
    return Tensor(value)


def constant_of_shape(node: Node, shape: Tensor) -> Tensor:
    sizes = tuple(int_list(node, shape, "shape"))
    value = node.get("value", np.zeros(1, np.float32))
    if min(sizes, default=0) < 0 or value.size != 1:
        node.refuse("the shape has sizes >= 0, the value one element", {"shape": sizes})
    check_size("onnx", sizes, value.dtype, {"shape": sizes})
    return Tensor(np.full(sizes, value.reshape(()), value.dtype))


def range_(node: Node, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    first, last, step = (x.data.reshape(()).item() for x in (start, limit, delta))
    if step == 0 or not all(math.isfinite(n) for n in (first, last, step)):
        node.refuse("the bounds are finite and the step is not 0", {"delta": step})
    count = max(math.ceil((last - first) / step), 0)
    check_size("onnx", (count,), start.dtype, {"start": first, "limit": last, "delta": step})
    return Tensor((first + np.arange(count) * step).astype(start.dtype))


IMPORTERS = {"Constant": constant, "ConstantOfShape": constant_of_shape, "Range": range_}
