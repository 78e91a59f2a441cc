from functools import partial

from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import adaptive_avg_pool2d
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, x, output_size, oracle=None):
    return Case(
        "adaptive_avg_pool2d",
        name,
        lambda x: adaptive_avg_pool2d(x, output_size),
        [normal(*x)],
        oracle=oracle,
        torch=lambda torch, x: torch.nn.functional.adaptive_avg_pool2d(x, output_size),
    )


CASES = [
    case("global", (2, 3, 5, 4), 1, oracle=onnx("GlobalAveragePool")),
    case("even-bins", (2, 2, 6, 8), (3, 2)),
    case("overlapping-bins", (1, 2, 7, 5), (3, 4)),
    case("larger-output", (1, 2, 2, 3), (5, 7)),
    case("one-size-given", (2, 1, 4, 5), (None, 2)),
    case("size-one", (1, 1, 1, 1), (1, 1)),
    case("batch-zero", (0, 2, 3, 4), 2),
]

x = ones(1, 3, 4, 6)
bad = partial(BadCase, "adaptive_avg_pool2d")
BAD_CASES = [
    bad("ndim", lambda: adaptive_avg_pool2d(ones(8, 8), 2), ShapeError, ["4 dimensions"]),
    bad("zero", lambda: adaptive_avg_pool2d(x, 0), ArgumentError, ["output_size", ">= 1"]),
    bad("float", lambda: adaptive_avg_pool2d(x, (2, 1.5)), ArgumentError, ["(2, 1.5)"]),
    bad("three", lambda: adaptive_avg_pool2d(x, (2, 2, 2)), ArgumentError, ["pair"]),
    bad("no-pixels", lambda: adaptive_avg_pool2d(ones(1, 1, 0, 5), 1), ShapeError, ["no pixels"]),
    bad(
        "integers", lambda: adaptive_avg_pool2d(arange(9).reshape(1, 1, 3, 3), 2), DtypeError,
        ["floating-point", "int64"],
    ),
    bad("array", lambda: adaptive_avg_pool2d(x.data, 2), DtypeError, ["must be a Tensor"]),
]  # fmt: skip
