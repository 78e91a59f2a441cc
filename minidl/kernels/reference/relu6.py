"""Rectified linear unit that stops at 6, see minidl/ops/relu6.py."""

from __future__ import annotations

import numpy as np


def forward(x):
    return np.minimum(np.maximum(x, 0), 6)


def backward(gy, y):
    return np.where((y != 0) & (y != 6), gy, gy.dtype.type(0))
