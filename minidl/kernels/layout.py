"""Memory layout of activations: logical shape (N, C, H, W), channels last in memory.

A reader indexes x[n, c, h, w] as in the papers. In memory the C values of one pixel lie side by
side (N, H, W, C): a kernel that walks over channels reads consecutive addresses, which is what
vector instructions and caches want. The same bytes carry both views; only the strides differ.
"""

from __future__ import annotations

import numpy as np


def channels_last(x: np.ndarray) -> np.ndarray:
    """A logical (N, C, H, W) array as a contiguous (N, H, W, C) one.

    No copy where the memory is channels-last already, as every kernel's output is.
    """
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def channels_first(x: np.ndarray) -> np.ndarray:
    """An (N, H, W, C) array seen as logical (N, C, H, W): a view, never a copy."""
    return x.transpose(0, 3, 1, 2)
