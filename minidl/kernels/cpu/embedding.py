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
        places = order[starts[i] : ends[i]]
        if len(places) == 1:
            gw[rows[i]] = gy[places[0]]
        else:
            sum_rows(gy, places, gw[rows[i]])


@njit(nogil=True, cache=True)
def sum_rows(gy, places, gw):
    """In float64, as in the reference kernel: a row may be read a million times."""
    total = np.zeros(len(gw))
    for place in places:
        terms = gy[place]
        for d in range(len(total)):
            total[d] += terms[d]
    gw[:] = total
