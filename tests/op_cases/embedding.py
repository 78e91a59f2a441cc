import numpy as np

from minidl.creation import arange, ones, tensor
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import embedding
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, indices, vocabulary, size, padding_idx=None):
    return Case(
        "embedding",
        name,
        lambda indices, w: embedding(indices, w, padding_idx),
        [np.array(indices, np.int64), normal(vocabulary, size)],
        oracle=lambda indices, w: onnx("Gather")(w, indices),
        torch=lambda torch, indices, w: torch.nn.functional.embedding(indices, w, padding_idx),
        smooth=padding_idx is None,  # the gradient of a padding row is 0 by decree
    )


CASES = [
    case("repeated", [[1, 4, 1], [0, 1, 4]], 6, 3),
    case("padding", [[2, 0, 2], [3, 2, 0]], 4, 2, padding_idx=2),
    case("padding-from-the-end", [0, 3, 1, 3], 4, 2, padding_idx=-1),
    case("3d", [[[0], [2]], [[2], [1]]], 3, 1),
    case("one-index", 2, 3, 4),
    case("every-row-once", [3, 0, 2, 1], 4, 5),
    case("none", np.zeros((2, 0)), 3, 2),
]

w = ones(5, 2)
BAD_CASES = [
    BadCase("embedding", "index-too-large", lambda: embedding(tensor([[1, 4], [7, 5]]), w),
            ArgumentError,
            ["index 7", "a table of 5", "0 to 4", "(2, 2)"]),
    BadCase("embedding", "index-negative", lambda: embedding(tensor([0, -1]), w),
            ArgumentError, ["index -1"]),
    BadCase("embedding", "floats", lambda: embedding(ones(2), w),
            DtypeError, ["integers", "float32"]),
    BadCase("embedding", "weight-ndim", lambda: embedding(arange(2), ones(5)),
            ShapeError, ["2 dimensions"]),
    BadCase("embedding", "weight-integers", lambda: embedding(arange(2), arange(6).reshape(3, 2)),
            DtypeError,
            ["floating-point"]),
    BadCase("embedding", "no-weight", lambda: embedding(arange(2), None),
            DtypeError, ["weight must be a Tensor"]),
    BadCase("embedding", "padding", lambda: embedding(arange(2), w, padding_idx=5), ArgumentError,
            ["from -5 to 4"]),
    BadCase("embedding", "list", lambda: embedding([0, 1], w),
            DtypeError, ["input must be a Tensor", "list"]),
]  # fmt: skip
