"""Cosine of the angle between vectors.

    y  = sum_i a[i] b[i] / (na nb)         na = max(|a|, eps), nb = max(|b|, eps)
    ga = gy (b / nb - y a / na) / na       second term only where |a| > eps
    gb = gy (a / na - y b / nb) / nb       second term only where |b| > eps

Each length is bounded below by eps on its own, as PyTorch does since 1.13 (which differentiates
as if it were not bounded; this is the gradient of the formula).
"""

from __future__ import annotations

from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ShapeError
from minidl.function import Function
from minidl.kernels.sums import total
from minidl.ops.broadcasting import check_broadcast, unbroadcast
from minidl.ops.lp_norm import check_norm, least_divisor, lp_norm
from minidl.ops.receptive_field import UNKNOWN
from minidl.shapes import normalize_dim
from minidl.tensor import Tensor


class CosineSimilarity(Function):
    receptive_field = UNKNOWN

    def __init__(self, dim, eps):
        self.dim, self.eps = dim, eps  # dim counted from the end, so that it is that of a and b

    def forward(self, a, b):
        xp = array_module(a)
        self.a_length, self.b_length = (lp_norm(v, 2, (self.dim,)) for v in (a, b))
        least = least_divisor(self.eps, a.dtype)
        self.a_unit = a / xp.maximum(self.a_length, least)
        self.b_unit = b / xp.maximum(self.b_length, least)
        self.y = total(self.a_unit * self.b_unit, (self.dim,), keepdims=True)
        return self.y.squeeze(self.dim)

    def backward(self, gy):
        gy = array_module(gy).expand_dims(gy, self.dim)
        ga = gb = None
        if self.needs_grad[0]:
            ga = self.one_side(gy, self.a_unit, self.b_unit, self.a_length)
        if self.needs_grad[1]:
            gb = self.one_side(gy, self.b_unit, self.a_unit, self.b_length)
        return ga, gb

    def one_side(self, gy, unit, other, length):
        turned = other - self.y * unit * (length > self.eps)
        divisor = array_module(gy).maximum(length, least_divisor(self.eps, gy.dtype))
        return unbroadcast(gy * turned / divisor, unit.shape)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between vectors: y = a . b / (max(|a|, eps) max(|b|, eps)).

    Salton, Wong and Yang 1975, "A vector space model for automatic indexing".

    Args:
        x1: a, floating point; vectors lie along `dim`.
        x2: b, of a shape that broadcasts with x1's. All pairs of rows of a (N, D) and b (M, D):
            a[:, None], b[None] and dim=-1, or faster normalize(a) @ normalize(b).T.
        dim: the dimension of the broadcast shape that is summed over; -1 is the last.
        eps: the least length that is divided by.

    Returns:
        The broadcast shape without `dim`; from -1 to 1, and 0 for a zero vector.

    Raises:
        ShapeError: the shapes do not broadcast, or `dim` is missing in one or differs in size.
        ArgumentError: there is no such dimension, or eps < 0.
        DtypeError: not floating point, or of different dtypes.

    >>> a, b = minidl.tensor([[1.0, 0.0]]), minidl.tensor([[1.0, 1.0]])
    >>> minidl.nn.functional.cosine_similarity(a, b)
    tensor([0.7071])
    """
    op = "cosine_similarity"
    check_tensor(op, x1=x1, x2=x2)
    check_floating(op, x1=x1, x2=x2)
    check_broadcast(op, x1, x2)
    check_norm(op, 2, eps)
    if max(x1.data.ndim, x2.data.ndim) == 0:
        raise ShapeError(op, "a vector has at least one dimension", {"x1": x1, "x2": x2})
    ndim = max(x1.data.ndim, x2.data.ndim)
    dim = normalize_dim(op, dim, ndim) - ndim
    if min(x1.data.ndim, x2.data.ndim) < -dim:
        raise ShapeError(op, "both have the dimension of the vectors", {"x1": x1, "x2": x2})
    sizes = [x.data.shape[dim] for x in (x1, x2)]
    if sizes[0] != sizes[1]:
        raise ShapeError(op, f"the vectors have different lengths, {sizes[0]} and {sizes[1]}",
                         {"x1": x1, "x2": x2})  # fmt: skip
    return CosineSimilarity(dim, float(eps)).apply(x1, x2)
