"""What a server holds of a chunk; aggregate.py says what happens to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl_dist.checksum import checksum
from minidl_dist.modes import existing
from minidl_dist.plan import Chunk, Plan


class ChunkState:
    """A chunk: its values in two versions, the optimizer's state, and the step in progress.

    Attributes:
        values, version: the newest; version t has all slots of all steps below t.
        previous: the values of version - 1; None if there are none.
        crc, previous_crc: of these.
        state: of each piece, what Optimizer.update remembers.
        staged: slot -> values that wait for their turn.
        missing: slot -> tensors of the chunk without a gradient; of what was taken for the step.
        crcs: slot -> crc of what was taken for its step. It makes a duplicate known.
        sum, has: of the slots folded so far; `has`: the pieces that any of them had.
        turn: index, in the step's slots, of the next one to fold.
        is_ahead: the second slot is folded, the first not yet.
        squares: of the complete mean, where the update waits for the norm; else None.
        next_step: slot -> the next step of it to apply; where slots are not together.
        is_shared: the optimizer's state is being written to the disk.
    """

    def __init__(self, chunk: Chunk, values: np.ndarray, version: int, plan: Plan):
        self.chunk, self.values, self.version = chunk, values, version
        self.previous: np.ndarray | None = None
        self.crc, self.previous_crc = checksum(values), 0
        self.state: list[dict[str, Any]] = [{} for _ in chunk.pieces]
        self.next_step = {s: existing(plan, version, s) for s in plan.slots_of(0)}
        self.is_shared = False
        self.begin()

    def own(self) -> None:
        """The optimizer changes its state in place: that must not be what is being written."""
        if self.is_shared:
            self.is_shared = False
            for remembered in self.state:
                for name, value in remembered.items():
                    remembered[name] = value.copy() if hasattr(value, "nbytes") else value

    def begin(self) -> None:
        """Nothing of the step is there yet."""
        self.staged: dict[int, np.ndarray] = {}
        self.missing: dict[int, frozenset[int]] = {}
        self.crcs: dict[int, int] = {}
        self.sum: np.ndarray | None = None
        self.has: set[int] = set()
        self.turn = 0
        self.is_ahead = False
        self.squares: list[float] | None = None

    def places(self) -> list[slice]:
        """Slices of the sum that hold a gradient; a single one where every piece has one."""
        pieces = self.chunk.pieces
        if len(self.has) == len(pieces):
            return [slice(None)]
        return [pieces[index].place for index in sorted(self.has)]

    def replace(self, values: np.ndarray, version: int) -> None:
        """The next version. Arrays of earlier ones may still be on their way to a worker."""
        self.previous, self.previous_crc = self.values, self.crc
        self.values, self.version, self.crc = values, version, checksum(values)

    @property
    def nbytes(self) -> int:
        """Memory in use: versions, the sum, what is staged, and the optimizer's state."""
        arrays = [self.values, self.previous, self.sum, *self.staged.values()]
        arrays += [a for state in self.state for a in state.values() if hasattr(a, "nbytes")]
        return sum(a.nbytes for a in arrays if a is not None)
