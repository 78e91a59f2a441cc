"""Gradient of a table lookup: each vector is sent back to the row that it was read from.

gy is (places, D), indices (places,), gw (vocabulary, D).
"""

from __future__ import annotations

import numpy as np

from minidl.kernels.sums import add_at


def backward_weight(gy, indices, vocabulary):
    """gw[v] = sum of gy over the places where indices is v, in the order of the places."""
    gw = np.zeros((vocabulary, gy.shape[1]), gy.dtype)
    add_at(gw, indices, gy)
    return gw
