"""The minimum error boundary cut (Efros and Freeman 2001, section 2.1).

Where a new patch overlaps old ones, both have a value for each pixel. The seam between them runs
where they differ least: the cheapest path through the squared differences e,

    E[i, j] = e[i, j] + min(E[i-1, j-1], E[i-1, j], E[i-1, j+1])

row by row, and back from the smallest entry of the last row.
"""

from __future__ import annotations

import numpy as np


def cheapest_path(cost: np.ndarray) -> np.ndarray:
    """The path from the first row to the last: for each row its column.

    Args:
        cost: (rows, columns); from one row to the next the path moves by at most one column.

    Returns:
        (rows,), int; the leftmost of equally cheap ones.
    """
    rows, columns = cost.shape
    totals = cost.astype(np.float64)
    for i in range(1, rows):
        padded = np.pad(totals[i - 1], 1, constant_values=np.inf)
        totals[i] += np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    path = np.empty(rows, np.int64)
    path[-1] = totals[-1].argmin()
    for i in range(rows - 2, -1, -1):
        first = max(0, path[i + 1] - 1)
        path[i] = first + totals[i, first : path[i + 1] + 2].argmin()
    return path


def old_pixels(cost: np.ndarray, overlaps: tuple[int, int, int, int]) -> np.ndarray:
    """Which pixels of a patch stay what they were.

    Args:
        cost: (R, S): the squared difference between the patch and what is there.
        overlaps: how many rows or columns of the patch have older pixels at its left, top, right
            and bottom side.

    Returns:
        (R, S), bool: those on the old side of one of the cuts. The path itself is new.
    """
    left, top, right, bottom = overlaps
    return (
        beside_cut(cost, left)
        | beside_cut(cost.T, top).T
        | beside_cut(cost[:, ::-1], right)[:, ::-1]
        | beside_cut(cost[::-1].T, bottom).T[::-1]
    )


def beside_cut(cost: np.ndarray, overlap: int) -> np.ndarray:
    """(R, S), bool: the pixels to the left of a cut through the first `overlap` columns."""
    if overlap == 0:
        return np.zeros(cost.shape, bool)
    path = cheapest_path(cost[:, :overlap])
    return np.arange(cost.shape[1]) < path[:, None]
