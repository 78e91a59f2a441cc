"""The gradient of spectral normalization in one pass, without matrices in between."""

from __future__ import annotations

import numpy as np
from numba import njit

from minidl.kernels.sums import dot


def backward(gy, y, u, v, sigma):
    if not y.flags.c_contiguous:  # the weight of a convolution: its columns lie side by side
        return backward(gy.T, np.ascontiguousarray(y.T), v, u, sigma).T
    gy, inverse = np.ascontiguousarray(gy), gy.dtype.type(1 / sigma)
    along = gy.dtype.type(dot(gy.reshape(-1), y.reshape(-1)) / sigma)
    gw = np.empty(gy.shape, gy.dtype)
    subtract_product(gy, inverse, along * u, v, gw)
    return gw


@njit(nogil=True, cache=True)
def subtract_product(gy, scale, u, v, gw):
    """gw = scale gy - u v^T."""
    for i in range(len(u)):
        for j in range(len(v)):
            gw[i, j] = scale * gy[i, j] - u[i] * v[j]
