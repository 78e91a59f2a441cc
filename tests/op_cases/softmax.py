import numpy as np

from minidl.creation import arange, ones, zeros
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import log_softmax, softmax
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx

FUNCTIONS = {"softmax": (softmax, "Softmax"), "log_softmax": (log_softmax, "LogSoftmax")}


def cases(name, x, dim):
    """The same case for softmax and log_softmax."""

    def twin(op):
        return lambda torch, x: getattr(torch, op)(x, dim)

    def ours(function):
        return lambda x: function(x, dim)

    return [
        Case(op, name, ours(function), [x], oracle=onnx(operator, axis=dim), torch=twin(op))
        for op, (function, operator) in FUNCTIONS.items()
    ]


CASES = [
    *cases("last", 3 * normal(3, 5), -1),
    *cases("first", 3 * normal(3, 5), 0),
    *cases("channels", normal(2, 3, 4, 5), 1),
    *cases("1d", normal(6), 0),
    *cases("one-class", normal(3, 1), 1),
    *cases("ties", np.zeros((2, 3)), 1),
    *cases("large", np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4 + 1], [1e4, 1e4, 1e4]]), 1),
    *cases("batch-zero", normal(0, 3), 1),
]

BAD_CASES = [
    bad
    for op, (function, _) in FUNCTIONS.items()
    for bad in [
        BadCase(
            op, "dim", lambda f=function: f(ones(2, 3), 2), ArgumentError, ["from -2 to 1", "2"]
        ),
        BadCase(op, "0d", lambda f=function: f(zeros(1)[0], 0), ShapeError, ["dimension"]),
        BadCase(op, "empty", lambda f=function: f(ones(2, 0), 1), ShapeError, ["is empty"]),
        BadCase(op, "integers", lambda f=function: f(arange(3), 0), DtypeError, ["int64"]),
        BadCase(op, "array", lambda f=function: f(ones(3).data, 0), DtypeError, ["a Tensor"]),
    ]
]
