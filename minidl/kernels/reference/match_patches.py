"""Patch matching, as the formula says it: all patches of one picture with all of the other.

Shapes: x (N, C, H, W), source (M, C, H', W'); size is (R, S); places and source_places are a pair
of arrays each, the first row and the first column of the patches. The results are (N, OH, OW).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def forward(x, source, size, places, source_places):
    patches, candidates = patches_of(x, size, places), patches_of(source, size, source_places)
    with np.errstate(invalid="ignore"):  # infinity minus infinity, times 0
        dots = as_rows(patches) @ as_rows(candidates).T
        scores = dots * inverse_lengths(candidates).ravel()
        scores[np.isnan(scores)] = -np.inf
        correlations = scores.max(axis=1) * inverse_lengths(patches).ravel()
    shape = patches.shape[:3]
    return scores.argmax(axis=1).reshape(shape), correlations.reshape(shape)


def patches_of(x, size, places):
    """(N, OH, OW, C R S)"""
    rows, columns = places
    seen = sliding_window_view(x, size, axis=(2, 3))[:, :, rows][:, :, :, columns]
    N, C, OH, OW, R, S = seen.shape
    return seen.transpose(0, 2, 3, 1, 4, 5).reshape(N, OH, OW, C * R * S)


def as_rows(patches):
    return patches.reshape(-1, patches.shape[-1])


def inverse_lengths(patches):
    """1 / |p|, and 0 for a patch of zeros, (N, OH, OW)."""
    lengths = np.sqrt((patches.astype(np.float64) ** 2).sum(axis=-1))
    nothing = np.zeros_like(lengths)
    return np.divide(1, lengths, out=nothing, where=lengths > 0).astype(patches.dtype)
