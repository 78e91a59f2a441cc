"""The product of matrices: NumPy's own, see minidl/ops/matmul.py."""

from __future__ import annotations

import numpy as np

from minidl.kernels.sums import LONG


def product(a, b, out=None):
    """a @ b, of matrices, stacks of matrices or vectors; into `out` where it is given."""
    if len(b) >= LONG and b.ndim < 3 and a.dtype.itemsize < 8:  # a long sum: kernels/sums.py
        y = np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(a.dtype)
        return y if out is None else np.copyto(out, y)
    return np.matmul(a, b, out=out)
