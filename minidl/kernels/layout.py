"""Memory layout of activations: logical shape (N, C, H, W), channels last in memory.

A reader indexes x[n, c, h, w] as in the papers. In memory the C values of one pixel lie side by
side (N, H, W, C): a kernel that walks over channels reads consecutive addresses, which is what
vector instructions and caches want. The same bytes carry both views; only the strides differ.

Where a network has very few channels, the convolutions have the pictures of a batch side by side
instead (C, H, W, N), see cpu/convolution/batch_last.py. Pooling takes either as it comes: to it,
the last axis is what vectors run along. The other kernels bring what they get into the first.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

# The order of logical axes in memory, outermost first, and how to see such an array logically.
CHANNELS_LAST, BATCH_LAST = (0, 2, 3, 1), (1, 2, 3, 0)
LOGICAL = {CHANNELS_LAST: (0, 3, 1, 2), BATCH_LAST: (3, 0, 1, 2)}
SHORT = 4  # places of an axis


def order_of(x: np.ndarray) -> tuple[int, ...]:
    """BATCH_LAST where a logical (N, C, H, W) array lies so in memory, else CHANNELS_LAST."""
    if x.transpose(CHANNELS_LAST).flags.c_contiguous:
        return CHANNELS_LAST
    return BATCH_LAST if x.transpose(BATCH_LAST).flags.c_contiguous else CHANNELS_LAST


def arranged(x: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """A logical (N, C, H, W) array in that order; no copy where it lies so already.

    NumPy copies runs along the last axis. Where that is short, as in a picture of three channels,
    one copy for each of its places is three times as fast.
    """
    x = x.transpose(order)
    if x.shape[-1] > SHORT or x.flags.c_contiguous:
        return np.ascontiguousarray(x)
    y = np.empty(x.shape, x.dtype)
    for place in range(x.shape[-1]):
        y[..., place] = x[..., place]
    return y


def logical(x: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """An array in that order seen as logical (N, C, H, W): a view, never a copy."""
    return x.transpose(LOGICAL[order])


def channels_last(x: np.ndarray) -> np.ndarray:
    """A logical (N, C, H, W) array as a contiguous (N, H, W, C) one.

    No copy where the memory is channels-last already, as nearly every kernel's output is.
    """
    return arranged(x, CHANNELS_LAST)


def channels_first(x: np.ndarray) -> np.ndarray:
    """An (N, H, W, C) array seen as logical (N, C, H, W): a view, never a copy."""
    return logical(x, CHANNELS_LAST)


def memory_order(x: np.ndarray) -> list[int]:
    """The axes of an array of any shape, from the largest steps in memory to the smallest."""
    return sorted(range(x.ndim), key=x.strides.__getitem__, reverse=True)


def flat_views(order: list[int], *arrays: np.ndarray) -> list[np.ndarray] | None:
    """flat(x, order) of each x of arrays of one shape, to be written to; None where one is not
    dense."""
    views = [x.transpose(order) for x in arrays]
    if not all(x.flags.c_contiguous and x.flags.writeable for x in views):
        return None
    return [x.reshape(-1) for x in views]


def flat(x: np.ndarray, order: list[int]) -> np.ndarray:
    """The numbers of x one behind the other, its axes in that order; no copy if they lie so."""
    return np.ascontiguousarray(x.transpose(order)).reshape(-1)


def from_flat(x: np.ndarray, shape: tuple[int, ...], order: list[int]) -> np.ndarray:
    """The inverse of flat: a view of that shape."""
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return x.reshape([shape[axis] for axis in order]).transpose(inverse)


def zeros(xp: ModuleType, shape: tuple[int, ...], dtype: Any) -> Any:
    """Zeros of NumPy or CuPy, channels last in memory where there are four axes.

    A gradient that is filled in part: in another order than the activations, the next kernels would
    have to bring it into theirs, and that costs several times what they compute.
    """
    if len(shape) != 4:
        return xp.zeros(shape, dtype)
    N, C, H, W = shape
    return channels_first(xp.zeros((N, H, W, C), dtype))
