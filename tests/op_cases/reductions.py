import numpy as np

import minidl
from minidl.creation import arange, ones, zeros
from minidl.errors import ArgumentError, DtypeError
from tests.op_cases.case import BadCase, Case, distinct, normal, twin
from tests.oracles import onnx

x = normal(2, 3, 4)
with_zeros = np.where(np.abs(x) < 0.7, 0.0, x)
ties = np.array([[1.0, 3.0, 3.0], [2.0, -1.0, 2.0]])
inf = float("inf")


def dims(name, inputs, operator=None, **options):
    """Everything, one dimension, several with keepdim, and a number."""
    oracle = {
        form: onnx(operator, **attributes) if operator else None
        for form, attributes in {
            "all": {"keepdims": 0},
            "one": {"axes": [1], "keepdims": 0},
            "two": {"axes": [0, 2], "keepdims": 1},
        }.items()
    }
    return [
        twin(name, "all", lambda lib, x: getattr(lib, name)(x), inputs, oracle=oracle["all"],
             **options),
        twin(name, "one", lambda lib, x: getattr(x, name)(dim=-2), inputs, oracle=oracle["one"],
             **options),
        twin(name, "two", lambda lib, x: getattr(x, name)(dim=(0, -1), keepdim=True), inputs,
             oracle=oracle["two"], **options),
    ]  # fmt: skip


def with_place(name, dim):
    """Values and their places: ONNX has them as two operators."""
    values = onnx(f"Reduce{name}", axes=[dim], keepdims=0)
    places = onnx(f"Arg{name}", axis=dim, keepdims=0)
    return lambda x: values(x) + places(x)


CASES = [
    *dims("sum", x),
    twin("sum", "middle", lambda lib, x: lib.sum(x, 1), x,
         oracle=onnx("ReduceSum", constants=([1],), keepdims=0)),
    *dims("mean", x, "ReduceMean"),
    *dims("var", x),
    *dims("std", x),
    *dims("amax", distinct(2, 3, 4), "ReduceMax"),
    *dims("amin", distinct(2, 3, 4), "ReduceMin"),
    *dims("norm", x, "ReduceL2"),
    twin("sum", "0d", lambda lib, x: x.sum(), np.array(2.0)),
    twin("sum", "empty", lambda lib, x: x.sum(0), normal(0, 3)),
    twin("mean", "0d", lambda lib, x: x.mean(dim=-1), np.array(2.0)),
    twin("prod", "all", lambda lib, x: lib.prod(x), x),
    twin("prod", "one", lambda lib, x: x.prod(1), x,
         oracle=onnx("ReduceProd", axes=[1], keepdims=0)),
    twin("prod", "keepdim", lambda lib, x: x.prod(dim=0, keepdim=True), x),
    twin("prod", "zeros", lambda lib, x: x.prod(dim=2), with_zeros),
    twin("sum", "no-dim", lambda lib, x: x.sum(()), x),
    twin("amax", "no-dim", lambda lib, x: x.amax((), keepdim=True), x),
    twin("var", "more-correction-than-values", lambda lib, x: x.var(0, correction=2), x,
         gradient=False),
    twin("var", "biased", lambda lib, x: x.var(1, False, True), x),
    twin("var", "correction", lambda lib, x: lib.var(x, dim=2, correction=2), x),
    twin("var", "one-value-biased", lambda lib, x: x.var(dim=0, unbiased=False), x[:1]),
    twin("std", "correction", lambda lib, x: lib.std(x, dim=0, correction=0, keepdim=True), x),
    twin("std", "constant", lambda lib, x: x.std(dim=1), np.ones((2, 3)), smooth=False),
    twin("max", "all", lambda lib, x: lib.max(x), distinct(3, 4),
         oracle=onnx("ReduceMax", keepdims=0)),
    twin("max", "dim", lambda lib, x: lib.max(x, dim=1), distinct(2, 3, 4),
         oracle=with_place("Max", 1)),
    twin("max", "keepdim", lambda lib, x: x.max(-1, keepdim=True), distinct(2, 3, 4)),
    twin("max", "two-tensors", lambda lib, x, y: lib.max(x, y), x, normal(3, 1, seed=4),
         oracle=onnx("Max")),
    twin("max", "ties-share", lambda lib, x: x.max(), ties, smooth=False),
    twin("max", "ties-first", lambda lib, x: x.max(1), ties, smooth=False),
    twin("max", "0d", lambda lib, x: x.max(0), np.array(2.0)),
    twin("min", "all", lambda lib, x: lib.min(x), distinct(3, 4),
         oracle=onnx("ReduceMin", keepdims=0)),
    twin("min", "dim", lambda lib, x: x.min(0), distinct(2, 3, 4), oracle=with_place("Min", 0)),
    twin("min", "ties-share", lambda lib, x: x.min(), -ties, smooth=False),
    twin("amax", "ties-share", lambda lib, x: x.amax(1), ties, smooth=False),
    twin("amin", "ties-share", lambda lib, x: x.amin((0, 1)), -ties, smooth=False),
    twin("argmax", "all", lambda lib, x: x.argmax(), distinct(3, 4), gradient=False),
    twin("argmax", "dim", lambda lib, x: lib.argmax(x, 1), distinct(3, 4), gradient=False,
         oracle=onnx("ArgMax", axis=1, keepdims=0)),
    twin("argmax", "ties", lambda lib, x: x.argmax(1, keepdim=True), ties, gradient=False),
    twin("argmin", "dim", lambda lib, x: lib.argmin(x, 0), distinct(3, 4), gradient=False,
         oracle=onnx("ArgMin", axis=0, keepdims=0)),
    twin("logsumexp", "one", lambda lib, x: lib.logsumexp(x, 1), x,
         oracle=onnx("ReduceLogSumExp", axes=[1], keepdims=0)),
    twin("logsumexp", "two", lambda lib, x: x.logsumexp((0, 2), True), x),
    twin("logsumexp", "large", lambda lib, x: x.logsumexp(0), 1000 + x),
    twin("norm", "p1", lambda lib, x: lib.norm(x, 1), x, oracle=onnx("ReduceL1", keepdims=0)),
    twin("norm", "p3", lambda lib, x: lib.norm(x, p=3, dim=1), x),
    twin("norm", "inf", lambda lib, x: x.norm(inf, dim=2, keepdim=True), distinct(2, 3, 4) + 0.02),
    twin("norm", "zero", lambda lib, x: x.norm(), np.zeros(3), smooth=False),
    twin("cumsum", "middle", lambda lib, x: lib.cumsum(x, 1), x,
         oracle=onnx("CumSum", constants=(np.int64(1),))),
    twin("cumsum", "last", lambda lib, x: x.cumsum(-1), x),
]  # fmt: skip

