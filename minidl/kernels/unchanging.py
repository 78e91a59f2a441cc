"""Matrices that stay as they are for a while, so that kernels may prepare what they need of them.

A product brings both matrices into the order in which it reads them. Where the same weights are
multiplied by a few rows again and again, word by word in a search, that takes as long as the
product itself, or longer. Nothing in an array tells that it will not change, so the caller has to
promise it: minidl.nn.unchanging.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

lock = threading.Lock()
entries: dict[tuple, Entry] = {}


class Entry:
    """A matrix, how many have promised that it does not change, and what kernels made of it."""

    def __init__(self, matrix: np.ndarray):
        self.matrix = matrix  # keeps its memory from being used for another
        self.promises = 0
        self.prepared: dict[tuple, Any] = {}


class unchanging:
    """`with unchanging(matrices):` none of them is written to inside.

    Args:
        matrices: float32 arrays (N, K), row by row in memory. Others are left out.
    """

    def __init__(self, matrices: Sequence[np.ndarray]):
        self.matrices = [
            x for x in matrices
            if isinstance(x, np.ndarray) and x.ndim == 2 and x.dtype == np.float32
            and x.size and x.flags.c_contiguous
        ]  # fmt: skip

    def __enter__(self):
        with lock:
            for matrix in self.matrices:
                entries.setdefault(key_of(matrix), Entry(matrix)).promises += 1

    def __exit__(self, *exception):
        with lock:
            for matrix in self.matrices:
                entry = entries[key_of(matrix)]
                entry.promises -= 1
                if entry.promises == 0:
                    del entries[key_of(matrix)]


def key_of(matrix: np.ndarray) -> tuple:
    """Where a matrix lies, and how."""
    return matrix.__array_interface__["data"][0], matrix.shape, matrix.strides


def prepared(matrix: np.ndarray, prepare: Callable, *others: np.ndarray) -> Any:
    """What prepare(matrix, *others) returned the first time; None where nobody promised that all
    of them stay."""
    entry, *rest = (entries.get(key_of(x)) for x in (matrix, *others))
    if entry is None or None in rest:
        return None
    key = prepare, *rest  # not where the others lie: a promise may end, and be given again
    with lock:
        if key not in entry.prepared:
            entry.prepared[key] = prepare(entry.matrix, *(other.matrix for other in rest))
    return entry.prepared[key]
