"""Dropout, four elements for each counter of the random generator; the mask is never stored."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.cpu.philox import HALF, LOW, philox
from minidl.kernels.layout import channels_first, channels_last


def drop(x, threshold, scale, seed, first):
    rows = channels_last(x) if x.ndim == 4 else np.ascontiguousarray(x)
    y = np.empty_like(rows)
    drop_flat(
        rows.reshape(-1), y.reshape(-1), np.uint64(threshold), x.dtype.type(scale),
        np.uint64(seed), np.uint64(first),
    )  # fmt: skip
    return channels_first(y) if x.ndim == 4 else y.reshape(x.shape)


@njit(parallel=True, cache=True)
def drop_flat(x, y, threshold, scale, seed, first):
    zero = x.dtype.type(0)
    key0, key1 = seed & LOW, seed >> HALF
    for block in prange((x.size + 3) // 4):
        counter = first + np.uint64(block)
        words = philox(counter & LOW, counter >> HALF, np.uint64(0), np.uint64(0), key0, key1)
        for lane in range(min(4, x.size - 4 * block)):
            factor = zero if words[lane] < threshold else scale
            y[4 * block + lane] = x[4 * block + lane] * factor
