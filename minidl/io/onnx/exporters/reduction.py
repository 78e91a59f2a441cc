"""Reductions, and what is made of them: variance, norms, distances."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.io.onnx.writer import Writer
from minidl.ops.cosine_similarity import CosineSimilarity
from minidl.ops.minibatch_std import MinibatchStd
from minidl.ops.norm import Norm
from minidl.ops.normalize import Normalize
from minidl.ops.pairwise_distance import PairwiseDistance
from minidl.ops.reductions import CumSum, LogSumExp, Mean, Prod, Sum
from minidl.ops.selection import Extreme, Select
from minidl.ops.variance import Std, Var


def reduction(operator: str) -> Callable:
    """The exporter of a Reduction that is one operator."""
    return lambda g, f, x: g.reduce(operator, x, f.axes, f.keepdim)


def extreme(g: Writer, f: Any, x: str) -> str:
    return g.reduce({"max": "ReduceMax", "min": "ReduceMin"}[f.name], x, f.axes, f.keepdim)


def select(g: Writer, f: Any, x: str) -> list[str]:
    """The values; where they are, argmax and argmin say."""
    operator = {"max": "ReduceMax", "min": "ReduceMin"}[f.name]
    return [g.reduce(operator, x, [f.axis], f.keepdim)]


def cumsum(g: Writer, f: Any, x: str) -> str:
    return g.add("CumSum", x, g.constant(np.array(f.axis)))


def number(g: Writer, f: Any, value: float) -> str:
    return g.constant(value, f.inputs[0].dtype)


def var(g: Writer, f: Any, x: str) -> str:
    centered = g.add("Sub", x, g.reduce("ReduceMean", x, f.axes))
    total = g.reduce("ReduceSum", g.add("Mul", centered, centered), f.axes, f.keepdim)
    return g.add("Mul", total, number(g, f, f.scale))


def std(g: Writer, f: Any, x: str) -> str:
    return g.add("Sqrt", var(g, f, x))


def minibatch_std(g: Writer, f: Any, x: str) -> str:
    """For as many pictures as the Function was given."""
    N, _, H, W = f.inputs[0].shape
    centered = g.add("Sub", x, g.reduce("ReduceMean", x, [0]))
    deviation = g.add("Sqrt", g.reduce("ReduceMean", g.add("Mul", centered, centered), [0]))
    spread = g.reduce("ReduceMean", deviation, range(4))
    return g.add("Concat", x, g.add("Expand", spread, g.ints(N, 1, H, W)), axis=1)


def p_norm(g: Writer, f: Any, x: str, p: float, axes: Any, keepdim: bool) -> str:
    """(sum |x|^p)^(1/p)."""
    if p in (1, 2):
        return g.reduce(f"ReduceL{int(p)}", x, axes, keepdim)
    size = g.add("Abs", x)
    if p == math.inf:
        return g.reduce("ReduceMax", size, axes, keepdim)
    total = g.reduce("ReduceSum", g.add("Pow", size, number(g, f, p)), axes, keepdim)
    return g.add("Pow", total, number(g, f, 1 / p))


def norm(g: Writer, f: Any, x: str) -> str:
    return p_norm(g, f, x, f.p, f.axes, f.keepdim)


def unit(g: Writer, f: Any, x: str, p: float, dim: int, eps: float) -> str:
    """x over its length, which counts as at least eps."""
    length = p_norm(g, f, x, p, [dim], True)
    return g.add("Div", x, g.add("Max", length, number(g, f, eps)))


def normalize(g: Writer, f: Any, x: str) -> str:
    return unit(g, f, x, f.p, f.dim, f.eps)


def cosine_similarity(g: Writer, f: Any, a: str, b: str) -> str:
    a, b = (unit(g, f, v, 2, f.dim, f.eps) for v in (a, b))
    return g.reduce("ReduceSum", g.add("Mul", a, b), [f.dim], False)


def pairwise_distance(g: Writer, f: Any, a: str, b: str) -> str:
    difference = g.add("Add", g.add("Sub", a, b), number(g, f, f.eps))
    return p_norm(g, f, difference, f.p, [-1], f.keepdim)


EXPORTERS = {
    CosineSimilarity: cosine_similarity, CumSum: cumsum, Extreme: extreme,
    LogSumExp: reduction("ReduceLogSumExp"), Mean: reduction("ReduceMean"),
    MinibatchStd: minibatch_std, Norm: norm,
    Normalize: normalize, PairwiseDistance: pairwise_distance, Prod: reduction("ReduceProd"),
    Select: select, Std: std, Sum: reduction("ReduceSum"), Var: var,
}  # fmt: skip
