"""Window search, compiled: LANES neighbouring positions at a time, given up as soon as possible.

A sum of squares only grows. Once those of all positions of a block are above the smallest complete
one times 1 + tolerance, no more pixels are added: none of the block can be a candidate, whatever
follows. So the block that begins best is completed first. In a texture that leaves about a third of
the work, and the candidates are the same.

Several places, or parts of the sample for one place, are searched by several threads. Each compares
with the smallest sum that it has seen itself: which positions are given up depends on the threads,
the candidates do not.

Shapes as in the reference kernel. Products are not fused with additions: both sets give the same
bits, so the same candidates where errors are equal or nearly so.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, njit, prange

from minidl.kernels.cpu.vector.squares import LANES, add_squares

SMALL = 2**25  # differences: about half a millisecond, of which it takes a third to wake a thread
HEAD = 24  # numbers compared of every block, before any is given up
TAPS = 12  # numbers compared between two looks at whether a block can be given up


def prepare(sample):
    """The sample as one row of numbers, with as many behind it as a block may reach over."""
    row = np.zeros(sample.size + LANES, sample.dtype)
    row[: sample.size] = sample.ravel()
    return row


def candidates(sample, allowed, picture, known, places, weights, order, tolerance):
    shares = shares_for(len(places), allowed.size * weights.size)
    search = search_side_by_side if shares else search_one_by_one
    shares = max(1, shares)
    errors = np.empty((len(places), allowed.size), sample.dtype)
    limits = np.empty((len(places), shares), sample.dtype)
    totals = np.empty(len(places), sample.dtype)
    search(
        sample, allowed, picture, known, places, weights, order,
        sample.dtype.type(1 + tolerance), errors, limits, totals,
    )  # fmt: skip
    found = []
    for row, limit, total in zip(errors, limits, totals):
        positions = within(row, limit.min() if shares > 1 else limit[0])
        near = row[positions]
        found.append((positions, near / total if total else near))
    return found


def shares_for(places, differences):
    """Among how many parts the positions are divided: one if there are places for all threads.

    The first block of each part has nothing to be compared with, so parts are few and large.

    Args:
        places: how many.
        differences: how many there are for each place, most of which need not be computed.

    Returns:
        0 if a single thread is done before another one has woken.
    """
    threads = get_num_threads()
    if threads == 1 or places * differences < SMALL:
        return 0
    return 1 if places >= threads else 2 * threads


@njit(nogil=True, cache=True)
def search_one_by_one(
    sample, allowed, picture, known, places, weights, order, factor, errors, limits, totals
):
    for unit in range(limits.size):
        search_share(
            unit, sample, allowed, picture, known, places, weights, order, factor, errors, limits,
            totals,
        )  # fmt: skip


@njit(parallel=True, cache=True)
def search_side_by_side(
    sample, allowed, picture, known, places, weights, order, factor, errors, limits, totals
):
    for unit in prange(limits.size):
        search_share(
            unit, sample, allowed, picture, known, places, weights, order, factor, errors, limits,
            totals,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def search_share(
    unit, sample, allowed, picture, known, places, weights, order, factor, errors, limits, totals
):
    """errors[n, y W + x] = the sum of squares, or infinity where the position was given up;
    limits[n, share] = the smallest sum of this share times the factor."""
    H, W = allowed.shape
    _, R, S = weights.shape
    OH, shares = H - R + 1, limits.shape[1]
    n, share = unit // shares, unit % shares
    offsets = np.empty(weights.size, np.intp)
    values = np.empty(weights.size, weights.dtype)
    factors = np.empty(weights.size, weights.dtype)
    taps, total = gather(
        picture, known, places[n, 0], places[n, 1], weights, order, H, W, offsets, values, factors
    )
    if share == 0:
        totals[n] = total
    if share == shares - 1:
        errors[n, OH * W :] = np.inf
    limits[n, share] = search_rows(
        OH * share // shares, OH * (share + 1) // shares, W - S + 1, sample, allowed,
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
    """Rows first to last: the weightiest numbers of all blocks, then the rest of the best block,
    which says what is small enough, then that of all others for as long as they are. Returns the
    smallest sum times the factor."""
    W = allowed.shape[1]
    errors[first * W : last * W] = np.inf
    columns = (OW + LANES - 1) // LANES
    sums = np.empty(((last - first) * columns, LANES), errors.dtype)
    least, best, head = errors.dtype.type(np.inf), -1, min(HEAD, len(offsets))
    for block in range(len(sums)):
        y, x = first + block // columns, block % columns * LANES
        sums[block] = np.nan  # never small enough
        if any_allowed(allowed, y, x, OW):
            sums[block] = 0
            start = y * W + x
            if add_squares(0, head, sample, start, offsets, values, factors, least, sums[block]):
                smallest = least_allowed(allowed, y, x, OW, sums[block])
                if smallest < least or best < 0:
                    least, best = smallest, block
    limit = errors.dtype.type(np.inf)
    for number in range(-1, len(sums)):
        block = best if number < 0 else number
        if block < 0 or number == best:
            continue
        y, x = first + block // columns, block % columns * LANES
        start, tap = y * W + x, head
        possible = add_squares(
            head, head, sample, start, offsets, values, factors, limit, sums[block]
        )
        while possible and tap < len(offsets):
            begin, tap = tap, min(tap + TAPS, len(offsets))
            possible = add_squares(
                begin, tap, sample, start, offsets, values, factors, limit, sums[block]
            )
        if possible:
            for i in range(min(LANES, OW - x)):
                if allowed[y, x + i] and sums[block, i] < np.inf:  # that is no NaN either
                    errors[start + i] = sums[block, i]
                    limit = min(limit, sums[block, i] * factor)
    return limit


@njit(nogil=True, cache=True)
def any_allowed(allowed, y, x, OW):
    n = 0
    for i in range(x, min(x + LANES, OW)):
        n += allowed[y, i]
    return n > 0


@njit(nogil=True, cache=True)
def least_allowed(allowed, y, x, OW, sums):
    """The smallest sum of a block, of positions that may be found."""
    least = sums.dtype.type(np.inf)
    for i in range(min(LANES, OW - x)):
        if allowed[y, x + i] and sums[i] < least:
            least = sums[i]
    return least


@njit(nogil=True, cache=True)
def within(errors, limit):
    """The positions of errors up to the limit; infinity is none."""
    n = 0
    for error in errors:
        n += error <= limit and error < np.inf
    positions = np.empty(n, np.int64)
    n = 0
    for i in range(len(errors)):
        if errors[i] <= limit and errors[i] < np.inf:
            positions[n] = i
            n += 1
    return positions
