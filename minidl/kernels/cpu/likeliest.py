"""The likeliest words of a linear layer, found while its scores are still in registers' reach.

Of ten thousand scores of a row a search takes three, and their sum of exponentials. So no score is
written to memory: a panel of the weights (vector/panels.py) is multiplied by all rows, and of each
row's PANEL scores the largest decides whether any is among the best so far; then their
exponentials are added, relative to the largest score so far. Each part of the panels keeps its own
best and its own sum, and the parts are the same for any number of threads; so are the bits.

Weights that are promised to stay as they are (kernels/unchanging.py) have their panels made once.
"""

from __future__ import annotations

import math

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels import unchanging
from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.exponentials import add_and_find_largest, sum_exponentials
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


def likeliest(x, w, b, k, banned):
    if x.dtype != np.float32 or k * SHARE > len(w) or not x.size or len(x.T) >= LONG:
        return reference.likeliest(x, w, b, k, banned)
    if (panels := unchanging.prepared(w, make_panels)) is None:
        panels = make_panels(np.ascontiguousarray(w))
    (R, K), n_panels = x.shape, len(panels)
    step = -(-n_panels // PARTS)
    parts = -(-n_panels // step)
    bias = np.full(n_panels * PANEL, -np.inf, np.float32)  # the words that fill the last panel
    bias[: len(w)] = b
    tops, sums = np.full((parts, R), -np.inf, np.float32), np.zeros((parts, R))
    scores = np.full((parts, R, k), -np.inf, np.float32)
    words = np.zeros((parts, R, k), np.int64)
    size = rows_of_blocks(R) * PANEL
    with (
        scratch(size_of_rows(x), get_num_threads() * size) as (a, work),
        threads_for(w.size),
    ):
        write_rows(x, a)
        search_parts(
            BLOCKS, step, a, panels, bias, np.ascontiguousarray(banned), work, size, tops, sums,
            scores, words,
        )  # fmt: skip
    return together(tops, sums, scores, words)


@njit(parallel=True, cache=True)
def search_parts(blocks, step, a, panels, bias, banned, work, size, tops, sums, scores, words):
    check_blocks(blocks, BLOCKS)
    for p in prange(len(tops)):
        mine = get_thread_id() * size
        search_panels(
            p * step, min((p + 1) * step, len(panels)), a, panels, bias, banned,
            work[mine : mine + size], tops[p], sums[p], scores[p], words[p],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def search_panels(first, end, a, panels, bias, banned, work, tops, sums, scores, words):
    """One part: of each row its largest score, the sum of e^(score - largest), and the best."""
    rows, k = scores.shape
    K = panels.shape[1]
    for number in range(first, end):
        multiply_rows(rows, K, a, panels[number].reshape(K * PANEL), work, 0, PANEL, 0)
        for i in range(rows):
            top = add_and_find_largest(work, i * PANEL, bias, number * PANEL, VECTORS)
            if top > tops[i]:
                sums[i] *= math.exp(tops[i] - top)
                tops[i] = top
            if tops[i] > -np.inf:
                sums[i] += sum_exponentials(work, i * PANEL, VECTORS, tops[i])
            if top > scores[i, k - 1]:
                own = work[i * PANEL : (i + 1) * PANEL]
                keep_best(own, number * PANEL, banned[i], scores[i], words[i])


@njit(nogil=True, cache=True)
def keep_best(own, first, banned, scores, words):
    """Sort the scores of words from `first` on into the best so far; of equal ones the first."""
    for j in range(len(own)):
        if own[j] > scores[-1] and not is_among(first + j, banned):
            insert(own[j], first + j, scores, words)


@njit(nogil=True, cache=True)
def is_among(word, banned):
    for other in banned:
        if other == word:
            return True
    return False


@njit(nogil=True, cache=True)
def insert(score, word, scores, words):
    at = len(scores) - 1
    while at > 0 and score > scores[at - 1]:
        scores[at], words[at] = scores[at - 1], words[at - 1]
        at -= 1
    scores[at], words[at] = score, word


@njit(nogil=True, cache=True)
def together(tops, sums, scores, words):
    """The best words (R, k) of all parts and their log_probs, and the log of the sums."""
    parts, R, k = scores.shape
    log_sums = np.empty(R)
    log_probs = np.empty((R, k))
    for i in range(R):
        top, total = np.float64(tops[:, i].max()), 0.0
        for p in range(parts):
            if tops[p, i] > -np.inf:
                total += sums[p, i] * math.exp(tops[p, i] - top)
            if p > 0:
                for j in range(k):
                    if scores[p, i, j] > scores[0, i, k - 1]:
                        insert(scores[p, i, j], words[p, i, j], scores[0, i], words[0, i])
        log_sums[i] = top + math.log(total) if total > 0 else math.nan
        for j in range(k):
            log_probs[i, j] = scores[0, i, j] - log_sums[i]
    return words[0], log_probs, log_sums
