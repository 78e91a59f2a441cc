"""The likeliest words of a linear layer, found while its scores are still in registers' reach.

Of ten thousand scores of a row a search takes three, and their sum of exponentials. So no score is
written to memory: a panel of the weights (vector/panels.py) is multiplied by all rows, and each
row's PANEL scores are compared with its best so far and their exponentials added up while they are
in the nearest cache. Each part of the panels keeps its own best and its own sum, and the parts are
the same for any number of threads; so are the bits.

Weights that are promised to stay as they are (kernels/unchanging.py) have their panels made once.
"""

from __future__ import annotations

import math

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels import unchanging
from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.exponentials import (
    MOST,
    add_scores,
    first_bit,
    sum_exponentials,
)
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.matrix_product import BLOCKS, PANEL, check_blocks
from minidl.kernels.cpu.vector.panels import (
    make_panels,
    multiply_rows,
    rows_of_blocks,
    size_of_rows,
    write_rows,
)
from minidl.kernels.memory import scratch
from minidl.kernels.reference import likeliest as reference
from minidl.kernels.sums import LONG

PARTS = 8  # of the panels, which threads share
SHARE = 8  # of the words: to keep more than one in so many sorted takes longer than to sort them
VECTORS = PANEL // WIDTH
FAR = np.float32(10)  # above what exponentials are relative to: e^10 of them are no loss of digits
LOWEST = -1e30  # stands for -inf in differences


def likeliest(x, w, b, k, banned):
    if x.dtype != np.float32 or k * SHARE > len(w) or not x.size or len(x.T) >= LONG:
        return reference.likeliest(x, w, b, k, banned)
    if (panels := unchanging.prepared(w, make_panels)) is None:
        panels = make_panels(np.ascontiguousarray(w))
    R, n_panels = len(x), len(panels)
    step = -(-n_panels // PARTS)
    parts = -(-n_panels // step)
    bias = np.full(n_panels * PANEL, -np.inf, np.float32)  # the words that fill the last panel
    bias[: len(w)] = b
    shifts = np.full((parts, R), LOWEST, np.float32)
    sums = np.zeros((parts, R, WIDTH), np.float32)
    scores = np.full((parts, R, k), -np.inf, np.float32)
    words = np.zeros((parts, R, k), np.int64)
    size = rows_of_blocks(R) * PANEL
    with (
        scratch(size_of_rows(x), get_num_threads() * size) as (a, work),
        threads_for(w.size),
    ):
        write_rows(x, a)
        search_parts(
            BLOCKS, step, a, panels, bias, np.ascontiguousarray(banned), work, size, shifts, sums,
            scores, words,
        )  # fmt: skip
    return together(shifts, sums, scores, words)


@njit(parallel=True, cache=True)
def search_parts(blocks, step, a, panels, bias, banned, work, size, shifts, sums, scores, words):
    check_blocks(blocks, BLOCKS)
    for p in prange(len(shifts)):
        mine = get_thread_id() * size
        search_panels(
            p * step, min((p + 1) * step, len(panels)), a, panels, bias, banned,
            work[mine : mine + size], shifts[p], sums[p], scores[p], words[p],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def search_panels(first, end, a, panels, bias, banned, work, shifts, sums, scores, words):
    """One part: of each row the best, a number near its largest score, and the sum of
    e^(score - that number) in the lanes of a vector.

    Few panels have a score that is better than the best so far. One that is far larger becomes what
    the exponentials are relative to.
    """
    rows, k = scores.shape
    K = panels.shape[1]
    lanes = sums.reshape(rows * WIDTH)
    for number in range(first, end):
        multiply_rows(rows, K, a, panels[number].reshape(K * PANEL), work, 0, PANEL, 0)
        for i in range(rows):
            limit = min(scores[i, k - 1], shifts[i] + FAR)
            found = add_scores(
                work, i * PANEL, bias, number * PANEL, lanes, i * WIDTH, shifts[i], limit
            )
            if found:
                top = keep_best(i, found, work, number * PANEL, banned, scores, words)
                if top > shifts[i] + FAR:
                    change_shift(i, top, work, shifts, sums)


@njit(nogil=True, cache=True)
def keep_best(i, found, work, first, banned, scores, words):
    """Sort scores of row i that were found into its best; of equal ones the first stays in front.

    Args:
        found: a bit for each of PANEL scores, of words from `first` on.

    Returns:
        The largest of them. (Slices of arrays would cost more than all this.)
    """
    last, top = scores.shape[1] - 1, -np.inf
    while found:
        j = first_bit(found)
        found &= found - 1
        score = work[i * PANEL + j]
        top = max(top, score)
        if score > scores[i, last] and not is_banned(first + j, i, banned):
            insert(score, first + j, i, scores, words)
    return top


@njit(nogil=True, cache=True)
def change_shift(i, top, work, shifts, sums):
    """Exponentials of row i are relative to `top` from here on. Where those of these scores were
    out of range, what was added before them is lost in their sum anyway."""
    if top - shifts[i] < MOST:
        scale = np.float32(math.exp(shifts[i] - top))
        for lane in range(WIDTH):
            sums[i, lane] *= scale
    else:
        sums[i] = 0
        sums[i, 0] = sum_exponentials(work, i * PANEL, VECTORS, np.float32(top))
    shifts[i] = top


@njit(nogil=True, cache=True)
def is_banned(word, i, banned):
    for n in range(banned.shape[1]):
        if banned[i, n] == word:
            return True
    return False


@njit(nogil=True, cache=True)
def insert(score, word, i, scores, words):
    at = scores.shape[1] - 1
    while at > 0 and score > scores[i, at - 1]:
        scores[i, at], words[i, at] = scores[i, at - 1], words[i, at - 1]
        at -= 1
    scores[i, at], words[i, at] = score, word


@njit(nogil=True, cache=True)
def together(shifts, sums, scores, words):
    """The best words (R, k) of all parts and their log_probs, and the log of the sums."""
    parts, R, k = scores.shape
    log_sums = np.empty(R)
    log_probs = np.empty((R, k))
    for i in range(R):
        top, total = np.float64(shifts[:, i].max()), 0.0
        for p in range(parts):
            total += sums[p, i].sum() * math.exp(shifts[p, i] - top)
            if p > 0:
                for j in range(k):
                    if scores[p, i, j] > scores[0, i, k - 1]:
                        insert(scores[p, i, j], words[p, i, j], i, scores[0], words[0])
        log_sums[i] = top + math.log(total) if total > 0 else math.nan
        for j in range(k):
            log_probs[i, j] = scores[0, i, j] - log_sums[i]
    return words[0], log_probs, log_sums
