"""Leaky rectified linear unit, see minidl/ops/leaky_relu.py."""

from __future__ import annotations

import numpy as np


def forward(x, negative_slope):
    return np.where(x > 0, x, negative_slope * x)


def backward(gy, x, negative_slope):
    return np.where(x > 0, gy, negative_slope * gy)
