"""normalize, cosine_similarity, pairwise_distance and cdist."""

import numpy as np

from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import cdist, cosine_similarity, normalize, pairwise_distance
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(function, name, inputs, smooth=True, oracle=None, **options):
    op = function.__name__

    def twin(torch, *tensors):
        theirs = torch.cdist if op == "cdist" else getattr(torch.nn.functional, op)
        return theirs(*tensors, **options)

    return Case(
        op, name, lambda *tensors: function(*tensors, **options), inputs,
        oracle=oracle, torch=twin, smooth=smooth,
    )  # fmt: skip


a, b = normal(3, 5), normal(3, 5, seed=1)
with_zero = a.copy()
with_zero[1] = 0

CASES = [
    case(normalize, "rows", [a], oracle=onnx("LpNormalization", axis=1, p=2)),
    case(normalize, "channels", [normal(2, 3, 4, 5)]),
    case(normalize, "p1", [a], p=1, dim=0, oracle=onnx("LpNormalization", axis=0, p=1)),
    case(normalize, "p3", [a], p=3.0, dim=-1),
    case(normalize, "below-eps", [np.array([[0.3, 0.4], [3, 4]])], eps=1.0),
    case(normalize, "zero-row", [with_zero], smooth=False),
    case(cosine_similarity, "rows", [a, b]),
    case(cosine_similarity, "channels", [normal(2, 3, 4, 5), normal(2, 3, 4, 5, seed=1)]),
    case(cosine_similarity, "all-pairs", [normal(3, 1, 5), normal(1, 4, 5, seed=1)], dim=-1),
    case(cosine_similarity, "more-dims", [normal(2, 3, 5), normal(5, seed=1)], dim=2),
    case(cosine_similarity, "1d", [normal(5), normal(5, seed=1)], dim=0),
    case(cosine_similarity, "zero-row", [with_zero, b], smooth=False),
    case(pairwise_distance, "p2", [a, b]),
    case(pairwise_distance, "p1-keepdim", [a, b], p=1.0, keepdim=True),
    case(pairwise_distance, "p3-eps", [a, b], p=3.0, eps=0.25),
    case(pairwise_distance, "broadcast", [normal(2, 3, 5), normal(5, seed=1)]),
    case(pairwise_distance, "equal", [a, a.copy()], smooth=False),
    case(pairwise_distance, "equal-no-eps", [a, a.copy()], eps=0.0, smooth=False),
    case(cdist, "p2", [normal(3, 5), normal(4, 5, seed=1)]),
    case(cdist, "p1", [normal(3, 5), normal(4, 5, seed=1)], p=1.0),
    case(cdist, "p3", [normal(3, 5), normal(4, 5, seed=1)], p=3.0),
    case(cdist, "batch", [normal(2, 3, 5), normal(2, 4, 5, seed=1)]),
    case(cdist, "equal", [a, a.copy()], smooth=False),
    case(cosine_similarity, "below-eps", [normal(2, 3), 0.1 * normal(2, 3, seed=1)], eps=1.5),
]
CASES[-1].torch = None  # see the file of the operation: its gradient there is another

BAD_CASES = [
    BadCase("normalize", "dim", lambda: normalize(ones(3)), ArgumentError, ["dim", "1"]),
    BadCase("normalize", "p", lambda: normalize(ones(3, 2), p=0.5), ArgumentError, ["p is", "0.5"]),
    BadCase(
        "normalize", "eps", lambda: normalize(ones(3, 2), eps=-1), ArgumentError, ["eps", "-1"]
    ),
    BadCase("normalize", "integers", lambda: normalize(arange(3), dim=0), DtypeError, ["int64"]),
    BadCase(
        "cosine_similarity",
        "length",
        lambda: cosine_similarity(ones(3, 5), ones(3, 1)),
        ShapeError,
        ["different lengths, 5 and 1"],
    ),
    BadCase(
        "cosine_similarity",
        "dim-of-one-only",
        lambda: cosine_similarity(ones(0, 2), ones(2), dim=0),
        ShapeError,
        ["both have the dimension", "(0, 2)", "(2,)"],
    ),
    BadCase(
        "cosine_similarity",
        "0d",
        lambda: cosine_similarity(ones(), ones(), dim=0),
        ShapeError,
        ["at least one dimension"],
    ),
    BadCase(
        "cosine_similarity",
        "broadcast",
        lambda: cosine_similarity(ones(3, 5), ones(4, 5)),
        ShapeError,
        ["do not broadcast", "(3, 5)", "(4, 5)"],
    ),
    BadCase(
        "cosine_similarity",
        "dim",
        lambda: cosine_similarity(ones(5), ones(5)),
        ArgumentError,
        ["dim"],
    ),
    BadCase(
        "cosine_similarity",
        "array",
        lambda: cosine_similarity(ones(3, 5).data, ones(3, 5)),
        DtypeError,
        ["x1 must be a Tensor"],
    ),
    BadCase(
        "pairwise_distance",
        "length",
        lambda: pairwise_distance(ones(3, 5), ones(3, 4)),
        ShapeError,
        ["different lengths, 5 and 4"],
    ),
    BadCase(
        "pairwise_distance",
        "p",
        lambda: pairwise_distance(ones(3, 5), ones(3, 5), p=float("inf")),
        ArgumentError,
        ["p is a finite number", "inf"],
    ),
    BadCase(
        "cdist", "ndim", lambda: cdist(ones(5), ones(3, 5)), ShapeError, ["at least 2 dimensions"]
    ),
    BadCase(
        "cdist", "array", lambda: cdist(ones(3, 5), [[1.0]]), DtypeError, ["x2 must be a Tensor"]
    ),
]
