"""One step of an LSTM that reads words, where many go on from few states.

In the beams of a search the same words come again and again, in one step and in the next ones. So
what a word adds to the gates is computed once and kept, as long as embedding and weights are
promised to stay as they are (kernels/unchanging.py). It does not depend on the company that a word
is in; nor do the bits.
"""

from __future__ import annotations

import threading

import numpy as np
from numba import njit

from minidl.kernels import unchanging
from minidl.kernels.cpu import lstm
from minidl.kernels.cpu.vector.lstm_step import ROW, room_for, step_alone, step_with_panels
from minidl.kernels.memory import aligned

MOST_KEPT = 2**23  # numbers that are kept of words


class Memo:
    """What words add to the gates of an LSTM, of those that it has read."""

    def __init__(self, embedding: np.ndarray, w_ih: np.ndarray):
        rows = room_for(min(len(embedding), MOST_KEPT // len(w_ih)))
        self.table = aligned((len(w_ih) // ROW, rows, ROW), embedding.dtype)
        self.places = np.full(len(embedding), -1, np.int64)  # rows of the table
        self.count = 0
        self.lock = threading.Lock()

    def look_up(self, words: np.ndarray) -> tuple[np.ndarray, int, np.ndarray]:
        """Those that are new, the row from which on they belong into the table, and their rows."""
        if self.count + room_for(len(words)) > self.table.shape[1]:
            self.forget()
        first = self.count
        new, places = find_places(words, self.places, first)
        self.count += len(new)
        return new, first, places

    def forget(self) -> None:
        self.places[:] = -1
        self.count = 0


def word_step(words, embedding, h, c, parents, w_ih, w_hh, b):
    panels = lstm.panels_of(h, w_ih, w_hh)
    if panels is None or not embedding.size or not len(words):
        return lstm.step(embedding[words], h[parents], c[parents], w_ih, w_hh, b)
    words, parents = (np.ascontiguousarray(numbers) for numbers in (words, parents))
    memo = unchanging.prepared(embedding, Memo, w_ih)
    if memo is not None and room_for(len(words)) <= memo.table.shape[1]:
        if memo.lock.acquire(blocking=False):  # else another thread searches with these weights
            try:
                new, first, places = memo.look_up(words)
                return step_with_panels(
                    embedding, new, first, memo.table, places, h, c, parents, *panels, b
                )
            except BaseException:  # Ctrl-C, say: rows that were promised may not be there
                memo.forget()
                raise
            finally:
                memo.lock.release()
    return step_alone(np.ascontiguousarray(embedding), words, h, c, parents, *panels, b)


@njit(nogil=True, cache=True)
def find_places(words, places, count):
    """Which words (N,) have no place yet, in the order in which they come, and the places of all.

    The new ones get the next places after `count`.
    """
    new, found = np.empty(len(words), np.int64), np.empty(len(words), np.int64)
    n = 0
    for i, word in enumerate(words):
        if places[word] < 0:
            places[word] = count + n
            new[n] = word
            n += 1
        found[i] = places[word]
    return new[:n], found
