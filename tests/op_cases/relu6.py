import numpy as np

from minidl.creation import arange, ones
from minidl.errors import DtypeError
from minidl.nn.functional import relu6
from tests.op_cases.case import BadCase, Case, distinct, normal
from tests.oracles import onnx


def case(name, x, smooth=True):
    return Case(
        "relu6", name, relu6, [x], smooth=smooth,
        oracle=onnx("Clip", constants=(np.float32(0), np.float32(6))),
        torch=lambda torch, x: torch.nn.functional.relu6(x),
    )  # fmt: skip


CASES = [
    case("4d", distinct(2, 3, 4, 6)),  # from -7 to 7
    case("1d", distinct(8) + 6),
    case("0d", np.array(6.7)),
    case("batch-zero", normal(0, 3)),
    # The kinks have no two-sided difference, so gradcheck does not apply; test_pytorch compares.
    case("ties", np.array([0.0, -0.0, 6.0, 1.0]), smooth=False),
    case("not-finite", np.array([np.nan, -1.0, 2.0, np.inf, -np.inf, np.nan]), smooth=False),
]

BAD_CASES = [
    BadCase("relu6", "integers", lambda: relu6(arange(3)), DtypeError, ["floating-point", "int64"]),
    BadCase("relu6", "array", lambda: relu6(ones(3).data), DtypeError, ["must be a Tensor"]),
]
