"""Window search, compiled: LANES neighbouring positions at a time, given up as soon as possible.

A sum of squares only grows. Once those of all positions of a block are above the smallest complete
one times 1 + tolerance, no more pixels are added: none of the block can be a candidate, whatever
follows. In a texture that leaves a tenth to a third of the work, and the candidates are the same.

Several places, or parts of the sample for one place, are searched by several threads. Each compares
with the smallest sum that it has seen itself: which positions are given up depends on the threads,
the candidates do not.

Shapes as in the reference kernel. Products are not fused with additions: both sets give the same
bits, so the same candidates where errors are equal or nearly so.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, njit, prange

from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.squares import LANES, add_squares

TAPS = 12  # numbers compared between two looks at whether a block can be given up


def prepare(sample):
    """The sample as one row of numbers, with as many behind it as a block may reach over."""
    row = np.zeros(sample.size + LANES, sample.dtype)
    row[: sample.size] = sample.ravel()
    return row


def candidates(sample, allowed, picture, known, places, weights, order, tolerance):
    errors = np.empty((len(places), allowed.size), sample.dtype)
    shares = shares_for(len(places), allowed.size)
    factor = sample.dtype.type(1 + tolerance)
    totals = np.empty(len(places), sample.dtype)
    # A number costs a tenth of what it costs to be moved: most are given up, the rest in registers.
    with threads_for(len(places) * allowed.size * weights.size // 10):
        search(
            sample, allowed, picture, known, places, weights, order, factor, shares, errors, totals
        )
    found = []
    for row, total in zip(errors, totals):
        positions = np.flatnonzero(row <= row.min() * factor)
        near = row[positions]
        found.append((positions, near / total if total else near))
    return found


def shares_for(places, positions):
    """Among how many parts the positions are divided: one if there are places for all threads.

    The first block of each part has nothing to be compared with, so parts are few and large.
    """
    threads = get_num_threads()
    return 1 if places >= threads else min(2 * threads, max(1, positions // 4096))


@njit(parallel=True, cache=True)
def search(sample, allowed, picture, known, places, weights, order, factor, shares, errors, totals):
    """errors[n, y W + x] = the sum of squares, or infinity where the position was given up."""
    H, W = allowed.shape
    _, R, S = weights.shape
    OH = H - R + 1
    for unit in prange(len(places) * shares):
        n, share = unit // shares, unit % shares
        offsets = np.empty(weights.size, np.intp)
        values = np.empty(weights.size, weights.dtype)
        factors = np.empty(weights.size, weights.dtype)
        taps, total = gather(
            picture, known, places[n, 0], places[n, 1], weights, order, H, W,
            offsets, values, factors,
        )  # fmt: skip
        if share == 0:
            totals[n] = total
        first, last = OH * share // shares, OH * (share + 1) // shares
        if share == shares - 1:
            errors[n, OH * W :] = np.inf
        search_rows(
            first, last, W - S + 1, sample, allowed,
            offsets[:taps], values[:taps], factors[:taps], factor, errors[n],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def gather(picture, known, y, x, weights, order, H, W, offsets, values, factors):
    """The known numbers of the window at y, x: where they lie in a window of the sample, what
    they are, how much they count. How many there are, and the sum of the weights."""
    P, R, S = weights.shape
    taps, total = 0, weights.dtype.type(0)
    for pixel in order:
        r, s = pixel // S, pixel % S
        for p in range(P):
            if known[p, y + r, x + s]:
                offsets[taps] = (p * H + r) * W + s
                values[taps] = picture[p, y + r, x + s]
                factors[taps] = weights[p, r, s]
                total += weights[p, r, s]
                taps += 1
    return taps, total


@njit(nogil=True, cache=True)
def search_rows(first, last, OW, sample, allowed, offsets, values, factors, factor, errors):
    W = allowed.shape[1]
    sums = np.empty(LANES, errors.dtype)
    limit = errors.dtype.type(np.inf)
    for y in range(first, last):
        errors[y * W : (y + 1) * W] = np.inf
        for x in range(0, OW, LANES):
            n = min(LANES, OW - x)
            usable = 0
            for i in range(n):
                usable += allowed[y, x + i]
            if usable == 0:
                continue
            sums[:] = 0
            tap, possible = 0, True
            while possible and tap < len(offsets):
                first_tap, tap = tap, min(tap + TAPS, len(offsets))
                possible = add_squares(
                    first_tap, tap, sample, y * W + x, offsets, values, factors, limit, sums
                )
            if not possible:
                continue
            for i in range(n):
                if allowed[y, x + i]:
                    errors[y * W + x + i] = sums[i]
                    limit = min(limit, sums[i] * factor)
