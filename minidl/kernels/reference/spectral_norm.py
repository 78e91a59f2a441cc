"""The gradient of spectral normalization, see minidl/ops/spectral_norm.py."""

from __future__ import annotations

import numpy as np

from minidl.kernels.sums import total


def backward(gy, y, u, v, sigma):
    """Of the weight as a matrix; gy and y are matrices, u and v the vectors of its sides."""
    return (gy - total(gy * y, (0, 1)) * np.outer(u, v)) / sigma
