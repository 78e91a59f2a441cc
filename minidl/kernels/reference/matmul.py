"""The product of matrices: NumPy's own, see minidl/ops/matmul.py."""

from __future__ import annotations

import numpy as np

from minidl.kernels.sums import LONG


def product(a, b, out=None, bias=None):
    """a @ b, of matrices, stacks of matrices or vectors; into `out` where it is given.

    Or a @ b + bias in a new array, a number of bias for each column.
    """
    if len(b) >= LONG and b.ndim < 3 and a.dtype.itemsize < 8:  # a long sum: kernels/sums.py
        y = np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(a.dtype)
        if bias is not None:
            y += bias
        return y if out is None else np.copyto(out, y)
    return np.matmul(a, b, out=out) if bias is None else np.matmul(a, b) + bias
