"""Each picture of a batch moved by its own number of pixels; what comes in is 0.

y[n,c,h,w]   =  x[n,c,h - down[n],w - right[n]]     0 where that is outside of the picture
gx[n,c,h,w]  =  gy[n,c,h + down[n],w + right[n]]    likewise: the picture moved back
"""

from __future__ import annotations

import numpy as np

from minidl.checks import check_ndim, check_tensor
from minidl.device import array_module
from minidl.errors import DtypeError, ShapeError
from minidl.function import Function
from minidl.ops.receptive_field import UNKNOWN
from minidl.tensor import Tensor


class Shift(Function):
    """offsets: (down, right) of each picture, ints."""

    receptive_field = UNKNOWN

    def __init__(self, offsets):
        self.offsets = offsets

    def forward(self, x):
        return moved(x, self.offsets)

    def backward(self, gy):
        return moved(gy, [(-down, -right) for down, right in self.offsets])


def moved(x, offsets):
    """A copy of x with each picture at its new place."""
    y = array_module(x).zeros_like(x)
    H, W = x.shape[2:]
    for n, (down, right) in enumerate(offsets):
        (rows, from_rows), (columns, from_columns) = overlap(H, down), overlap(W, right)
        y[n, :, rows, columns] = x[n, :, from_rows, from_columns]
    return y


def overlap(size: int, offset: int) -> tuple[slice, slice]:
    """What is left of an axis that moves by an offset: where it lies then, and where before."""
    offset = min(max(offset, -size), size)
    left = size - abs(offset)
    start, from_start = max(offset, 0), max(-offset, 0)
    return slice(start, start + left), slice(from_start, from_start + left)


def shift(input: Tensor, offsets: Tensor) -> Tensor:
    """Move each picture by its own number of pixels; what comes in is 0, what leaves is lost.

    y[n,c,h,w] = x[n,c,h - down[n],w - right[n]]

    Args:
        input: (N, C, H, W).
        offsets: integers (N, 2), down and right; negative ones move up and left.

    Returns:
        (N, C, H, W).

    Raises:
        ShapeError: the shapes do not fit.
        DtypeError: offsets are no integers.

    >>> pictures = minidl.tensor([[[[1.0, 2.0, 3.0]]]])
    >>> minidl.nn.functional.shift(pictures, minidl.tensor([[0, 1]]))
    tensor([[[[0., 1., 2.]]]])
    """
    check_tensor("shift", input=input, offsets=offsets)
    check_ndim("shift", "input", input, 4, "(N, C, H, W)")
    if offsets.shape != (len(input.data), 2):
        raise ShapeError(
            "shift", "offsets are (N, 2), down and right of each picture",
            {"input": input, "offsets": offsets},
        )  # fmt: skip
    if not np.issubdtype(offsets.dtype, np.integer):
        raise DtypeError(
            "shift", "offsets are integers", {"offsets": f"{offsets.shape} {offsets.dtype}"}
        )
    return Shift([tuple(pair) for pair in offsets.tolist()]).apply(input)
