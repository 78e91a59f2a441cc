import numpy as np

from minidl.creation import arange, ones
from minidl.errors import DtypeError, ShapeError
from minidl.nn.functional import minibatch_std
from tests.op_cases.case import BadCase, Case, normal


def in_torch(torch, x):
    N, _, H, W = x.shape
    spread = x.std(0, correction=0).mean()
    return torch.cat([x, spread.expand(N, 1, H, W)], 1)


def case(name, x, **options):
    return Case("minibatch_std", name, minibatch_std, [x], torch=in_torch, **options)


CASES = [
    case("plain", normal(3, 4, 2, 5)),
    case("far-from-0", 1000 + normal(4, 2, 3, 2)),
    case("one-pixel", normal(5, 1, 1, 1)),
    case("one-picture", normal(1, 2, 3, 2), smooth=False),
    case("equal-in-places", normal(3, 2, 2, 2) * [0.0, 1.0], smooth=False),
]

BAD_CASES = [
    BadCase("minibatch_std", "3d", lambda: minibatch_std(ones(2, 3, 4)), ShapeError, ["(2, 3, 4)"]),
    BadCase(
        "minibatch_std", "integers", lambda: minibatch_std(arange(4).reshape(1, 1, 2, 2)),
        DtypeError, ["int64"],
    ),
    BadCase(
        "minibatch_std", "array", lambda: minibatch_std(np.ones((1, 1, 1, 1))), DtypeError,
        ["a Tensor"],
    ),
]  # fmt: skip