# PyTorch's gradient of the second row is NaN.
CASES.append(
    Case("logsumexp", "minus-infinity", lambda x: minidl.logsumexp(x, 1),
         [np.array([[-inf, 1.0], [-inf, -inf]])], smooth=False,
         oracle=lambda x: [np.array([1, -inf], np.float32)])
)  # fmt: skip

BAD_CASES = [
    BadCase("sum", "dim", lambda: ones(2, 3).sum(2), ArgumentError, ["from -2 to 1", "dim  2"]),
    BadCase("sum", "dim-bool", lambda: ones(2, 3).sum(True), ArgumentError, ["dim is an int"]),
    BadCase("sum", "dim-twice", lambda: ones(2, 3).sum((0, -2)), ArgumentError, ["once"]),
    BadCase("sum", "two-dims", lambda: ones(2, 3).sum(0, 1), ArgumentError, ["dim=(0, 1)"]),
    BadCase("max", "keepdim", lambda: ones(2, 3).max(0, None), ArgumentError, ["is a bool"]),
    BadCase("any", "keepdim", lambda: ones(2, 3).any(0, 1), ArgumentError, ["is a bool"]),
    BadCase("std", "unbiased", lambda: ones(3).std(0, "no"), ArgumentError, ["'no'"]),
    BadCase("allclose", "text", lambda: ones(3).allclose(ones(3), "no"), DtypeError, ["'no'"]),
    BadCase("sum", "none", lambda: minidl.sum(None), DtypeError, ["must be a Tensor", "None"]),
    BadCase("mean", "integers", lambda: arange(3).mean(), DtypeError, ["input.float()"]),
    BadCase("var", "correction", lambda: ones(3).var(correction=-1), ArgumentError, [">= 0"]),
    BadCase("norm", "p", lambda: ones(3).norm(p="nuc"), ArgumentError, ["'nuc'"]),
    BadCase("max", "empty", lambda: zeros(0, 3).max(0), ArgumentError, ["nothing", "(0, 3)"]),
    BadCase("argmax", "empty", lambda: zeros(0).argmax(), ArgumentError, ["nothing to select"]),
    BadCase("amin", "empty", lambda: zeros(2, 0).amin(1), ArgumentError, ["nothing to reduce"]),
    BadCase("logsumexp", "empty", lambda: zeros(2, 0).logsumexp(1), ArgumentError, ["nothing"]),
    BadCase("cumsum", "dim", lambda: ones(2).cumsum("x"), ArgumentError, ["'x'"]),
    BadCase("prod", "array", lambda: minidl.prod(x), DtypeError, ["must be a Tensor"]),
]  # fmt: skip
