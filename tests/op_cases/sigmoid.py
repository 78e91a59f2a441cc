import numpy as np

from minidl.creation import arange, ones
from minidl.errors import DtypeError
from minidl.nn.functional import sigmoid
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, x, rtol=1e-5):
    return Case(
        "sigmoid", name, sigmoid, [x], oracle=onnx("Sigmoid"),
        torch=lambda torch, x: torch.sigmoid(x), rtol=rtol,
    )  # fmt: skip


CASES = [
    case("4d", 3 * normal(2, 3, 4, 5)),
    case("0d", np.array(0.7)),
    case("large", np.array([-1e4, -100.0, -20.0, 20.0, 100.0, 1e4])),
]

BAD_CASES = [
    BadCase("sigmoid", "integers", lambda: sigmoid(arange(3)), DtypeError, ["int64"]),
    BadCase("sigmoid", "array", lambda: sigmoid(ones(3).data), DtypeError, ["must be a Tensor"]),
]
