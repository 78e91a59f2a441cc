"""The examples that are nearest to patches: products of matrices, and the smallest of each row."""

from __future__ import annotations

import numpy as np

CHUNK = 512  # places whose candidates are searched for at once, at most
DISTANCES = 2**25  # between places and examples, computed at once
GROUP = 32  # values whose smallest is found first


def chunk_for(examples: int) -> int:
    """How many places are searched for at once: fewer if there are many examples."""
    return min(CHUNK, max(1, DISTANCES // examples))


def nearest_examples(
    wanted: np.ndarray, middle: np.ndarray, squares: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest examples of each patch, nearest first, and their squared distances.

    |a - b|^2 = |a|^2 - 2 a b + |b|^2: the products of all pairs are one matrix product.

    Args:
        wanted: (n, MIDDLE^2), the patches.
        middle: (N, MIDDLE^2), the examples.
        squares: (N,), |b|^2 of each example.
        k: at most N.

    Returns:
        numbers of examples and distances, (n, k).
    """
    near, values = smallest(squares - 2 * (wanted @ middle.T), k)
    return near, np.maximum(values + (wanted**2).sum(axis=1, keepdims=True), 0)


def smallest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns of the k smallest values of each row, ascending, and these values.

    Columns j, j + n, j + 2 n, ... are a group. The k smallest values lie in the k groups with the
    smallest minima, and those are found eight times as fast as the values among all.
    """
    rows, columns = values.shape
    n = columns // GROUP
    if n < k:
        return sorted_columns(values, np.argpartition(values, k - 1, axis=1)[:, :k])
    grouped = values[:, : n * GROUP].reshape(rows, GROUP, n)
    groups = np.argpartition(grouped.min(axis=1), k - 1, axis=1)[:, :k]
    members = (groups[:, None, :] + n * np.arange(GROUP)[:, None]).reshape(rows, -1)
    rest = np.broadcast_to(np.arange(n * GROUP, columns), (rows, columns - n * GROUP))
    members = np.concatenate([members, rest], axis=1)
    few = np.take_along_axis(values, members, axis=1)
    near = np.argpartition(few, k - 1, axis=1)[:, :k]
    return sorted_columns(values, np.take_along_axis(members, near, axis=1))


def sorted_columns(values: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of each row in the order of their values, and the values."""
    found = np.take_along_axis(values, columns, axis=1)
    order = np.argsort(found, axis=1, kind="stable")
    return np.take_along_axis(columns, order, 1), np.take_along_axis(found, order, 1)
