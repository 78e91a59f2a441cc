from functools import partial

import numpy as np

from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import match_patches
from tests.op_cases.case import BadCase, Case, normal


def in_pytorch(kernel_size):
    """As in the paper: a convolution whose kernels are the patches of the source (stride 1)."""
    R, S = kernel_size

    def compute(torch, x, source):
        places = torch.nn.functional.unfold(source, kernel_size).transpose(1, 2).flatten(0, 1)
        kernels = places.reshape(-1, source.shape[1], R, S)
        lengths = kernels.flatten(1).norm(dim=1).reshape(-1, 1, 1)
        best = (torch.nn.functional.conv2d(x, kernels) / lengths).max(dim=1)
        ones = torch.ones(1, x.shape[1], R, S, dtype=x.dtype)
        own = torch.nn.functional.conv2d(x * x, ones)[:, 0].sqrt()
        return best.indices, best.values / own

    return compute


def case(name, shape, source_shape, kernel_size, stride=1, source_stride=None, torch=False):
    return Case(
        "match_patches",
        name,
        lambda x, source: match_patches(x, source, kernel_size, stride, source_stride),
        [normal(*shape), normal(*source_shape, seed=1)],
        torch=in_pytorch(kernel_size) if torch else None,
        gradient=False,
    )


nan, inf = float("nan"), float("inf")
flat = np.zeros((1, 2, 4, 5))
spoiled = normal(1, 2, 6, 7)
spoiled[0, 1, 3, 3], spoiled[0, 0, 0, 0] = nan, inf

CASES = [
    case("plain", (2, 3, 6, 7), (3, 3, 5, 9), (3, 3), torch=True),
    case("pointwise", (1, 4, 3, 5), (2, 4, 4, 2), (1, 1), torch=True),
    case("asymmetric", (1, 2, 7, 6), (1, 2, 6, 8), (2, 4), torch=True),
    case("stride-with-tail", (2, 3, 8, 7), (2, 3, 6, 9), (3, 2), stride=2),
    case("strides-differ", (1, 3, 8, 7), (1, 3, 6, 9), (3, 3), stride=(1, 2), source_stride=1),
    case("stride-above-patch", (1, 3, 9, 8), (1, 3, 7, 9), (2, 2), stride=(3, 5)),
    case("one-place", (1, 2, 3, 4), (1, 2, 3, 4), (3, 4), torch=True),
    case("batch-zero", (0, 3, 5, 5), (1, 3, 4, 4), (2, 2)),
    Case("match_patches", "zeros", lambda x, y: match_patches(x, y, 2), [flat, flat[:, :, :3]],
         gradient=False),
    Case("match_patches", "non-finite", lambda x, y: match_patches(x, y, 2), [spoiled, spoiled],
         gradient=False),
]  # fmt: skip

x = ones(1, 3, 4, 6)
bad = partial(BadCase, "match_patches")
BAD_CASES = [
    bad("ndim", lambda: match_patches(ones(3, 8, 8), x, 2), ShapeError, ["4 dimensions"]),
    bad("channels", lambda: match_patches(x, ones(1, 2, 5, 5), 2), ShapeError, ["same channels"]),
    bad("no-source", lambda: match_patches(x, ones(0, 3, 5, 5), 2), ShapeError, ["at least"]),
    bad("patch", lambda: match_patches(ones(1, 3, 9, 9), x, 5), ShapeError, ["of source", "5"]),
    bad("kernel", lambda: match_patches(x, x, (2, 0)), ArgumentError, ["kernel_size", ">= 1"]),
    bad("stride", lambda: match_patches(x, x, 2, 0), ArgumentError, ["stride", ">= 1"]),
    bad(
        "source-stride", lambda: match_patches(x, x, 2, 1, 1.5), ArgumentError,
        ["source_stride", "1.5"],
    ),
    bad("dtypes", lambda: match_patches(x, x.to("float64"), 2), DtypeError, ["one dtype"]),
    bad(
        "integers", lambda: match_patches(arange(9).reshape(1, 1, 3, 3), x, 2), DtypeError,
        ["floating-point", "int64"],
    ),
]  # fmt: skip
