"""Distance between vectors in the p-norm (Minkowski's), pair by pair or all with all.

    d  = a - b + eps
    y  = (sum_i |d[i]|^p)^(1/p)
    ga = gy sign(d) (|d| / y)^(p-1)           gb = -ga              0 where y = 0

pairwise_distance adds eps (1e-6) to each difference, as in PyTorch, so that the gradient of equal
vectors is not 0/0 but a direction. cdist adds nothing; there the gradient of equal vectors is 0.
Differences are formed before they are squared: |a|^2 - 2ab + |b|^2 would cancel for near vectors.
"""

from __future__ import annotations

from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ShapeError
from minidl.function import Function
from minidl.ops.broadcasting import check_broadcast, unbroadcast
from minidl.ops.lp_norm import check_norm, lp_norm, lp_norm_gradient
from minidl.ops.receptive_field import UNKNOWN
from minidl.ops.shape import unsqueeze
from minidl.tensor import Tensor


class PairwiseDistance(Function):
    """Along the last dimension, after broadcasting."""

    receptive_field = UNKNOWN

    def __init__(self, p, eps, keepdim):
        self.p, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        self.d = a - b + self.eps
        self.y = lp_norm(self.d, self.p, (-1,))
        return self.y if self.keepdim else self.y.squeeze(-1)

    def backward(self, gy):
        if not self.keepdim:
            gy = array_module(gy).expand_dims(gy, -1)
        g = gy * lp_norm_gradient(self.d, self.y, self.p)
        ga = unbroadcast(g, self.shapes[0]) if self.needs_grad[0] else None
        gb = unbroadcast(-g, self.shapes[1]) if self.needs_grad[1] else None
        return ga, gb


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """Distance of each vector of x1 to the one beside it in x2: y = |a - b + eps|_p.

    Minkowski's distance; p = 2 is Euclid's.

    Args:
        x1: a, (..., D), floating point.
        x2: b, (..., D), broadcast with x1.
        p: the degree of the norm, >= 1 and finite.
        eps: added to each difference.
        keepdim: keep the last dimension with size 1.

    Returns:
        (...), or (..., 1) with keepdim.

    Raises:
        ShapeError: the shapes do not broadcast, or D differs.
        ArgumentError: p < 1 or infinite, or eps < 0.
        DtypeError: not floating point, or of different dtypes.

    >>> a, b = minidl.tensor([[0.0, 0.0]]), minidl.tensor([[3.0, 4.0]])
    >>> minidl.nn.functional.pairwise_distance(a, b, eps=0)
    tensor([5.])
    """
    check_vectors("pairwise_distance", x1, x2, 1, p, eps)
    check_broadcast("pairwise_distance", x1, x2)
    return PairwiseDistance(float(p), float(eps), bool(keepdim)).apply(x1, x2)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0) -> Tensor:
    """Distances of all vectors of x1 to all of x2: y[i,j] = |a[i] - b[j]|_p.

    Minkowski's distance; p = 2 is Euclid's.

    Args:
        x1: a, (..., P, D), floating point.
        x2: b, (..., R, D), leading dimensions broadcast with x1's.
        p: the degree of the norm, >= 1 and finite.

    Returns:
        (..., P, R). In between there are arrays of P R D elements.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError: p < 1 or infinite.
        DtypeError: not floating point, or of different dtypes.

    >>> a, b = minidl.tensor([[0.0, 0.0]]), minidl.tensor([[3.0, 4.0], [0.0, 1.0]])
    >>> minidl.nn.functional.cdist(a, b)
    tensor([[5., 1.]])
    """
    check_vectors("cdist", x1, x2, 2, p, 0)
    rows, columns = unsqueeze(x1, -2), unsqueeze(x2, -3)
    check_broadcast("cdist", rows, columns)
    return PairwiseDistance(float(p), 0.0, False).apply(rows, columns)


def check_vectors(op: str, x1: Tensor, x2: Tensor, ndim: int, p: float, eps: float) -> None:
    """Two floating-point tensors of at least `ndim` dimensions whose last one agrees."""
    check_tensor(op, x1=x1, x2=x2)
    check_floating(op, x1=x1, x2=x2)
    check_norm(op, p, eps)
    if min(x1.data.ndim, x2.data.ndim) < ndim:
        raise ShapeError(op, f"expects at least {ndim} dimensions", {"x1": x1, "x2": x2})
    if x1.data.shape[-1] != x2.data.shape[-1]:
        raise ShapeError(
            op,
            f"the vectors have different lengths, {x1.data.shape[-1]} and {x2.data.shape[-1]}",
            {"x1": x1, "x2": x2},
        )
