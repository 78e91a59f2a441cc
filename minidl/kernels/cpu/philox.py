"""Philox4x32-10 for one counter: see the reference kernel.

All words are uint64 that hold 32 bits. Constants are uint64, too: Numba makes a float of the sum of
a signed and an unsigned integer.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minidl.kernels.reference import philox as reference

ROUNDS = reference.ROUNDS
MULTIPLIER0, MULTIPLIER1 = (np.uint64(number) for number in reference.MULTIPLIERS)
KEY_STEP0, KEY_STEP1 = (np.uint64(number) for number in reference.KEY_STEPS)
LOW, HALF = reference.LOW, reference.HALF


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
