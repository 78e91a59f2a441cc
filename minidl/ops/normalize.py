"""Vectors scaled to length 1.

    m  = max(n, eps)        n the p-norm of x along a dimension
    y  = x / m
    gx = (gy - (sum_i gy[i] y[i]) dn/dx) / m        second term only where n > eps

Cosines between all pairs of rows of a and b are then one matrix product:
normalize(a) @ normalize(b).T
"""

from __future__ import annotations

from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.function import Function
from minidl.kernels.sums import total
from minidl.ops.lp_norm import check_norm, least_divisor, lp_norm, lp_norm_gradient
from minidl.ops.receptive_field import along
from minidl.shapes import normalize_dim
from minidl.tensor import Tensor


class Normalize(Function):
    def __init__(self, p, dim, eps):
        self.p, self.dim, self.eps = p, dim, eps

    def forward(self, x):
        self.x, self.norm = x, lp_norm(x, self.p, (self.dim,))
        self.m = array_module(x).maximum(self.norm, least_divisor(self.eps, x.dtype))
        self.y = x / self.m
        return self.y

    def backward(self, gy):
        along = total(gy * self.y, (self.dim,), keepdims=True) * (self.norm > self.eps)
        return (gy - along * lp_norm_gradient(self.x, self.norm, self.p)) / self.m

    @property
    def receptive_field(self):
        return along(self.dim)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Scale vectors to length 1: y = x / max(|x|_p, eps).

    Cosines of all pairs of rows: normalize(a) @ normalize(b).T

    Salton, Wong and Yang 1975, "A vector space model for automatic indexing".

    Args:
        input: floating point; vectors lie along `dim`.
        p: the degree of the norm, >= 1.
        dim: the dimension that is summed over; -1 is the last.
        eps: the least divisor: vectors shorter than it stay short.

    Returns:
        The same shape.

    Raises:
        ArgumentError: there is no such dimension, p < 1 or eps < 0.
        DtypeError: not a floating-point Tensor.

    >>> minidl.nn.functional.normalize(minidl.tensor([[3.0, 4.0]]))
    tensor([[0.6, 0.8]])
    """
    check_tensor("normalize", input=input)
    check_floating("normalize", input=input)
    check_norm("normalize", p, eps)
    dim = normalize_dim("normalize", dim, input.data.ndim)
    return Normalize(float(p), dim, float(eps)).apply(input)
