"""Cross-entropy of labels in one pass over memory in each direction.

Nearly all of the work is the exponential. NumPy's computes 8 or 16 numbers with one instruction
where a loop compiled by Numba computes one; and nothing needs to be compiled when a first network
is trained. Over a vocabulary of thousands, what NumPy writes between its steps costs more than the
exponentials: there a row is read twice while it is in the nearest cache, and written once, by
vector instructions (vector/exponentials.py).

Some rows are taken at a time, so few that they stay in the nearest cache while one step after the
other is done to them; threads share such parts. Rows that do not count are not looked at: of
sentences of different lengths they are a good part.

Same functions and shapes as the reference kernel, which is written closer to the formulas.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from minidl.kernels.cpu.threads.workers import share, threads_for
from minidl.kernels.cpu.vector.exponentials import largest as largest_of
from minidl.kernels.cpu.vector.exponentials import sum_exponentials, write_exponentials
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.weighting import weighted

PART = 2**16  # scores that are taken at a time
LARGE = 2**18  # so many are worth a second thread,
LONG_ROW = 2**10  # and compiled loops where a row has so many
WORK = 4  # numbers that could be moved while one exponential is computed
RUN = 2**8  # exponentials whose sum is a float32; the sums are added in float64


def forward(x, labels, weight, ignore_index, smoothing):
    losses, largest, log_sum = (np.zeros(len(x), x.dtype) for _ in range(3))
    if is_long(x, smoothing):
        kept = labels != ignore_index
        own = np.zeros(len(x), x.dtype)
        with threads_for(x.size * WORK):
            long_rows(x, labels, kept, own, largest, log_sum)
        losses[kept] = weighted(weight[labels[kept]], (log_sum - own)[kept])
        return losses, largest, log_sum
    kept = np.flatnonzero(labels != ignore_index)
    for_all = x, labels, weight, smoothing, losses, largest, log_sum
    if x.size < LARGE:
        forward_rows(kept, *for_all)
    else:
        share(forward_rows, parts_of(kept, x), *for_all)
    return losses, largest, log_sum


def backward(g, x, labels, weight, ignore_index, smoothing, largest, log_sum):
    kept = labels != ignore_index
    gx = np.empty_like(x)
    if is_long(x, smoothing):
        each = np.zeros(len(x), x.dtype)
        each[kept] = (g * kept)[kept] * weight[labels[kept]]
        with threads_for(x.size * WORK):
            long_slopes(x, labels, kept, each, largest, np.exp(-log_sum) * each, gx)
        return gx
    gx[~kept] = 0
    kept = np.flatnonzero(kept)
    for_all = g, x, labels, weight, smoothing, largest, log_sum, gx
    if x.size < LARGE:
        backward_rows(kept, *for_all)
    else:
        share(backward_rows, parts_of(kept, x), *for_all)
    return gx


def is_long(x, smoothing):
    """Compiled loops compute it."""
    is_large = x.size >= LARGE and x.shape[1] >= LONG_ROW
    return is_large and smoothing == 0 and x.dtype == np.float32 and x.flags.c_contiguous


@njit(parallel=True, cache=True)
def long_rows(x, labels, kept, own, largest, log_sum):
    """Of each row that counts its largest score, that of its label below it, and the log of the
    sum."""
    for i in prange(len(x)):
        if kept[i]:
            row = x[i]
            largest[i] = top = top_of(row)
            own[i] = row[labels[i]] - top
            log_sum[i] = math.log(exponentials_of(row, top))


@njit(nogil=True, cache=True)
def top_of(row):
    top = largest_of(row, 0, len(row) // WIDTH)
    for j in range(len(row) // WIDTH * WIDTH, len(row)):
        top = max(top, row[j])
    return top


@njit(nogil=True, cache=True)
def exponentials_of(row, top):
    total, whole = 0.0, len(row) // WIDTH * WIDTH
    for start in range(0, whole, RUN):
        total += sum_exponentials(row, start, min(RUN, whole - start) // WIDTH, top)
    for j in range(whole, len(row)):
        total += math.exp(row[j] - top)
    return total


@njit(parallel=True, cache=True)
def long_slopes(x, labels, kept, each, largest, factor, gx):
    for i in prange(len(x)):
        if kept[i]:
            slopes_of(x[i], largest[i], factor[i], gx[i])
            gx[i, labels[i]] -= each[i]
        else:
            gx[i] = 0


@njit(nogil=True, cache=True)
def slopes_of(row, top, factor, slopes):
    whole = len(row) // WIDTH * WIDTH
    write_exponentials(row, 0, slopes, 0, whole // WIDTH, top, factor)
    for j in range(whole, len(row)):
        slopes[j] = math.exp(row[j] - top) * factor


def parts_of(rows, x):
    """Row numbers, divided into parts that fit into the nearest cache.

    Numbers that follow each other are a slice: there x[rows] is no copy.
    """
    at_once = max(1, PART // x.shape[1])
    parts = [rows[first : first + at_once] for first in range(0, len(rows), at_once)]
    return [
        slice(part[0], part[-1] + 1) if part[-1] - part[0] == len(part) - 1 else part
        for part in parts
    ]


def forward_rows(rows, x, labels, weight, smoothing, losses, largest, log_sum):
    mine, label = x[rows], labels[rows]
    top = mine.max(axis=1)
    scores = mine - top[:, None]
    own = scores[np.arange(len(label)), label]
    of_all = sum_of_all(scores, weight) if smoothing > 0 else None
    log_total = np.log(np.exp(scores, out=scores).sum(axis=1))
    loss = weighted(weight[label], log_total - own)
    if smoothing > 0:
        spread = weight.sum() * log_total - of_all
        loss = weighted(1 - smoothing, loss) + smoothing / x.shape[1] * spread
    losses[rows], largest[rows], log_sum[rows] = loss, top, log_total


def sum_of_all(x, weight):
    """The weighted sum of each row, over the classes that count: a score may be -inf."""
    counts = weight != 0
    return x @ weight if counts.all() else x[:, counts] @ weight[counts]


def backward_rows(rows, g, x, labels, weight, smoothing, largest, log_sum, gx):
    g, label = g[rows], labels[rows]
    own = (1 - smoothing) * weight[label]
    each = smoothing / x.shape[1] * weight
    slope = x[rows] - largest[rows, None]
    np.exp(slope, out=slope)
    slope *= (g * (own + each.sum()) * np.exp(-log_sum[rows]))[:, None]  # the last makes it p
    if smoothing > 0:
        slope -= g[:, None] * each
    slope[np.arange(len(label)), label] -= g * own
    gx[rows] = slope
