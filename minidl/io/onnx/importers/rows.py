"""Slices of one axis moved to other places."""

from __future__ import annotations

import numpy as np

from minidl import ops
from minidl.nn import functional as F
from minidl.shapes import check_size
from minidl.tensor import Tensor


def spread(x: Tensor, axis: int, stride: int, first: int, size: int) -> Tensor:
    """x's slices at first, first + stride, ... of an axis of `size`; zeros between them.

    Those that would lie outside are left out.
    """
    n = x.shape[axis]
    sizes = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    check_size("onnx", sizes, np.int64, {"x": x})
    position = first + stride * np.arange(n)
    inside = (position >= 0) & (position < size)
    source = np.full(size, n)  # the slice of zeros that pad adds
    source[position[inside]] = np.flatnonzero(inside)
    behind = [0] * (2 * (x.ndim - 1 - axis))
    return ops.index_select(F.pad(x, [*behind, 0, 1]), axis, Tensor(source))
