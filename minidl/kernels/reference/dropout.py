"""Dropout: x times a random mask, and the generator behind the mask.

Philox4x32-10 (Salmon et al. 2011, section 3.3) makes random numbers a function of a counter. An
ordinary generator walks from one state to the next, so number i needs all numbers before it. This
one scrambles the counter i itself: any thread makes any number, in any order. It is a cipher
without secrecy: ten rounds, each multiplying two of the four words of the counter and mixing the
halves of the products with the other two and with a key that changes from round to round.
"""

from __future__ import annotations

import numpy as np

from minidl.kernels.layout import channels_first

ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85  # the golden ratio and sqrt(3) - 1, as 32-bit fractions
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def drop(x, threshold, scale, seed, first):
    """x, zero where the word of its position is below threshold, times scale elsewhere."""
    words = random_words(x.size, seed, first)
    if x.ndim == 4:
        N, C, H, W = x.shape
        words = channels_first(words.reshape(N, H, W, C))
    dropped = (words.reshape(x.shape) < threshold) & (x == x)  # NaN stays
    return np.where(dropped, x.dtype.type(0), x) * x.dtype.type(scale)


def philox(counter, key):
    """The four words of each counter.

    Args:
        counter: four uint64 arrays of 32-bit words, the lowest first.
        key: two ints of 32 bits.

    Returns:
        Four uint64 arrays of 32-bit words.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0 = np.uint64(MULTIPLIERS[0]) * c0
        product1 = np.uint64(MULTIPLIERS[1]) * c2
        c0, c1 = (product1 >> HALF) ^ c1 ^ np.uint64(k0), product1 & LOW
        c2, c3 = (product0 >> HALF) ^ c3 ^ np.uint64(k1), product0 & LOW
        k0 = (k0 + KEY_STEPS[0]) % 2**32
        k1 = (k1 + KEY_STEPS[1]) % 2**32
    return c0, c1, c2, c3


def random_words(size, seed, first):
    """`size` 32-bit words: four each of the counters first, first + 1, ... under the key seed."""
    counter = np.uint64(first) + np.arange((size + 3) // 4, dtype=np.uint64)
    zero = np.zeros_like(counter)
    words = philox((counter & LOW, counter >> HALF, zero, zero), (seed % 2**32, seed >> 32))
    return np.stack(words, axis=1).reshape(-1)[:size]
