"""Window search: which windows of a sample look like a window of a picture.

Shapes: sample (P, H, W), picture and known (P, h, w), allowed (H, W), weights (P, R, S),
places (N, 2), order (R S,). The pixels of the window are compared in the order that `order` gives,
by which both sets of kernels add up the same numbers one after the other, to the same bits.
"""

from __future__ import annotations

import numpy as np


def prepare(sample):
    """What `candidates` reads of a sample, which is searched many times."""
    return sample


def candidates(sample, allowed, picture, known, places, weights, order, tolerance):
    """For each place the positions y W + x of the windows to choose from, and their errors.

    None where no error is finite.
    """
    found = []
    for y, x in places:
        with np.errstate(over="ignore", invalid="ignore"):
            error, total = squares(sample, picture, known, y, x, weights, order)
            usable = allowed[: len(error), : error.shape[1]] & (error < np.inf)
            error = np.where(usable, error, np.inf)
            limit = error.min() * sample.dtype.type(1 + tolerance)
        rows, columns = np.nonzero(usable & (error <= limit))
        errors = error[rows, columns]
        found.append((rows * sample.shape[2] + columns, errors / total if total else errors))
    return found


def squares(sample, picture, known, y, x, weights, order):
    """The weighted sum of squares for every window of the sample, and the sum of the weights."""
    P, H, W = sample.shape
    _, R, S = weights.shape
    OH, OW = H - R + 1, W - S + 1
    error = np.zeros((OH, OW), sample.dtype)
    total = sample.dtype.type(0)
    for r, s in zip(*np.unravel_index(order, (R, S))):
        for p in range(P):
            if known[p, y + r, x + s]:
                difference = sample[p, r : r + OH, s : s + OW] - picture[p, y + r, x + s]
                error += weights[p, r, s] * (difference * difference)
                total += weights[p, r, s]
    return error, total
