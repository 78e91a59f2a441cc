"""Comparisons, logic, and the places of the largest and smallest elements."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from minidl.errors import ArgumentError
from minidl.io.onnx.writer import Writer
from minidl.ops.comparison import Compare, Logic, Quantifier
from minidl.ops.selection import ArgSelect

OPERATORS = {
    operator.eq: "Equal", operator.ne: "Equal", operator.lt: "Less", operator.le: "LessOrEqual",
    operator.gt: "Greater", operator.ge: "GreaterOrEqual",
}  # fmt: skip
OF_BOOLS = {
    "bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor", "invert": "Not",
    "logical_and": "And", "logical_not": "Not", "logical_or": "Or", "logical_xor": "Xor",
}  # fmt: skip
OF_BITS = {
    "bitwise_and": "BitwiseAnd", "bitwise_or": "BitwiseOr", "bitwise_xor": "BitwiseXor",
    "invert": "BitwiseNot",
}  # fmt: skip


def cast(g: Writer, x: str, dtype: Any) -> str:
    from onnx.helper import np_dtype_to_tensor_dtype

    return g.add("Cast", x, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))


def compare(g: Writer, f: Any, *names: str) -> str:
    """Small integers and bools as int64, which all runtimes compare."""
    if f.inputs[0].dtype.kind != "f":
        if f.inputs[0].dtype == np.uint64:
            raise beyond_int64(input=f.inputs[0])
        names = [cast(g, name, np.int64) for name in names]
        if f.number is not None:
            names.append(g.constant(within_int64(f.number), np.int64))
    y = g.add(OPERATORS[f.function], *names)
    return g.add("Not", y) if f.function is operator.ne else y


def within_int64(number: int) -> int:
    far = np.iinfo(np.int64)
    if not far.min <= number <= far.max:
        raise beyond_int64(number=number)
    return number


def beyond_int64(**received: Any) -> ArgumentError:
    """A type that holds larger numbers than int64, or one of them."""
    return ArgumentError("onnx.save", "integers are compared as int64", received,
                         'convert before comparing: x.to("int64"), or to floats')  # fmt: skip


def logic(g: Writer, f: Any, *names: str) -> str:
    dtype = f.inputs[0].dtype
    if f.name in ("isnan", "isinf", "isfinite"):
        return finiteness(g, f.name, names[0], dtype)
    if f.name in OF_BITS and dtype.kind != "b":
        if g.opset < 18:
            raise ArgumentError("onnx.save", "bits of integers need operator set 18 or newer",
                                {"opset": g.opset})  # fmt: skip
        return g.add(OF_BITS[f.name], *names)
    if dtype.kind != "b":
        names = [cast(g, name, bool) for name in names]
    return g.add(OF_BOOLS[f.name], *names)


def finiteness(g: Writer, name: str, x: str, dtype: Any) -> str:
    """ONNX asks floats only; integers, which are always finite, still are as float32."""
    x = x if dtype.kind == "f" else cast(g, x, np.float32)
    if name == "isfinite":
        return g.add("Not", g.add("Or", g.add("IsNaN", x), g.add("IsInf", x)))
    return g.add({"isnan": "IsNaN", "isinf": "IsInf"}[name], x)


def quantifier(g: Writer, f: Any, x: str) -> str:
    """A count: runtimes disagree about the smallest of no elements, but its sum is 0 in all."""
    truth = x if f.inputs[0].dtype.kind == "b" else cast(g, x, bool)
    counted = truth if f.name == "any" else g.add("Not", truth)
    found = cast(g, g.reduce("ReduceSum", cast(g, counted, np.int64), f.axes, f.keepdim), bool)
    return found if f.name == "any" else g.add("Not", found)


def arg_select(g: Writer, f: Any, x: str) -> str:
    operator = {"argmax": "ArgMax", "argmin": "ArgMin"}[f.name]
    if f.axis is not None:
        return g.add(operator, x, axis=int(f.axis), keepdims=int(f.keepdim))
    y = g.add(operator, g.add("Reshape", x, g.ints(-1)), axis=0, keepdims=0)
    return g.add("Reshape", y, g.ints(*[1] * f.inputs[0].ndim)) if f.keepdim else y


EXPORTERS = {ArgSelect: arg_select, Compare: compare, Logic: logic, Quantifier: quantifier}
