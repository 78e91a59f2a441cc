import numpy as np

from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError
from minidl.nn.functional import softplus
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, x, beta=1.0, threshold=20.0):
    plain = beta == 1 and threshold >= 20  # what ONNX has
    return Case(
        "softplus",
        name,
        lambda x: softplus(x, beta, threshold),
        [x],
        oracle=onnx("Softplus") if plain else None,
        torch=lambda torch, x: torch.nn.functional.softplus(x, beta, threshold),
    )


CASES = [
    case("4d", 3 * normal(2, 3, 4, 5)),
    case("beta", normal(3, 4), beta=2.5),
    case("beta-negative", normal(3, 4), beta=-2),
    case("threshold", 2 * normal(3, 4), beta=2, threshold=1),  # on both sides of it
    case("large", np.array([-1e4, -100.0, 19.0, 21.0, 100.0, 1e4])),
    case("0d", np.array(0.7)),
]

BAD_CASES = [
    BadCase("softplus", "integers", lambda: softplus(arange(3)), DtypeError, ["int64"]),
    BadCase("softplus", "array", lambda: softplus(ones(3).data), DtypeError, ["must be a Tensor"]),
    BadCase("softplus", "beta", lambda: softplus(ones(3), 0), ArgumentError, ["beta", "0"]),
    BadCase(
        "softplus", "threshold", lambda: softplus(ones(3), 1, None), ArgumentError, ["threshold"]
    ),
]
