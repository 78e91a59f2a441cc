"""Lists of numbers of different lengths, from which one is drawn at random for each of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


class Rows:
    """Rows of numbers.

    Args:
        rows: of each row its numbers.

    >>> from apps.shared.rows import Rows
    >>> captions = Rows([[0, 1], [2]])
    >>> captions.pick(np.array([1, 1]), np.random.default_rng(0)).tolist()
    [2, 2]
    """

    def __init__(self, rows: Iterable[Sequence[int] | np.ndarray]):
        arrays = [np.asarray(row, np.int64) for row in rows]
        self.sizes = np.array([len(row) for row in arrays], np.int64)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.flat = np.concatenate(arrays) if arrays else np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, row: int | np.integer) -> np.ndarray:
        return self.flat[self.starts[row] : self.starts[row] + self.sizes[row]]

    def have(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Whether each of these rows has the number beside it.

        Args:
            rows, numbers: int (N,).

        Returns:
            bool (N,).
        """
        return np.array([n in self[row] for row, n in zip(rows, numbers)], bool)

    def pick(self, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """One number of each of these rows; of an empty one any number at all.

        Args:
            rows: int (N,).
            random: where the choice comes from.

        Returns:
            int64 (N,).
        """
        within = (random.random(len(rows)) * self.sizes[rows]).astype(np.int64)
        return self.flat[np.minimum(self.starts[rows] + within, len(self.flat) - 1)]
