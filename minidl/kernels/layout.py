"""Memory layout of activations: logical shape (N, C, H, W), channels last in memory.

A reader indexes x[n, c, h, w] as in the papers. In memory the C values of one pixel lie side by
side (N, H, W, C): a kernel that walks over channels reads consecutive addresses, which is what
vector instructions and caches want. The same bytes carry both views; only the strides differ.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np


def channels_last(x: np.ndarray) -> np.ndarray:
    """A logical (N, C, H, W) array as a contiguous (N, H, W, C) one.

    No copy where the memory is channels-last already, as every kernel's output is.
    """
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def channels_first(x: np.ndarray) -> np.ndarray:
    """An (N, H, W, C) array seen as logical (N, C, H, W): a view, never a copy."""
    return x.transpose(0, 3, 1, 2)


def zeros(xp: ModuleType, shape: tuple[int, ...], dtype: Any) -> Any:
    """Zeros of NumPy or CuPy, channels last in memory where there are four axes.

    A gradient that is filled in part: in another order than the activations, the next kernels would
    have to bring it into theirs, and that costs several times what they compute.
    """
    if len(shape) != 4:
        return xp.zeros(shape, dtype)
    N, C, H, W = shape
    return channels_first(xp.zeros((N, H, W, C), dtype))
