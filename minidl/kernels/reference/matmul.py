"""The product of matrices: NumPy's own, see minidl/ops/matmul.py."""

from __future__ import annotations

import numpy as np


def product(a, b, out=None):
    """a @ b, of matrices, stacks of matrices or vectors; into `out` where it is given."""
    return np.matmul(a, b, out=out)
