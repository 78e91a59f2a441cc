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
HEAD = 8  # numbers compared of every block, before any is given up
TAPS = 8  # numbers compared between two looks at whether a block can be given up


def prepare(sample):
    """The sample as one row of numbers, with as many behind it as a block may reach over."""
    row = np.zeros(sample.size + LANES, sample.dtype)
    row[: sample.size] = sample.ravel()
    return row


def candidates(sample, allowed, picture, known, places, weights, order, tolerance):
    shares = shares_for(len(places), allowed.size * weights.size)
    search = search_side_by_side if shares else search_one_by_one
    shares = max(1, shares)
    positions = np.empty((len(places), allowed.size), np.int64)
    errors = np.empty((len(places), allowed.size), sample.dtype)
    counts = np.empty((len(places), shares), np.int64)
    limits = np.empty((len(places), shares), sample.dtype)
    totals = np.empty(len(places), sample.dtype)
    search(
        sample, allowed, picture, known, places, weights, order,
        sample.dtype.type(1 + tolerance), positions, errors, counts, limits, totals,
    )  # fmt: skip
    found = counts[:, 0].tolist()
    return [(positions[i, :n].copy(), errors[i, :n].copy()) for i, n in enumerate(found)]


def shares_for(places, differences):
    """Among how many parts the positions are divided: one if there are places for all threads.

    The first block of each part has nothing to be compared with, so parts are few and large.

    Args:
        places: how many.
        differences: how many there are for each place, most of which need not be computed.

    Returns:
        0 if a single thread is done before another one has woken.
    """
    if places * differences < SMALL or (threads := get_num_threads()) == 1:
        return 0
    return 1 if places >= threads else 2 * threads


@njit(nogil=True, cache=True)
def search_one_by_one(
    sample, allowed, picture, known, places, weights, order, factor, positions, errors, counts,
    limits, totals,
):  # fmt: skip
    for unit in range(limits.size):
        search_share(
            unit, sample, allowed, picture, known, places, weights, order, factor, positions,
            errors, counts, limits, totals,
        )  # fmt: skip
    for n in range(len(places)):
        gather_found(
            len(weights[0]), allowed, positions[n], errors[n], counts[n], limits[n], totals[n]
        )


@njit(parallel=True, cache=True)
def search_side_by_side(
    sample, allowed, picture, known, places, weights, order, factor, positions, errors, counts,
    limits, totals,
):  # fmt: skip
    for unit in prange(limits.size):
        search_share(
            unit, sample, allowed, picture, known, places, weights, order, factor, positions,
            errors, counts, limits, totals,
        )  # fmt: skip
    for n in range(len(places)):
        gather_found(
            len(weights[0]), allowed, positions[n], errors[n], counts[n], limits[n], totals[n]
        )


@njit(nogil=True, cache=True)
def search_share(
    unit, sample, allowed, picture, known, places, weights, order, factor, positions, errors,
    counts, limits, totals,
):  # fmt: skip
    """The positions of a share whose sums of squares were small enough when they were found, and
    these sums, in positions[n] and errors[n] from the share's first row on; how many they are;
    limits[n, share] = the smallest sum of this share times the factor."""
    H, W = allowed.shape
    _, R, S = weights.shape
    shares = limits.shape[1]
    n, share = unit // shares, unit % shares
    offsets = np.empty(weights.size, np.intp)
    values = np.empty(weights.size, weights.dtype)
    factors = np.empty(weights.size, weights.dtype)
    taps, total = gather(
        picture, known, places[n, 0], places[n, 1], weights, order, H, W, offsets, values, factors
    )
    if share == 0:
        totals[n] = total
    first, last = rows_of(share, shares, H - R + 1)
    counts[n, share], limits[n, share] = search_rows(
        first, last, W - S + 1, sample, allowed, offsets[:taps], values[:taps], factors[:taps],
        factor, positions[n, first * W :], errors[n, first * W :],
    )  # fmt: skip


@njit(nogil=True, cache=True)
def rows_of(share, shares, OH):
    """The first and the last + 1 of the rows of positions of a share."""
    return OH * share // shares, OH * (share + 1) // shares


@njit(nogil=True, cache=True)
def gather_found(R, allowed, positions, errors, counts, limits, total):
    """Move what all shares found, and is small enough for each of them, to the beginning, and
    divide it by the total of the weights. How much that is, is in counts[0] then."""
    limit, n, divisor = limits.min(), 0, total if total != 0 else total + 1
    for share in range(len(counts)):
        first, _ = rows_of(share, len(counts), len(allowed) - R + 1)
        start = first * allowed.shape[1]
        for i in range(start, start + counts[share]):
            if errors[i] <= limit:
                positions[n], errors[n] = positions[i], errors[i] / divisor
                n += 1
    counts[0] = n


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
def search_rows(
    first, last, OW, sample, allowed, offsets, values, factors, factor, positions, errors
):
    """Rows first to last: the weightiest numbers of all blocks, then the rest of the best block,
    which says what is small enough, then that of all others for as long as they are. Returns how
    many positions were found, ascending, and the smallest sum times the factor."""
    W = allowed.shape[1]
    columns = (OW + LANES - 1) // LANES
    sums = np.empty(((last - first) * columns, LANES), errors.dtype)
    least, best, head = errors.dtype.type(np.inf), -1, min(HEAD, len(offsets))
    for block in range(len(sums)):
        y, x = first + block // columns, block % columns * LANES
        if begin(allowed, y, x, OW, sums[block]):
            start = y * W + x
            if add_squares(0, head, sample, start, offsets, values, factors, least, sums[block]):
                least_here = smallest(sums[block])
                if least_here < least or best < 0:
                    least, best = least_here, block
    limit, n = errors.dtype.type(np.inf), 0
    for number in range(-1, len(sums)):
        block = best if number < 0 else number
        if block < 0:
            continue
        y, x = first + block // columns, block % columns * LANES
        start = y * W + x
        if number != best and not complete(
            head, sample, start, offsets, values, factors, limit, sums[block]
        ):
            continue
        if number < 0:
            limit = smallest(sums[block]) * factor
            continue
        for i in range(min(LANES, OW - x)):
            if sums[block, i] <= limit and sums[block, i] < np.inf:
                positions[n], errors[n] = start + i, sums[block, i]
                limit = min(limit, sums[block, i] * factor)
                n += 1
    return n, limit


@njit(nogil=True, cache=True)
def begin(allowed, y, x, OW, sums):
    """The sums of a block: 0 for positions that may be found, infinity for others, which is never
    small enough. Whether there are any of the first kind."""
    n, inside = 0, min(LANES, OW - x)
    for i in range(inside):
        n += allowed[y, x + i]
        sums[i] = 0 if allowed[y, x + i] else np.inf
    sums[inside:] = np.inf
    return n > 0


@njit(nogil=True, cache=True)
def smallest(sums):
    """Of those that are numbers, infinity if there are none."""
    least = sums.dtype.type(np.inf)
    for i in range(len(sums)):
        least = sums[i] if sums[i] < least else least
    return least


@njit(nogil=True, cache=True)
def complete(tap, sample, start, offsets, values, factors, limit, sums):
    """Add all taps from one on, unless no sum is small enough before; whether one is."""
    possible = add_squares(tap, tap, sample, start, offsets, values, factors, limit, sums)
    while possible and tap < len(offsets):
        first, tap = tap, min(tap + TAPS, len(offsets))
        possible = add_squares(first, tap, sample, start, offsets, values, factors, limit, sums)
    return possible
