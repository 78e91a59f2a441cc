"""The p-norm of vectors and its gradient, for the operations that compare vectors.

n     = (sum_i |x[i]|^p)^(1/p)
dn/dx[i] = sign(x[i]) (|x[i]| / n)^(p-1)        0 where n = 0, as in PyTorch
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.device import array_module
from minidl.errors import ArgumentError
from minidl.kernels.sums import rounded, total
from minidl.shapes import is_number


def lp_norm(x: Any, p: float, axes: tuple[int, ...]) -> Any:
    """The norm along some axes, which stay with size 1."""
    xp = array_module(x)
    if x.dtype == np.float16:  # the square of 256 is too large for one
        return rounded(lp_norm(x.astype(np.float32), p, axes), x.dtype)
    if p == 2:
        return xp.sqrt(total(x * x, axes, keepdims=True))
    if p == 1:
        return total(xp.abs(x), axes, keepdims=True)
    return total(xp.abs(x) ** p, axes, keepdims=True) ** (1 / p)


def lp_norm_gradient(x: Any, norm: Any, p: float) -> Any:
    """dn/dx, of x's shape; `norm` is lp_norm(x)."""
    xp = array_module(x)
    safe = xp.where(norm == 0, xp.ones_like(norm), norm)
    if p == 2:
        return x / safe
    if p == 1:
        return xp.sign(x)
    return xp.sign(x) * (xp.abs(x) / safe) ** (p - 1)


def check_norm(op: str, p: float, eps: float) -> None:
    if not is_number(p) or not 1 <= p < math.inf:
        raise ArgumentError(op, "p is a finite number >= 1, the degree of the norm", {"p": p})
    if not is_number(eps) or not 0 <= eps < math.inf:
        raise ArgumentError(op, "eps is a small number >= 0", {"eps": eps})
