"""Hyperbolic tangent, see minidl/ops/tanh.py."""

from __future__ import annotations

import numpy as np

from minidl.kernels.weighting import arrived


def forward(x):
    return np.tanh(x)


def backward(gy, y):
    return arrived(gy * (1 - y * y), gy)
