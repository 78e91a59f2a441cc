"""Whole quotients and remainders. ONNX, like C, rounds quotients towards 0, minidl downwards."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.io.onnx.exporters.comparison import cast
from minidl.io.onnx.writer import Writer
from minidl.ops.remainder import FloorDivide, Remainder


def remainder(g: Writer, f: Any, a: str, b: str) -> str:
    """The remainder of C has the sign of a; b is added where that is not b's."""
    rest = g.add("Mod", a, b, fmod=1)
    other_sign = signs_differ(g, rest, b, f.inputs[0].dtype)
    return g.add("Where", other_sign, g.add("Add", rest, b), rest)


def floor_divide(g: Writer, f: Any, a: str, b: str) -> str:
    dtype = f.inputs[0].dtype
    if dtype.kind == "f":
        return whole_quotient(g, a, b, dtype)
    if dtype == np.uint64:  # nothing is below 0
        return g.add("Div", a, b)
    a, b = cast(g, a, np.int64), cast(g, b, np.int64)  # which all runtimes divide
    quotient = g.add("Div", a, b)
    rest = g.add("Sub", a, g.add("Mul", quotient, b))
    down = cast(g, signs_differ(g, rest, b, np.int64), np.int64)
    return cast(g, g.add("Sub", quotient, down), np.int8 if dtype.kind == "b" else dtype)


def whole_quotient(g: Writer, a: str, b: str, dtype: Any) -> str:
    """(a - rest) / b as NumPy computes it: a / b may round up to a whole number, as 1 / 0.1 does.

    Without the rest the quotient is whole but for its rounding, so the nearest whole number is it.
    """
    one, half = g.constant(1, dtype), g.constant(0.5, dtype)
    rest = g.add("Mod", a, b, fmod=1)
    near = g.add("Div", g.add("Sub", a, rest), b)
    near = g.add("Where", signs_differ(g, rest, b, dtype), g.add("Sub", near, one), near)
    low = g.add("Floor", near)
    above = g.add("Greater", g.add("Sub", near, low), half)
    whole = g.add("Where", above, g.add("Add", low, one), low)
    by_zero = g.add("Equal", b, g.constant(0, dtype))
    return g.add("Where", by_zero, g.add("Div", a, b), whole)  # inf and NaN


def signs_differ(g: Writer, a: str, b: str, dtype: Any) -> str:
    """Where one is above 0 and the other below."""
    product = g.add("Mul", g.add("Sign", a), g.add("Sign", b))
    return g.add("Less", product, g.constant(0, dtype))


EXPORTERS = {FloorDivide: floor_divide, Remainder: remainder}
