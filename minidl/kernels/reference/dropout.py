"""Dropout: x times a random mask; see minidl/ops/dropout.py for what the mask depends on."""

from __future__ import annotations

import numpy as np

from minidl.kernels.layout import channels_first
from minidl.kernels.reference.philox import random_words


def drop(x, threshold, scale, seed, first):
    """x, zero where the word of its position is below threshold, times scale elsewhere."""
    words = random_words(x.size, seed, first)
    if x.ndim == 4:
        N, C, H, W = x.shape
        words = channels_first(words.reshape(N, H, W, C))
    mask = np.where(words.reshape(x.shape) < threshold, 0, scale)
    return x * mask.astype(x.dtype)
