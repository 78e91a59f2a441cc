import numpy as np

from minidl.creation import arange, ones
from minidl.errors import DtypeError
from minidl.nn.functional import tanh
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, x):
    return Case("tanh", name, tanh, [x], oracle=onnx("Tanh"), torch=lambda torch, x: torch.tanh(x))


CASES = [
    case("4d", normal(2, 3, 4, 5)),
    case("0d", np.array(0.7)),
    case("large", np.array([-1e4, -20.0, 20.0, 1e4])),
]

BAD_CASES = [
    BadCase("tanh", "integers", lambda: tanh(arange(3)), DtypeError, ["floating-point", "int64"]),
    BadCase("tanh", "array", lambda: tanh(ones(3).data), DtypeError, ["must be a Tensor"]),
]
