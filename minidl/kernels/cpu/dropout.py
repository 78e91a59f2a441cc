"""Dropout, four elements for each counter of the random generator; the mask is never stored.

Counters and words are uint64 that hold 32 bits, constants are uint64, too: Numba makes a float of
the sum of a signed and an unsigned integer.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.reference import dropout as reference

ROUNDS = reference.ROUNDS
MULTIPLIER0, MULTIPLIER1 = (np.uint64(number) for number in reference.MULTIPLIERS)
KEY_STEP0, KEY_STEP1 = (np.uint64(number) for number in reference.KEY_STEPS)
LOW, HALF = reference.LOW, reference.HALF


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
            number = x[4 * block + lane]
            dropped = words[lane] < threshold and number == number  # NaN stays
            y[4 * block + lane] = zero if dropped else number * scale


@njit(cache=True)
def philox(c0, c1, c2, c3, k0, k1):
    """The four words of the counter (c0, c1, c2, c3) under the key (k0, k1)."""
    for _ in range(ROUNDS):
        product0 = MULTIPLIER0 * c0
        product1 = MULTIPLIER1 * c2
        c0, c1 = (product1 >> HALF) ^ c1 ^ k0, product1 & LOW
        c2, c3 = (product0 >> HALF) ^ c3 ^ k1, product0 & LOW
        k0 = (k0 + KEY_STEP0) & LOW
        k1 = (k1 + KEY_STEP1) & LOW
    return c0, c1, c2, c3
