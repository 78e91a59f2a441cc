"""The draws themselves are tested in tests/nn/test_dropout.py."""

import minidl
from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import dropout, dropout2d
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, shape, p=0.4, function=dropout, training=True):
    def call(x):
        minidl.manual_seed(11)  # the same mask every time: a gradient check calls often
        return function(x, p, training)

    torch = None
    if p in (0, 1) or not training:  # nothing is random, so PyTorch must agree

        def torch(torch, x):
            return getattr(torch.nn.functional, function.__name__)(x, p, training)

    oracle = None if training else onnx("Dropout")
    return Case("dropout", name, call, [normal(*shape)], oracle=oracle, torch=torch)


CASES = [
    case("4d", (2, 3, 3, 5)),
    case("2d", (5, 7), p=0.7),
    case("1d", (9,)),
    case("0d", ()),
    case("p-zero", (3, 4), p=0),
    case("p-one", (3, 4), p=1),
    case("evaluation", (3, 4), training=False),
    case("batch-zero", (0, 3, 2, 2)),
    case("channels", (3, 4, 2, 3), function=dropout2d),
    case("channels-p-one", (3, 4, 2, 3), p=1.0, function=dropout2d),
    case("channels-evaluation", (3, 4, 2, 3), function=dropout2d, training=False),
]

x = ones(2, 3)
BAD_CASES = [
    BadCase("dropout", "p-above-one", lambda: dropout(x, 1.5),
            ArgumentError, ["from 0 to 1", "1.5"]),
    BadCase("dropout", "p-nan", lambda: dropout(x, float("nan")), ArgumentError, ["nan"]),
    BadCase("dropout", "p-text", lambda: dropout(x, "0.5"), ArgumentError, ["'0.5'"]),
    BadCase("dropout", "p-in-evaluation", lambda: dropout(x, -1, training=False),
            ArgumentError, ["-1"]),
    BadCase("dropout", "integers", lambda: dropout(arange(3)), DtypeError, ["int64"]),
    BadCase("dropout", "array", lambda: dropout(x.data), DtypeError, ["must be a Tensor"]),
    BadCase("dropout", "channels-ndim", lambda: dropout2d(x),
            ShapeError, ["4 dimensions", "(2, 3)"]),
]  # fmt: skip
