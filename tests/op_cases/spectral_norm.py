import numpy as np

from minidl.creation import ones, tensor
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import spectral_norm
from tests.op_cases.case import BadCase, Case, normal


def case(name, *shape, dim=0):
    """u and v that are no singular vectors, so that every term of the gradient matters."""
    h = shape[dim]
    u, v = normal(h, seed=1), normal(int(np.prod(shape)) // h, seed=2)
    # Far from u^T W v = 0, where everything is large.
    order = [dim % len(shape), *(axis for axis in range(len(shape)) if axis != dim % len(shape))]
    matrix = normal(*(shape[axis] for axis in order)) + np.outer(u, v).reshape(
        [shape[axis] for axis in order]
    )
    w = np.ascontiguousarray(matrix.transpose(np.argsort(order)))

    def by_minidl(w):
        return spectral_norm(w, tensor(u).to(w.dtype), tensor(v).to(w.dtype), dim)

    def by_torch(torch, w):
        rows = w.movedim(dim, 0).flatten(1)
        return w / torch.vdot(torch.tensor(u).to(w), torch.mv(rows, torch.tensor(v).to(w)))

    return Case("spectral_norm", name, by_minidl, [w], torch=by_torch)


CASES = [
    case("matrix", 4, 6),
    case("convolution", 4, 3, 2, 5),
    case("transposed", 3, 4, 2, 5, dim=1),
    case("last", 3, 2, 4, dim=-1),
    case("one-output", 1, 5),
    case("one-number", 1, 1),
]

BAD_CASES = [
    BadCase(
        "spectral_norm", "vector", lambda: spectral_norm(ones(3), ones(3), ones(1)),
        ShapeError, ["two dimensions"],
    ),
    BadCase(
        "spectral_norm", "u", lambda: spectral_norm(ones(3, 2), ones(2), ones(2)),
        ShapeError, ["u is (3,)"],
    ),
    BadCase(
        "spectral_norm", "v", lambda: spectral_norm(ones(3, 2, 2), ones(3), ones(2)),
        ShapeError, ["v is (4,)"],
    ),
    BadCase(
        "spectral_norm", "empty", lambda: spectral_norm(ones(0, 2), ones(0), ones(2)),
        ArgumentError, ["empty"],
    ),
    BadCase(
        "spectral_norm", "dim", lambda: spectral_norm(ones(3, 2), ones(3), ones(2), 2),
        ArgumentError, ["dim"],
    ),
    BadCase(
        "spectral_norm", "dtype",
        lambda: spectral_norm(ones(3, 2), ones(3), ones(2, dtype="float64")),
        DtypeError, ["float64"],
    ),
]  # fmt: skip
