import numpy as np

from minidl.creation import arange, ones
from minidl.errors import DtypeError
from minidl.nn.functional import leaky_relu
from tests.op_cases.case import BadCase, Case, distinct
from tests.oracles import onnx


def case(name, x, negative_slope, smooth=True):
    return Case(
        "leaky_relu",
        name,
        lambda x: leaky_relu(x, negative_slope),
        [x],
        oracle=onnx("LeakyRelu", alpha=float(negative_slope)),
        torch=lambda torch, x: torch.nn.functional.leaky_relu(x, negative_slope),
        smooth=smooth,
    )


CASES = [
    case("4d", distinct(2, 3, 4, 5), 0.3),
    case("negative-slope", distinct(8), -0.5),
    case("slope-above-1", distinct(8), 2),
    case("0d", np.array(-0.7), 0.01),
    case("ties", np.array([0.0, -0.0, 1.0]), 0.25, smooth=False),
]

BAD_CASES = [
    BadCase("leaky_relu", "integers", lambda: leaky_relu(arange(3)), DtypeError, ["int64"]),
    BadCase("leaky_relu", "array", lambda: leaky_relu(ones(3).data), DtypeError, ["a Tensor"]),
    BadCase(
        "leaky_relu", "slope", lambda: leaky_relu(ones(3), "0.1"), DtypeError, ["number", "'0.1'"]
    ),
]
