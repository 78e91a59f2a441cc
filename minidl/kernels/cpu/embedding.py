"""Gradient of a table lookup, one row of the table at a time.

A stable sort of the indices puts the places that read one row side by side, in their order. One
thread sums them, so no two threads add to the same row, and every sum has the order of the
reference kernel.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


def backward_weight(gy, indices, vocabulary):
    gw = np.zeros((vocabulary, gy.shape[1]), gy.dtype)
    order = np.argsort(indices, kind="stable")
    rows = indices[order]
    starts = np.flatnonzero(np.diff(rows, prepend=-1))  # where the place before has another row
    ends = np.append(starts[1:], len(order))
    sum_places(np.ascontiguousarray(gy), order, rows[starts], starts, ends, gw)
    return gw


@njit(parallel=True, cache=True)
def sum_places(gy, order, rows, starts, ends, gw):
    for i in prange(len(rows)):
        row = rows[i]
        for place in range(starts[i], ends[i]):
            for d in range(gy.shape[1]):
                gw[row, d] += gy[order[place], d]
