"""Products with weights and masks of numbers that may be infinite.

A weight of 0 says that a number does not count, and then it does not count when it is infinite,
either: in t log p the limit at t = 0, p = 0 is 0. Floating point makes NaN of 0 times infinity.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.device import array_module

FEW = 1000  # numbers that are masked sooner than looked through


def weighted(weight: Any, x: Any) -> Any:
    """weight x, where 0 times infinity is 0. NaN stays NaN, whatever its weight."""
    xp = array_module(x)
    return weight * xp.where((weight == 0) & xp.isinf(x), 0, x)


def masked(g: Any, mask: Any) -> Any:
    """g where the mask holds, else 0, also where g is infinite or NaN.

    Any bits, taken for an integer, times 0 are 0. NumPy's where does the same, but branches for
    each element, which takes ten times as long where the mask changes often.
    """
    if g.dtype.itemsize > 8:  # a long double: no integer is as wide
        return array_module(g).where(mask, g, g.dtype.type(0))
    return (g.view(f"i{g.dtype.itemsize}") * mask).view(g.dtype)


def arrived(gx: Any, gy: Any) -> Any:
    """gx, a new array of gy times a slope, made 0 in place where gy is 0, whatever the slope.

    With it ends the backward of what is computed element by element. The slope may be infinite or
    NaN, but what nothing depends on has the gradient 0, the branch that where() did not choose:
    where(x > 0, sqrt(x), 0) has the gradient 0 at x = 0 and below (in PyTorch, NaN).
    """
    if gx.size > FEW and looks_finite(gx):
        return gx  # 0 times a finite slope is 0 already
    if gx.dtype.itemsize > 8:
        return masked(gx, gy != 0)
    bits = gx.view(f"i{gx.dtype.itemsize}")  # see masked
    bits *= gy != 0
    return bits.view(gx.dtype)


def looks_finite(x: Any) -> bool:
    """Whether all of x is known to be finite from its sum of squares, which may overflow.

    The BLAS makes this sum in a third of the time of masking, as it only reads. It knows no
    float16, whose products NumPy makes one by one, in three times that time.
    """
    if not isinstance(x, np.ndarray) or x.dtype.itemsize not in (4, 8):
        return False
    flat = x.ravel(order="K")
    with np.errstate(over="ignore", invalid="ignore"):
        return flat.dot(flat) < np.inf
