"""Gradient of a table lookup, one row of the table at a time.

A stable sort of the indices puts the places that read one row side by side, in their order. One
thread sums them, so no two threads add to the same row, and every sum has the order of the
reference kernel.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.sums import RUN, SHORT


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
        if len(places) > SHORT:
            sum_many(gy, places, gw[rows[i]])
        else:
            sum_run(gy, places, gw[rows[i]])


@njit(nogil=True, cache=True)
def sum_run(gy, places, total):
    """total += gy of a few places."""
    for place in places:
        terms = gy[place]
        for d in range(len(total)):
            total[d] += terms[d]


@njit(nogil=True, cache=True)
def sum_many(gy, places, gw):
    """Of many places: runs, whose sums are added in float64 (kernels/sums.py)."""
    run, total = np.empty(len(gw), gy.dtype), np.zeros(len(gw))
    for first in range(0, len(places), RUN):
        run[:] = 0
        sum_run(gy, places[first : first + RUN], run)
        for d in range(len(run)):
            total[d] += run[d]
    gw[:] = total
