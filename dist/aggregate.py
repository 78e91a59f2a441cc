"""How gradients become new weights, exactly once: the chunks that one server holds.

A contribution is (step, slot, chunk), whoever computed it and however often it arrives.
`Aggregate.take` is where a duplicate is dropped. Where slots are summed (modes.py: together):

    stage   a contribution waits until it is its slot's turn
    fold    sum = copy of the first slot's; then += the others, in the order of slots (the second
            may come before the first)
    mean    sum /= sum of the weights, once all Heads are there (not where S = 1)
    clip    by the norm of all gradients of all servers, from sums of squares of fixed blocks
    update  Optimizer.update on each piece: version t becomes t + 1; version t stays readable

The order is that of slots, never that of arrival, so the bits are those of one process. Version t
is kept until something of step t + 1 arrives: who computed it had version t + 1 of all chunks of
all servers, so all of them can be had, and nobody needs version t any more. Otherwise each
contribution is an update of its own, in the order of arrival, and of each slot in the order of
steps; what was applied already is dropped.

Nothing else looks into arrays. Arrays that go out are never changed: each version is a new one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from minidl import optim
from minidl.optim.clip import block_squares, scale_down
from minidl_dist.checksum import checksum
from minidl_dist.chunk_state import ChunkState
from minidl_dist.contradiction import (
    check_agreement,
    check_head,
    check_shape,
    contradict,
    not_finite,
)
from minidl_dist.messages import Head, Push, Shard
from minidl_dist.modes import Mode, existing
from minidl_dist.plan import COUNT, SUM, Chunk, Plan


class Aggregate:
    """The chunks of one server.

    Args:
        plan, mode: of the job.
        mine: numbers of the chunks that this server holds.

    Attributes:
        chunks: number -> ChunkState; without those whose values are not there yet.
        heads: (step, slot) -> Head, of the steps in progress.
        counted: step -> the slots that count in it, where that is not all (mode backup).
    """

    def __init__(self, plan: Plan, mode: Mode, mine: Iterable[int]):
        self.plan, self.mode = plan, mode
        self.mine = sorted(mine)
        self.chunks: dict[int, ChunkState] = {}
        self.heads: dict[tuple[int, int], Head] = {}
        self.counted: dict[int, list[int]] = {}
        self.versions: Counter[int] = Counter()  # version -> how many chunks are at it
        self.computed = -1  # the last step of which something came
        self.optimizer = updater(plan.optimizer)

    # --- contributions --------------------------------------------------------------------------

    def take(self, push: Push) -> bool:
        """Take a slot's gradient in one chunk, unless it is there already.

        Returns:
            whether it was new. A duplicate changes nothing: its sender repeats it because an
            answer was lost, or computed a slot that somebody else had computed, too.

        Raises:
            Contradiction: the same contribution was there with other bits.
        """
        state = self.chunks[push.chunk]
        if self.is_done(state, push.step, push.slot):
            return False
        known = state.crcs.get(push.slot)
        if known is not None:
            if known != push.crc and self.mode.together:
                contradict(push, f"tensors {self.names(state.chunk)}")
            return False
        self.let_go(push.step)
        state.crcs[push.slot] = push.crc
        state.staged[push.slot] = push.values
        state.missing[push.slot] = frozenset(push.missing)
        return True

    def keep(self, push: Push) -> None:
        """What has to wait for its turn is copied: the memory of messages is for the next ones."""
        staged = self.chunks[push.chunk].staged
        if staged.get(push.slot) is push.values:
            staged[push.slot] = push.values.copy()

    def let_go(self, step: int) -> None:
        """Somebody computed this step, from its version whole: the one before is not needed."""
        if step > self.computed:
            self.computed = step
            for state in self.chunks.values():
                if state.version == step:
                    state.previous = None

    def take_head(self, head: Head) -> bool:
        """Take a slot's head, unless it is there already, or the slot is done.

        Raises:
            Contradiction: it differs from the one that is there, or its options from those of
                another slot of the step.
        """
        if all(self.is_done(state, head.step, head.slot) for state in self.chunks.values()):
            return False
        check_head(self.plan, head, self.mode.together)
        known = self.heads.get((head.step, head.slot))
        if known is not None:
            if known != head and self.mode.together:
                contradict(head, "weight, options or missing tensors")
            return False
        for (step, slot), other in self.heads.items():
            if self.mode.together and step == head.step:
                check_agreement(head, slot, other)
        self.heads[head.step, head.slot] = head
        return True

    def is_done(self, state: ChunkState, step: int, slot: int) -> bool:
        """Whether a slot of a step is in the chunk's values already, or was left out of them."""
        return step < (state.version if self.mode.together else state.next_step[slot])

    def may_come(self, step: int, slot: int) -> bool:
        """Whether somebody who keeps to the protocol can contribute to this step now."""
        if not self.is_whole or step < 0 or slot not in self.plan.slots_of(step):
            return False
        if self.mode.together:
            return step <= self.step
        return step <= min(state.next_step[slot] for state in self.chunks.values())

    def names(self, chunk: Chunk) -> str:
        names = [self.plan.tensors[number].name for number in sorted(chunk.tensors)]
        return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")

    # --- folding --------------------------------------------------------------------------------

    def fold(self, number: int) -> list[tuple[int, int]]:
        """Fold what is there of a chunk, and update the chunk where that is enough.

        Returns:
            (step, slot) of each contribution that was folded.

        Raises:
            NotFinite: the sum is not. Where gradients are clipped, their norm says so.
        """
        state = self.chunks[number]
        if self.mode.together and not self.has_turn(state):
            return []
        with np.errstate(over="ignore", invalid="ignore"):  # gradients that are not finite
            return self.fold_together(state) if self.mode.together else self.fold_each(state)

    def has_turn(self, state: ChunkState) -> bool:
        """Whether there is what a chunk waits for: the next slot, or the last heads."""
        slots = self.slots_that_count(state.version)
        if slots is None or state.squares is not None:
            return False
        is_over = state.turn == len(slots)
        return is_over or self.is_second(state, slots) or self.is_next_there(state, slots)

    def is_next_there(self, state: ChunkState, slots: Sequence[int]) -> bool:
        is_folded = state.turn == 1 and state.is_ahead
        return is_folded or self.is_there(state, state.version, slots[state.turn])

    def is_second(self, state: ChunkState, slots: Sequence[int]) -> bool:
        """Whether the second slot may be folded before the first: a + b has the bits of b + a."""
        may = state.turn == 0 and not state.is_ahead and state.chunk.kind == SUM
        return may and len(slots) > 1 and slots[1] in state.staged

    def fold_together(self, state: ChunkState) -> list[tuple[int, int]]:
        step, folded = state.version, []
        slots = self.slots_that_count(step)
        if self.is_second(state, slots) and not self.is_next_there(state, slots):
            self.add(state, slots[1])
            state.is_ahead = True
        while state.turn < len(slots):
            slot = slots[state.turn]
            if not self.is_next_there(state, slots):
                return folded
            if state.chunk.kind == SUM:  # averages are folded in update, when all is there
                self.add(state, slot)
            folded.append((step, slot))
            state.turn += 1
        if any((step, slot) not in self.heads for slot in slots):
            return folded
        heads = [self.heads[step, slot] for slot in slots]
        self.check_missing(state, heads)
        skips = any(head.nan for head in heads)
        if state.chunk.kind == SUM and not skips:
            self.divide(state, sum(head.weight for head in heads))
            if heads[0].clip is not None:
                state.squares = self.squares_of(state)
                return folded
            self.check_sum(state)
        self.update(state, heads, skips)
        return folded

    def fold_each(self, state: ChunkState) -> list[tuple[int, int]]:
        folded = []
        for slot, step in state.next_step.items():
            head = self.heads.get((step, slot))
            if head is None or not self.is_there(state, step, slot):
                continue
            self.check_missing(state, [head])
            if not head.nan:
                values = state.values.copy()
                if state.chunk.kind == SUM:
                    self.add(state, slot)
                    self.divide(state, head.weight)
                    self.optimize(state, values, head)
                else:
                    self.add_increments(state, values, head)
                state.values, state.crc = values, checksum(values)
            state.sum, state.has = None, set()
            state.staged.pop(slot, None)
            state.crcs.pop(slot, None)
            state.missing.pop(slot, None)
            state.next_step[slot] = existing(self.plan, step + 1, slot)
            folded.append((step, slot))
        before, state.version = state.version, min(state.next_step.values())
        self.count_version(before, state.version)
        return folded

    def slots_that_count(self, step: int) -> Sequence[int] | None:
        """In the order in which they are folded; None: not known yet."""
        return self.counted.get(step) if self.mode.backup else self.plan.slots_of(step)

    def is_there(self, state: ChunkState, step: int, slot: int) -> bool:
        """Whether all that a slot has for a chunk is there: perhaps nothing, as its head says."""
        if slot in state.staged:
            return True
        head = self.heads.get((step, slot))
        if head is None:
            return False
        return state.chunk.kind == COUNT or state.chunk.tensors <= set(head.missing)

    def check_missing(self, state: ChunkState, heads: list[Head]) -> None:
        """What was folded before the heads came is what they say.

        Raises:
            Contradiction
        """
        for head in heads:
            missing = state.missing.get(head.slot)
            if missing is not None and missing != state.chunk.tensors & set(head.missing):
                contradict(head, "missing tensors")

    def add(self, state: ChunkState, slot: int) -> None:
        """Add one slot's gradient to the sum; tensors that have none add nothing."""
        values = state.staged.pop(slot, None)
        if values is None:
            return
        if not state.missing[slot] and len(state.has) in (0, len(state.chunk.pieces)):
            if state.has:
                state.sum += values
            else:
                state.sum, state.has = values.copy(), set(range(len(state.chunk.pieces)))
            return
        if state.sum is None:
            state.sum = np.empty(state.chunk.size, state.chunk.dtype)
        for index, piece in enumerate(state.chunk.pieces):
            if piece.tensor in state.missing[slot]:
                continue
            if index in state.has:
                state.sum[piece.place] += values[piece.place]
            else:
                state.sum[piece.place] = values[piece.place]
                state.has.add(index)

    def divide(self, state: ChunkState, weight: float) -> None:
        """The sum becomes the mean; with S = 1 it is one already."""
        if self.plan.slots > 1:
            for place in state.places():
                state.sum[place] /= weight

    def check_sum(self, state: ChunkState) -> None:
        if self.plan.slots == 1 or all(np.isfinite(state.sum[p]).all() for p in state.places()):
            return
        for index in sorted(state.has):
            piece = state.chunk.pieces[index]
            if not np.isfinite(state.sum[piece.place]).all():
                not_finite(state.version, self.plan.tensors[piece.tensor].name)

    def add_increments(self, state: ChunkState, values: np.ndarray, head: Head) -> None:
        """What one slot found goes into running averages; counts rise by 1."""
        found = state.staged.get(head.slot)
        for piece in state.chunk.pieces:
            if piece.tensor in head.missing:
                continue
            if state.chunk.kind == COUNT:
                values[piece.place] += 1
            else:
                values[piece.place] *= 1 - self.plan.tensors[piece.tensor].momentum
                values[piece.place] += found[piece.place]

    # --- the step -------------------------------------------------------------------------------

    def update(self, state: ChunkState, heads: list[Head], skips: bool) -> None:
        """Version t becomes t + 1. With a gradient that is not finite, the step changes nothing."""
        values = state.values
        if not skips:
            values = values.copy()
            if state.chunk.kind == SUM:
                self.optimize(state, values, heads[0])
            else:
                for head in heads:
                    self.add_increments(state, values, head)
        self.count_version(state.version, state.version + 1)
        state.replace(values, state.version + 1)
        state.begin()

    def optimize(self, state: ChunkState, values: np.ndarray, head: Head) -> None:
        """One step of the optimizer on each piece that has a gradient."""
        state.own()
        for index in sorted(state.has):
            piece = state.chunk.pieces[index]
            group = head.groups[self.plan.tensors[piece.tensor].group]
            g = state.sum[piece.place]
            if group.get("maximize"):
                g = -g
            self.optimizer.update(values[piece.place], g, state.state[index], group)

    def forget(self) -> None:
        """Drop the heads of steps that are done in all chunks."""
        states = self.chunks.values()
        for step, slot in list(self.heads):
            if all(self.is_done(state, step, slot) for state in states):
                del self.heads[step, slot]
        for step in [step for step in self.counted if step < self.step]:
            del self.counted[step]

    # --- clipping -------------------------------------------------------------------------------

    def squares_of(self, state: ChunkState) -> list[float]:
        block = self.plan.norm_block
        places = [state.chunk.pieces[index].place for index in sorted(state.has)]
        return [s for place in places for s in block_squares(state.sum[place], block)]

    def squares(self) -> list[float] | None:
        """Sums of squares of all gradients here, once all wait for the norm; else None."""
        lists = []
        for state in self.chunks.values():
            if state.chunk.kind == SUM:
                if state.squares is None:  # mostly the first: it is asked after each gradient
                    return None
                lists.append(state.squares)
        return [s for squares in lists for s in squares] if lists else None

    def clip(self, norm: float) -> list[int]:
        """The norm is there: clip and update all chunks that wait for it.

        If it is not finite, the step changes nothing, here and on all servers.

        Returns:
            their numbers.
        """
        waiting = [n for n, state in self.chunks.items() if state.squares is not None]
        for state in map(self.chunks.__getitem__, waiting):
            heads = [self.heads[state.version, s] for s in self.slots_that_count(state.version)]
            skips = not math.isfinite(norm)
            for place in () if skips else state.places():
                scale_down(state.sum[place], heads[0].clip, norm)
            self.update(state, heads, skips)
        return waiting

    # --- values ---------------------------------------------------------------------------------

    @property
    def is_whole(self) -> bool:
        """Whether all values are there."""
        return len(self.chunks) == len(self.mine)

    @property
    def step(self) -> int:
        """The lowest version of all chunks: the step in progress."""
        return min(self.versions)

    @property
    def nbytes(self) -> int:
        return sum(state.nbytes for state in self.chunks.values())

    def count_version(self, before: int | None, now: int) -> None:
        """A chunk is at another version, or is new. A look at all chunks for each gradient would
        take longer than the gradient, in a large model.
        """
        self.versions[now] += 1
        if before is not None:
            self.versions[before] -= 1
            if not self.versions[before]:
                del self.versions[before]

    def is_at(self, number: int, step: int) -> bool:
        """Whether a chunk holds all steps before this one, and nothing of it."""
        state = self.chunks[number]
        if self.mode.together:
            return state.version == step
        return all(t == existing(self.plan, step, s) for s, t in state.next_step.items())

    def is_past(self, number: int, step: int) -> bool:
        """Whether it holds something of this step, or of a later one."""
        state = self.chunks[number]
        if self.mode.together:
            return state.version > step
        return any(t > existing(self.plan, step, s) for s, t in state.next_step.items())

    def set_values(self, number: int, values: np.ndarray, version: int = 0) -> None:
        """Values of a chunk to begin with. If there are some already, these are the same."""
        if number not in self.chunks:
            chunk = self.plan.chunks[number]
            self.chunks[number] = ChunkState(chunk, values.copy(), version, self.plan)
            self.count_version(None, version)

    def weights(self, number: int, version: int) -> tuple[int, np.ndarray, int] | None:
        """(version, values, crc) of a chunk, for who wants `version`; None: not there (yet)."""
        state = self.chunks.get(number)
        if state is None or state.version < version:
            return None
        if state.version == version or not self.mode.together:
            return state.version, state.values, state.crc
        if state.version == version + 1 and state.previous is not None:
            return version, state.previous, state.previous_crc
        return None

    def snapshot(self, number: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """What a Shard holds of a chunk: (arrays, numbers). Values are final; the state is copied
        if it has to change before the shard is written (`written`)."""
        state = self.chunks[number]
        state.is_shared = True
        arrays, numbers = {f"{number}": state.values}, {}
        for index, remembered in enumerate(state.state):
            for name, value in remembered.items():
                key = f"{number}/{index}/{name}"
                (arrays if hasattr(value, "nbytes") else numbers)[key] = value
        return arrays, numbers

    def written(self) -> None:
        """The arrays of all snapshots are on the disk, or were given up."""
        for state in self.chunks.values():
            state.is_shared = False

    def restore(self, shard: Shard) -> None:
        """Take over the chunks of a Shard that are ours.

        Raises:
            ArgumentError: the shard does not fit the plan.
        """
        for key, value in {**shard.arrays, **shard.numbers}.items():
            number, _, rest = key.partition("/")
            if int(number) not in self.mine:
                continue
            chunk = self.plan.chunks[int(number)]
            if not rest:
                check_shape(key, value, chunk.size, chunk.dtype)
                self.set_values(chunk.number, value, shard.step)
        for key, value in {**shard.arrays, **shard.numbers}.items():
            number, _, rest = key.partition("/")
            if rest and int(number) in self.mine:
                index, _, name = rest.partition("/")
                state = self.chunks[int(number)]
                if hasattr(value, "nbytes"):
                    check_shape(key, value, state.chunk.pieces[int(index)].size, None)
                    value = value.copy()  # the optimizer changes it in place
                state.state[int(index)][name] = value


def updater(name: str) -> optim.Optimizer:
    """An optimizer without parameters: only its formula, update(p, g, state, group), is used."""
    kind = getattr(optim, name)
    return kind.__new__(kind)
