"""Arithmetic, elementary functions and activation functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl.io.onnx.writer import Writer
from minidl.ops import arithmetic, casting, elementary, extremes
from minidl.ops.leaky_relu import LeakyReLU
from minidl.ops.relu import ReLU
from minidl.ops.relu6 import ReLU6
from minidl.ops.shape import Contiguous
from minidl.ops.sigmoid import Sigmoid
from minidl.ops.softmax import LogSoftmax, Softmax
from minidl.ops.softplus import Softplus
from minidl.ops.tanh import Tanh
from minidl.ops.where import AtLeast, AtMost, Clamp, Where


def same(operator: str) -> Callable:
    """The exporter of a Function that is one operator without attributes."""
    return lambda g, f, *names: g.add(operator, *names)


def number(g: Writer, f: Any, value: float) -> str:
    """A Python number as a constant of the dtype of f's input."""
    return g.constant(value, f.inputs[0].dtype)


def pow_number(g: Writer, f: Any, x: str) -> str:
    return g.add("Pow", x, number(g, f, f.exponent))


def expm1(g: Writer, f: Any, x: str) -> str:
    """e^x - 1 = 2 e^(x/2) sinh(x/2), which keeps its digits near 0."""
    half = g.add("Mul", x, number(g, f, 0.5))
    product = g.add("Mul", g.add("Exp", half), g.add("Sinh", half))
    return g.add("Mul", product, number(g, f, 2))


def log1p(g: Writer, f: Any, x: str) -> str:
    """log(w) x / (w - 1) with w = 1 + x as it is rounded, and x where w is 1 (Kahan)."""
    one = number(g, f, 1)
    w = g.add("Add", x, one)
    safe = g.add("Where", g.add("Equal", w, one), number(g, f, 2), w)
    ratio = g.add("Div", x, g.add("Sub", safe, one))
    return g.add("Where", g.add("Equal", w, one), x, g.add("Mul", g.add("Log", safe), ratio))


def rsqrt(g: Writer, f: Any, x: str) -> str:
    return g.add("Reciprocal", g.add("Sqrt", x))


def square(g: Writer, f: Any, x: str) -> str:
    return g.add("Mul", x, x)


def staircase(g: Writer, f: Any, x: str) -> str:
    return g.add({"rint": "Round"}.get(f.name, f.name.capitalize()), x)


def clamp(g: Writer, f: Any, x: str) -> str:
    """A low bound above the high one: the high one, as in minidl, whatever Clip does then."""
    low, high = ("" if bound is None else number(g, f, bound) for bound in (f.low, f.high))
    if f.low is not None and f.high is not None and f.low > f.high:
        return g.add("Min", g.add("Max", x, low), high)
    return g.add("Clip", x, low, high)


def relu6(g: Writer, f: Any, x: str) -> str:
    return g.add("Clip", x, number(g, f, 0), number(g, f, 6))


def cast(g: Writer, f: Any, x: str) -> str:
    from onnx.helper import np_dtype_to_tensor_dtype

    return g.add("Cast", x, to=np_dtype_to_tensor_dtype(f.dtype))


def leaky_relu(g: Writer, f: Any, x: str) -> str:
    return g.add("LeakyRelu", x, alpha=f.negative_slope)


def softplus(g: Writer, f: Any, x: str) -> str:
    """log(1 + e^(beta x)) / beta; above the threshold x, where the two still differ by digits."""
    z = x if f.beta == 1 else g.add("Mul", x, number(g, f, f.beta))
    y = g.add("Softplus", z)
    y = y if f.beta == 1 else g.add("Div", y, number(g, f, f.beta))
    if f.threshold >= 20:
        return y
    return g.add("Where", g.add("Greater", z, number(g, f, f.threshold)), x, y)


def along(operator: str) -> Callable:
    """softmax and log_softmax."""
    return lambda g, f, x: g.add(operator, x, axis=int(f.dim))


EXPORTERS = {
    AtLeast: same("Max"), AtMost: same("Min"),
    arithmetic.Add: same("Add"), arithmetic.Sub: same("Sub"), arithmetic.Mul: same("Mul"),
    arithmetic.Div: same("Div"), arithmetic.Neg: same("Neg"), arithmetic.Pow: same("Pow"),
    arithmetic.PowNumber: pow_number, casting.Cast: cast, casting.Clone: same("Identity"),
    casting.Transfer: same("Identity"), Clamp: clamp, Contiguous: same("Identity"),
    elementary.Abs: same("Abs"), elementary.Cos: same("Cos"), elementary.Exp: same("Exp"),
    elementary.Expm1: expm1, elementary.Log: same("Log"), elementary.Log1p: log1p,
    elementary.Rsqrt: rsqrt, elementary.Sin: same("Sin"), elementary.Sqrt: same("Sqrt"),
    elementary.Square: square, elementary.Staircase: staircase, extremes.Maximum: same("Max"),
    extremes.Minimum: same("Min"), LeakyReLU: leaky_relu, LogSoftmax: along("LogSoftmax"),
    ReLU: same("Relu"), ReLU6: relu6, Sigmoid: same("Sigmoid"), Softmax: along("Softmax"),
    Softplus: softplus, Tanh: same("Tanh"), Where: same("Where"),
}  # fmt: skip
