"""Norms.

    y = (sum |x_i|^p)^(1/p)      gx_i = gy sign(x_i) (|x_i| / y)^(p-1)
    y = max |x_i|  for p = inf   gx_i = gy sign(x_i) / m  for the m largest, 0 elsewhere

A norm is not differentiable at 0; the gradient there is 0, as in PyTorch. Infinite numbers share
the gradient as equal large ones do (in PyTorch, NaN for p < inf), and NaN is larger than all: for
p = inf it gets the gradient, which is NaN, and the rest gets 0, as of amax. Numbers whose powers
leave the range of floats, see lp_norm.py.
"""

from __future__ import annotations

import numpy as np

from minidl.device import array_module
from minidl.errors import ArgumentError
from minidl.kernels.sums import rounded
from minidl.kernels.weighting import arrived, masked
from minidl.ops.lp_norm import lp_norm, lp_norm_gradient
from minidl.ops.reductions import Dims, Reduction, check_not_empty, check_reduction
from minidl.shapes import is_number
from minidl.tensor import Tensor


class Norm(Reduction):
    def __init__(self, axes, keepdim, p):
        super().__init__(axes, keepdim)
        self.p = p

    def forward(self, x):
        xp, p = array_module(x), self.p
        self.x = x
        if p == np.inf:
            self.y = xp.abs(x).max(axis=self.axes, keepdims=True)
        else:
            self.y = lp_norm(x, p, self.axes)
        return self.y if self.keepdim else self.y.squeeze(self.axes)

    def backward(self, gy):
        xp, x, p = array_module(gy), self.x, self.p
        gy = self.stretchable(gy)
        if p == np.inf:  # the largest magnitudes share the gradient evenly
            largest = (xp.abs(x) == self.y) | (xp.isnan(x) & xp.isnan(self.y))
            share = rounded(1 / largest.sum(axis=self.axes, keepdims=True), gy.dtype)
            return masked(gy * share * xp.sign(x), largest & (gy != 0))
        return arrived(gy * lp_norm_gradient(x, self.y, p), gy)


def norm(input: Tensor, p: float | str = 2, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The p-norm, (sum |x|^p)^(1/p); p = inf is the largest magnitude.

    Args:
        input: floating point, any shape.
        p: a number > 0, float("inf"), or "fro" for 2.
        dim: dimensions to reduce, all by default.
        keepdim: keep the reduced dimensions with size 1.

    Returns:
        input's shape without the reduced dimensions.

    Raises:
        ArgumentError: p is not positive, or there is no such dimension.
        DtypeError: not floating point.

    >>> minidl.tensor([3.0, 4.0]).norm()
    tensor(5.)
    """
    axes = check_reduction("norm", input, dim, keepdim, floating=True)
    p = 2 if isinstance(p, str) and p == "fro" else p
    if not is_number(p) or not p > 0:
        raise ArgumentError("norm", 'p is a number > 0 or "fro"', {"p": p})
    if p == np.inf:
        check_not_empty("norm", input, axes)
    return Norm(axes, keepdim, float(p)).apply(input)
