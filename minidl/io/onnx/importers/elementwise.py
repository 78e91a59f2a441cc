"""Operators that work element by element: arithmetic, comparisons, activation functions."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from minidl import ops
from minidl.device import array_module
from minidl.io.onnx.importers.precision import in_float32
from minidl.io.onnx.node import Node
from minidl.nn import functional as F
from minidl.ops import casting
from minidl.tensor import Tensor


def unary(function: Callable) -> Callable:
    """The operator that is one of minidl's functions of one tensor."""
    return lambda node, x: function(x)


def binary(function: Callable) -> Callable:
    """The operator that is one of minidl's functions of two tensors; stretched as ONNX does."""
    return lambda node, a, b: function(a, aligned(node, a, b))


def aligned(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """b as it broadcasts with a: before operator set 7, `axis` says where its dimensions lie."""
    if node.opset >= 7 or not node.get("broadcast", 0) or "axis" not in node.attributes:
        return b
    axis = node.get("axis", 0) % max(a.ndim, 1)
    return b.reshape(*b.shape, *(1,) * (a.ndim - axis - b.ndim))


def variadic(function: Callable) -> Callable:
    """The operator that takes any number of tensors, two at a time."""
    return lambda node, *xs: functools.reduce(function, xs)


# --- arithmetic ---------------------------------------------------------------------------------


def div(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Integers are divided towards 0."""
    b = aligned(node, a, b)
    if a.dtype.kind == "f":
        return a / b
    if not b.data.all():
        node.refuse("integers cannot be divided by 0")
    xp = array_module(a.data)
    return Tensor((a.data - xp.fmod(a.data, b.data)) // b.data)


def pow_(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """The result has the type of the base."""
    b = aligned(node, a, b)
    if a.dtype != b.dtype and a.dtype.kind in "iu":
        return Tensor(np.power(a.data, b.data).astype(a.dtype))
    return ops.pow(a, b.to(a.dtype)).to(a.dtype)


def mod(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """With fmod the sign of a, else the sign of b."""
    if not node.get("fmod", 0):
        return ops.remainder(a, b)
    if a.dtype.kind != "f":
        return Tensor(np.fmod(a.data, b.data))
    return ops.sign(a) * ops.remainder(ops.abs(a), ops.abs(b))  # exact, unlike a - b trunc(a / b)


def mean(node: Node, *xs: Tensor) -> Tensor:
    return functools.reduce(ops.add, xs) / len(xs)


def bit_shift(node: Node, a: Tensor, b: Tensor) -> Tensor:
    left = node.choice("direction", "", ("LEFT", "RIGHT")) == "LEFT"
    return Tensor(a.data << b.data if left else a.data >> b.data)


def cast(node: Node, x: Tensor) -> Tensor:
    return convert(x, node.dtype(node.required("to")))


def cast_like(node: Node, x: Tensor, like: Tensor) -> Tensor:
    return convert(x, like.dtype)


def bit_cast(node: Node, x: Tensor) -> Tensor:
    """The same bits read as another type of the same size."""
    dtype = node.dtype(node.required("to"))
    if dtype.itemsize != x.dtype.itemsize:
        node.refuse("the types have elements of different sizes", {"x": x, "to": str(dtype)})
    return Tensor(np.ascontiguousarray(x.data).view(dtype).reshape(x.shape))


def convert(x: Tensor, dtype: np.dtype) -> Tensor:
    with np.errstate(invalid="ignore", over="ignore"):  # what no integer holds is undefined
        return casting.cast(x, dtype)


def clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Bounds are attributes before operator set 11, then tensors."""
    low = node.get("min") if low is None else low.data.reshape(()).item()
    high = node.get("max") if high is None else high.data.reshape(()).item()
    if low is not None:
        x = ops.maximum(x, low) if x.dtype.kind != "f" else x
    if x.dtype.kind != "f":
        return x if high is None else ops.minimum(x, high)
    if (low, high) == (0, 6):
        return F.relu6(x)  # which differs from clamp in the gradient at the bounds and NaN alone
    return x if low is None and high is None else ops.clamp(x, low, high)


def is_inf(node: Node, x: Tensor) -> Tensor:
    positive = ops.logical_and(ops.isinf(x), x > 0)
    negative = ops.logical_and(ops.isinf(x), x < 0)
    found = ops.logical_and(ops.isinf(x), ops.isnan(x))  # none
    if node.get("detect_positive", 1):
        found = ops.logical_or(found, positive)
    if node.get("detect_negative", 1):
        found = ops.logical_or(found, negative)
    return found


def logical(function: Callable) -> Callable:
    """Of bools; before operator set 7 with the old rule of broadcasting."""
    return binary(function)


# --- activation functions -----------------------------------------------------------------------


def leaky_relu(node: Node, x: Tensor) -> Tensor:
    return F.leaky_relu(x, node.get("alpha", 0.01))


def p_relu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    """The slope is per channel before operator set 7, then it broadcasts."""
    if node.opset < 7 and slope.ndim == 1 and slope.numel() > 1:
        slope = slope.reshape(-1, *(1,) * (x.ndim - 2))
    return ops.where(x > 0, x, slope * x)


def elu(node: Node, x: Tensor) -> Tensor:
    return negative_part(x, node.get("alpha", 1.0), 1.0)


def celu(node: Node, x: Tensor) -> Tensor:
    alpha = node.get("alpha", 1.0)
    return negative_part(x, alpha, 1 / alpha)


def selu(node: Node, x: Tensor) -> Tensor:
    alpha, gamma = node.get("alpha", 1.6732632), node.get("gamma", 1.05070098)
    return gamma * negative_part(x, alpha, 1.0)


def negative_part(x: Tensor, alpha: float, beta: float) -> Tensor:
    """x where positive, alpha (e^(beta x) - 1) elsewhere; no exponential of a large x."""
    return ops.where(x > 0, x, alpha * ops.expm1(beta * ops.minimum(x, 0)))


def hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return ops.clamp(node.get("alpha", 0.2) * x + node.get("beta", 0.5), 0, 1)


def hard_swish(node: Node, x: Tensor) -> Tensor:
    return x * ops.clamp(x / 6 + 0.5, 0, 1)


def mish(node: Node, x: Tensor) -> Tensor:
    return x * ops.tanh(F.softplus(x))


def swish(node: Node, x: Tensor) -> Tensor:
    return x * ops.sigmoid(node.get("alpha", 1.0) * x)


def softsign(node: Node, x: Tensor) -> Tensor:
    return x / (1 + ops.abs(x))


def thresholded_relu(node: Node, x: Tensor) -> Tensor:
    return ops.where(x > node.get("alpha", 1.0), x, zero_like(x))


def shrink(node: Node, x: Tensor) -> Tensor:
    lambd, bias = node.get("lambd", 0.5), node.get("bias", 0.0)
    inner = ops.where(x > lambd, x - bias, zero_like(x))
    return ops.where(x < -lambd, x + bias, inner).to(x.dtype)


def zero_like(x: Tensor) -> Tensor:
    """A zero of x's type; x * 0 would be NaN where x is infinite."""
    return Tensor(np.zeros((), x.dtype))


def softplus(node: Node, x: Tensor) -> Tensor:
    return F.softplus(x)


def cosh(node: Node, x: Tensor) -> Tensor:
    return (ops.exp(x) + ops.exp(-x)) / 2


def sinh(node: Node, x: Tensor) -> Tensor:
    """(e^x - e^-x) / 2 without cancellation near 0."""
    return (ops.expm1(x) - ops.expm1(-x)) / 2


LARGE = 1e8
"""From here on x^2 + 1 is x^2 in float64, too, and x^2 may be more than a float32 holds."""


def asinh(node: Node, x: Tensor) -> Tensor:
    """log(|x| + sqrt(x^2 + 1)) with x's sign, and log1p for what is small."""
    size = ops.abs(x)
    low = ops.minimum(size, LARGE)
    more = low * low / (1 + ops.sqrt(low * low + 1))  # sqrt(x^2 + 1) - 1 without cancellation
    return ops.sign(x) * ops.where(size < LARGE, ops.log1p(low + more), log_of_double(size))


def acosh(node: Node, x: Tensor) -> Tensor:
    """log(x + sqrt(x^2 - 1)); NaN below 1."""
    low = ops.minimum(x, LARGE)
    root = ops.sqrt(low - 1) * ops.sqrt(low + 1)
    return ops.where(x < LARGE, ops.log(low + root), log_of_double(x))


def log_of_double(x: Tensor) -> Tensor:
    """log(2 x), where x >= LARGE; of smaller ones something finite."""
    return ops.log(ops.maximum(x, LARGE)) + math.log(2)


def atanh(node: Node, x: Tensor) -> Tensor:
    return (ops.log1p(x) - ops.log1p(-x)) / 2


def relu(node: Node, x: Tensor) -> Tensor:
    return ops.relu(x) if x.dtype.kind == "f" else ops.maximum(x, 0)


def dropout(node: Node, x: Tensor, ratio: Tensor | None = None, mode: Tensor | None = None):
    """The identity, but in training: with the model's mode, or where the node itself says so."""
    p = node.get("ratio", 0.5) if ratio is None else float(ratio.data.reshape(()))
    training = node.training or (mode is not None and bool(mode.data.reshape(())))
    kept = Tensor(np.ones(x.shape, bool if node.opset >= 10 else x.dtype))
    if not training or p == 0:
        return x, kept
    # The mask comes from the same draws as the output: what dropout does to ones.
    mask = F.dropout(Tensor(np.ones(x.shape, x.dtype)), p)
    return x * mask, Tensor((mask.data != 0).astype(kept.dtype))


IMPORTERS = {
    "Acosh": in_float32(acosh), "Asinh": in_float32(asinh), "Atanh": atanh,
    "Abs": unary(ops.abs), "Add": binary(ops.add), "And": logical(ops.logical_and),
    "BitCast": bit_cast, "BitShift": bit_shift, "BitwiseAnd": binary(ops.bitwise_and),
    "BitwiseNot": unary(ops.bitwise_not), "BitwiseOr": binary(ops.bitwise_or),
    "BitwiseXor": binary(ops.bitwise_xor), "Cast": cast, "CastLike": cast_like,
    "Ceil": unary(ops.ceil), "Celu": celu, "Clip": clip, "Cos": unary(ops.cos), "Cosh": cosh,
    "Div": div, "Dropout": dropout, "Elu": elu, "Equal": binary(ops.eq), "Exp": unary(ops.exp),
    "Floor": unary(ops.floor), "Greater": binary(ops.gt), "GreaterOrEqual": binary(ops.ge),
    "HardSigmoid": hard_sigmoid, "HardSwish": hard_swish, "Identity": lambda node, x: x,
    "IsInf": is_inf, "IsNaN": unary(ops.isnan), "LeakyRelu": leaky_relu, "Less": binary(ops.lt),
    "LessOrEqual": binary(ops.le), "Log": unary(ops.log), "Max": variadic(ops.maximum),
    "Mean": mean, "Min": variadic(ops.minimum), "Mish": mish, "Mod": mod, "Mul": binary(ops.mul),
    "Neg": unary(ops.neg), "Not": unary(ops.logical_not), "Or": logical(ops.logical_or),
    "PRelu": p_relu, "Pow": pow_, "Reciprocal": lambda node, x: 1 / x, "Relu": relu,
    "Round": unary(ops.round), "Selu": selu, "Shrink": shrink, "Sigmoid": unary(ops.sigmoid),
    "Sign": unary(ops.sign), "Sin": unary(ops.sin), "Sinh": sinh, "Softplus": softplus,
    "Softsign": softsign, "Sqrt": unary(ops.sqrt), "Sub": binary(ops.sub),
    "Sum": variadic(ops.add), "Swish": swish, "Tan": lambda node, x: ops.sin(x) / ops.cos(x),
    "Tanh": unary(ops.tanh), "ThresholdedRelu": thresholded_relu,
    "Where": lambda node, c, a, b: ops.where(c, a, b), "Xor": logical(ops.logical_xor),
}  # fmt: skip
