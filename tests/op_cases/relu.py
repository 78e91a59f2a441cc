import numpy as np

from minidl.creation import arange, ones
from minidl.errors import DtypeError
from minidl.nn.functional import relu
from tests.op_cases.case import BadCase, Case, distinct, normal
from tests.oracles import onnx


def case(name, x):
    return Case(
        "relu", name, relu, [x], oracle=onnx("Relu"),
        torch=lambda torch, x: torch.nn.functional.relu(x),
    )  # fmt: skip


CASES = [
    case("4d", distinct(2, 3, 4, 5)),
    case("1d", distinct(8)),
    case("0d", np.array(-0.7)),
    case("batch-zero", normal(0, 3)),
    # The kink has no two-sided difference, so gradcheck does not apply; test_pytorch compares.
    Case(
        "relu",
        "ties",
        relu,
        [np.array([0.0, -0.0, 1.0])],
        oracle=onnx("Relu"),
        torch=lambda torch, x: torch.nn.functional.relu(x),
        smooth=False,
    ),
    Case(
        "relu",
        "nan",
        relu,
        [np.array([np.nan, -1.0, 2.0, np.nan])],
        oracle=onnx("Relu"),
        torch=lambda torch, x: torch.nn.functional.relu(x),
        smooth=False,
    ),
]

BAD_CASES = [
    BadCase("relu", "integers", lambda: relu(arange(3)), DtypeError, ["floating-point", "int64"]),
    BadCase("relu", "array", lambda: relu(ones(3).data), DtypeError, ["must be a Tensor"]),
]
