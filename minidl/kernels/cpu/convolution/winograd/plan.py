"""How the tiles of a convolution are divided, and how much working memory that takes.

It follows from shapes, and those of a layer are the same in every step: what is found here is kept.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from minidl.kernels.cpu.convolution.winograd.tiles import (
    bounds_of,
    count_tiles,
    entries_of,
    panels,
    spread,
    tile_of,
)
from minidl.kernels.cpu.convolution.winograd.views import COLUMNS, ROWS
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.matrix_product import PANEL, block_rows

KEPT = 256  # plans of each kind
WEIGHTS = 2**14  # numbers that a thread transforms at a time


class Blocks(NamedTuple):
    """Blocks of tiles: (part, first, end) of each, bounds of the channels whose weights are
    transformed together, and how many numbers all of U has, and V and M of a thread."""

    blocks: np.ndarray
    channels: np.ndarray
    U_size: int
    V_size: int
    M_size: int


class Panels(NamedTuple):
    """Panels of output channels: tiles of each part, the size of an entry of V, and how many
    numbers V has of each part, and U and M of a thread."""

    counts: np.ndarray
    V_entry: int
    V_size: int
    U_size: int
    M_size: int


@lru_cache(maxsize=KEPT)
def counts_of(N: int, R: int, views: bytes) -> tuple[int, ...]:
    """Tiles of each view of N pictures; the views as the bytes of their array."""
    rows = np.frombuffer(views, np.int64).reshape(-1, 8)
    return tuple(int(count_tiles(N, view[ROWS], view[COLUMNS], tile_of(R))) for view in rows)


@lru_cache(maxsize=KEPT)
def blocks_of(counts: tuple[int, ...], R: int, C: int, K: int, at_once: int) -> Blocks:
    """No block has more than `at_once` tiles."""
    blocks = [
        (part, first, end)
        for part, n_tiles in enumerate(counts)
        for first, end in pairwise(bounds_of(n_tiles, at_once))
    ]
    rows = max(map(block_rows, {end - first for _, first, end in blocks}), default=0)
    V_size, M_size = (entries_of(R) * spread(rows * n) for n in (C, panels(K) * PANEL))
    return Blocks(
        np.array(blocks).reshape(-1, 3),
        WIDTH * bounds_of(C // WIDTH, max(1, WEIGHTS // K // WIDTH)),
        len(counts) * panels(K) * entries_of(R) * spread(C * PANEL), V_size, M_size,
    )  # fmt: skip


@lru_cache(maxsize=KEPT)
def panels_of(counts: tuple[int, ...], R: int, C: int, step: int, at_once: int) -> Panels:
    """`at_once` panels at a time, and `step` of the C channels."""
    rows, entries = block_rows(max(counts)), entries_of(R)
    V_entry = spread(rows * step)
    return Panels(
        np.array(counts), V_entry, -(-C // step) * entries * V_entry,
        at_once * entries * spread(step * PANEL), entries * spread(rows * at_once * PANEL),
    )  # fmt: skip
