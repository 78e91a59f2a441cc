"""The p-norm of vectors and its gradient, for the operations that compare vectors.

n     = (sum_i |x[i]|^p)^(1/p)
dn/dx[i] = sign(x[i]) (|x[i]| / n)^(p-1)        0 where n = 0 or x[i] = 0, as in PyTorch
         = sign(x[i]) k^(1/p - 1)               for k infinite x[i], as for k equal large ones

|x|^p may leave the range of floats where n does not: in float32 the square of 1e20, and of 1e-25,
in float16 that of 300. There n is computed of x / m, m = max |x|, and multiplied by m.
"""

from __future__ import annotations

import math
from functools import lru_cache
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
    if p == 1:
        return total(xp.abs(x), axes, keepdims=True)
    with np.errstate(over="ignore"):
        return in_range(root_of_powers(x, p, axes), x, p, axes)


def root_of_powers(x: Any, p: float, axes: tuple[int, ...]) -> Any:
    """The norm as it is written."""
    xp = array_module(x)
    if p == 2:
        return xp.sqrt(total(x * x, axes, keepdims=True))
    return total(xp.abs(x) ** p, axes, keepdims=True) ** (1 / p)


def in_range(norm: Any, x: Any, p: float, axes: tuple[int, ...]) -> Any:
    """The norm, computed once more where powers became infinite or lost digits near 0."""
    lost = is_lost(norm, p)
    if not lost.any() or not x.size:
        return norm
    xp = array_module(x)
    m = xp.abs(x).max(axis=axes, keepdims=True)
    m = xp.where((m > 0) & (m < np.inf), m, x.dtype.type(1))  # 0, inf and NaN stay what they are
    return xp.where(lost, m * root_of_powers(x / m, p, axes), norm)


def is_lost(norm: Any, p: float) -> Any:
    """Where powers became infinite or lost digits near 0."""
    limits = np.finfo(norm.dtype)
    return ~((norm > float(limits.tiny / limits.eps) ** (1 / p)) & (norm < np.inf))


def lp_norm_gradient(x: Any, norm: Any, p: float) -> Any:
    """dn/dx, of x's shape; `norm` is lp_norm(x), of the same number of dimensions."""
    xp = array_module(x)
    if p == 1:
        return xp.sign(x)
    with np.errstate(divide="ignore", invalid="ignore"):  # by infinity, see below
        slope = gradient_in_range(x, norm, p)
    endless = xp.isinf(norm)
    if not endless.any():
        return slope
    endless = endless & xp.isinf(x)
    axes = tuple(axis for axis, size in enumerate(norm.shape) if size == 1)
    share = xp.maximum(endless.sum(axis=axes, keepdims=True), 1) ** (1 / p - 1)
    return xp.where(endless, xp.sign(x) * share.astype(x.dtype), slope)


def gradient_in_range(x: Any, norm: Any, p: float) -> Any:
    """dn/dx without infinite numbers, so that no power on the way leaves the range."""
    xp = array_module(x)
    safe = xp.where(norm == 0, xp.ones_like(norm), norm)
    if p == 2:
        return x / safe
    # The one of the two that stays in range: a power above 1 of the quotient, below 1 of each.
    size = xp.where(x == 0, safe, xp.abs(x))  # the powers of 0 may be infinite
    slope = (size / safe) ** (p - 1) if p > 2 else size ** (p - 1) / safe ** (p - 1)
    return xp.where((x == 0) & (norm == norm), 0, xp.sign(x) * slope)


@lru_cache(maxsize=64)
def least_divisor(eps: float, dtype: Any) -> float:
    """eps, or where it would round to 0 the smallest number: in float16, 1e-8 does."""
    return max(eps, float(np.finfo(dtype).tiny)) if eps else 0.0


def check_norm(op: str, p: float, eps: float) -> None:
    if not is_number(p) or not 1 <= p < math.inf:
        raise ArgumentError(op, "p is a finite number >= 1, the degree of the norm", {"p": p})
    if not is_number(eps) or not 0 <= eps < math.inf:
        raise ArgumentError(op, "eps is a small number >= 0", {"eps": eps})
