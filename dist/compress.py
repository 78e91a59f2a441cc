"""Compression of gradients on their way to the servers, for links that are slow.

    none        as they are
    bf16        the upper half of each float32, rounded to the nearest, ties to even: half of the
                bytes. It remembers nothing (Kalamkar et al. 2019, "A Study of BFLOAT16 for Deep
                Learning Training"). A gradient above 3.39e38 becomes infinite
    1bit        a bit for each element, and for each BLOCK of them two numbers: the means of those
                that are negative and of the others. One 25th of the bytes (Seide et al. 2014,
                "1-Bit Stochastic Gradient Descent and its Application to Data-Parallel Distributed
                Training of Speech DNNs"; it has a pair for each column)
    topk:SHARE  of each TOP_BLOCK the SHARE with the largest absolute values, with their places in
                16 bits: topk:0.01 is a 67th of the bytes (Stich et al. 2018, "Sparsified SGD with
                Memory"; Lin et al. 2018, "Deep Gradient Compression")

What a worker pushes is compressed: gradients of parameters in float32. Small tensors (biases, norm
layers: fewer than two dimensions, or fewer than SMALL elements), other float types, running
averages, counts and weights travel as they are.

Error feedback: what 1bit and topk leave out of a gradient, its residual, is added to the next one
of the same slot. So in a sum over steps nothing is missing but the last residual.
But what is left out comes later, and the learning rate that is best may be lower. Smaller BLOCKs
leave out less: 256 was chosen after LeNet on a thousand digits, which 1,024 held up for long.

A residual is where its slot was computed, and nowhere else. Yet a job keeps its promise that a
fault changes no bit, by three rules that follow from the plan, the step and the slot alone:

    whole       the first WARM_UP steps are sent as they are (a warm-up, as in Lin et al.), and so
                is a slot's last gradient before each step of a checkpoint and at the end of the
                run, with its residual: so no checkpoint needs to hold one (`is_whole`)
    owners      a slot stays with its worker between two steps where nothing is left over
                (`is_clear`). A worker that joins in between waits for the next
    rollback    when a worker is lost between them, all go back to the last checkpoint, as after the
                loss of a server. So nobody ever computes a slot whose residual somebody else has

So in mode sync the bits are those of any other job with as many slots, the same compression and the
same steps from checkpoint to checkpoint. A worker holds one more set of gradients for each of its
slots. In detail:

    backup:K    the same rules; which slots count is as little foreseen as without compression
    ssp, async  no rollback, as they do not repeat bits anyway: a residual is lost with its worker,
                and comes late where a slot moves away and back
    Ctrl-C      a job that ended before its last step and is resumed has lost the residuals of that
                step: it is as good as without the interruption, but has other bits
    NaN         the check of gradients comes first. A chunk that is not finite is sent as zeros, and
                its residual stays; a step that is skipped takes with it what its slots have sent
    no gradient a tensor without one in a slot keeps its residual; where the slot is sent whole, the
                residual is dropped

What arrives is believed as little as a message: its size follows from the plan, the compression,
the step and the slot (`form`), and `unpack` refuses by name what cannot have been packed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.errors import ArgumentError
from minidl_dist.messages import Push
from minidl_dist.modes import existing
from minidl_dist.plan import SUM, Chunk, Job, Piece, Plan

WARM_UP = 8  # steps
SMALL = 1024  # elements
BLOCK = 256  # elements with two numbers of their own; a multiple of 8
TOP_BLOCK = 1 << 16  # elements among which the largest are found: a place has 16 bits
LARGEST_SHARE = 0.5  # more would take as many bytes as without compression

NONE, BF16, ONE_BIT, TOP_K = "none", "bf16", "1bit", "topk"
RAW = "raw"  # of a piece: as it is
PACKED = "uint8"  # no chunk of a plan has this dtype


@dataclass(frozen=True)
class Scheme:
    """A compression, parsed.

    Attributes:
        name: NONE, BF16, ONE_BIT or TOP_K.
        share: of the elements, that TOP_K sends.
    """

    name: str = NONE
    share: float = 0.0

    @property
    def remembers(self) -> bool:
        """Whether there are residuals."""
        return self.name in (ONE_BIT, TOP_K)


def parse(text: str) -> Scheme:
    """The compression that an option names.

    Raises:
        ArgumentError: there is no such compression.

    >>> parse("topk:0.01")
    Scheme(name='topk', share=0.01)
    """
    name, colon, number = text.partition(":")
    if name in (NONE, BF16, ONE_BIT) and not colon:
        return Scheme(name)
    if name == TOP_K:
        try:
            share = float(number)
        except ValueError:
            share = math.nan
        if 0 < share <= LARGEST_SHARE:
            return Scheme(TOP_K, share)
        raise ArgumentError(
            "dist", f"topk:SHARE sends a share of the elements, above 0 and up to {LARGEST_SHARE}",
            {"compress": text}, "topk:0.01 sends one of a hundred",
        )  # fmt: skip
    raise ArgumentError(
        "dist", "compress is none, bf16, 1bit or topk:SHARE", {"compress": text},
        "1bit sends one 25th of the bytes",
    )  # fmt: skip


def is_clear(scheme: Scheme, job: Job, step: int) -> bool:
    """Whether there are no residuals at the start of a step."""
    is_saved = job.save_every > 0 and step % job.save_every == 0
    return not scheme.remembers or step <= WARM_UP or is_saved


class Codec:
    """Packs the chunks of a worker, and unpacks them on a server.

    Args:
        plan, job: of the job.

    Attributes:
        residuals: (slot, chunk) -> what was left out of its gradients; of this worker's slots.
        since: generation and interval between checkpoints that these are of.
    """

    def __init__(self, plan: Plan, job: Job):
        self.plan, self.scheme, self.every = plan, parse(job.compress), job.save_every
        self.parts: dict[int, list[tuple[Piece, str, slice]]] = {}
        self.residuals: dict[tuple[int, int], np.ndarray] = {}
        self.since = 0, 0

    # --- what is sent ---------------------------------------------------------------------------

    def is_packed(self, chunk: Chunk) -> bool:
        """Whether any of its gradients are compressed."""
        if self.scheme.name == NONE or chunk.kind != SUM or chunk.dtype != "float32":
            return False
        return any(how != RAW for _, how, _ in self.parts_of(chunk))

    def form(self, step: int, slot: int, number: int) -> tuple[str, int]:
        """dtype and number of elements of what a slot of a step sends of a chunk."""
        chunk = self.plan.chunks[number]
        if not self.is_packed(chunk) or self.is_whole(step, slot):
            return chunk.dtype, chunk.size
        return PACKED, self.parts_of(chunk)[-1][2].stop

    def form_of(self, message: Any) -> tuple[str, int]:
        """That of a message's values, be it a Push or another that has a chunk."""
        if isinstance(message, Push):
            return self.form(message.step, message.slot, message.chunk)
        chunk = self.plan.chunks[message.chunk]
        return chunk.dtype, chunk.size

    def parts_of(self, chunk: Chunk) -> list[tuple[Piece, str, slice]]:
        """Of each piece: how it is sent, and which bytes it takes."""
        found = self.parts.get(chunk.number)
        if found is None:
            found, end = [], 0
            for piece in chunk.pieces:
                spec = self.plan.tensors[piece.tensor]
                is_small = len(spec.shape) < 2 or spec.size < SMALL
                how = RAW if is_small else self.scheme.name
                start, end = end, end + self.bytes_of(how, piece.size)
                found.append((piece, how, slice(start, end)))
            self.parts[chunk.number] = found
        return found

    def bytes_of(self, how: str, size: int) -> int:
        if how == ONE_BIT:
            return -(-size // BLOCK) * (BLOCK // 8 + 8)
        if how == TOP_K:
            return sum(6 * count_of(stop - start, self.scheme) for start, stop in blocks(size))
        return size * (2 if how == BF16 else 4)

    def is_whole(self, step: int, slot: int) -> bool:
        """Whether a slot sends its gradient as it is, with its residual."""
        if not self.scheme.remembers:
            return False
        end = self.plan.total_steps
        if self.every:
            end = min(end, (step // self.every + 1) * self.every)
        return step < WARM_UP or existing(self.plan, step + 1, slot) >= end

    # --- a worker -------------------------------------------------------------------------------

    def pack(self, slot_chunk: Any) -> np.ndarray:
        """What is sent of a slot's gradient; what is left out is remembered for its next one.

        Args:
            slot_chunk: events.SlotChunk. Its values are owned, and may be changed.

        Returns:
            an array of this `form`.
        """
        step, slot, values = slot_chunk.step, slot_chunk.slot, slot_chunk.values
        chunk = self.plan.chunks[slot_chunk.chunk]
        if not self.is_packed(chunk):
            return values
        if not self.scheme.remembers:
            return self.encode(chunk, values)
        self.forget_before(slot_chunk.generation, step)
        key = slot, chunk.number
        residual = self.residuals.get(key)
        if self.is_whole(step, slot):
            if residual is not None:
                values += without(residual, chunk, slot_chunk.missing)
                del self.residuals[key]
            return values
        if not math.isfinite(values.sum(dtype=np.float64)):
            return self.encode(chunk, np.zeros_like(values))
        if residual is not None:
            values += without(residual, chunk, slot_chunk.missing)
        packed = self.encode(chunk, values)
        rest = values - self.unpack(chunk.number, packed)
        for piece in chunk.pieces if residual is not None else ():
            if piece.tensor in slot_chunk.missing:
                rest[piece.place] = residual[piece.place]
        self.residuals[key] = rest
        return packed

    def forget_before(self, generation: int, step: int) -> None:
        """At a checkpoint nothing is left over, nor where a generation begins."""
        now = generation, step // self.every if self.every else 0
        if now != self.since:
            self.since = now
            self.residuals.clear()

    def encode(self, chunk: Chunk, values: np.ndarray) -> np.ndarray:
        """The bytes of a chunk of finite values (bf16: of any)."""
        parts = self.parts_of(chunk)
        packed = np.empty(parts[-1][2].stop, np.uint8)
        for piece, how, place in parts:
            array = values[piece.place]
            if how == BF16:
                array = to_bf16(array)
            elif how == ONE_BIT:
                array = to_bits(array)
            elif how == TOP_K:
                array = to_largest(array, self.scheme)
            packed[place] = array.view(np.uint8)
        return packed

    # --- a server -------------------------------------------------------------------------------

    def unpack(self, number: int, packed: np.ndarray) -> np.ndarray:
        """The gradient that bytes stand for, as float32.

        Raises:
            ArgumentError: nothing is packed like this.
        """
        chunk = self.plan.chunks[number]
        parts = self.parts_of(chunk)
        if packed.dtype != np.uint8 or packed.shape != (parts[-1][2].stop,):
            raise ArgumentError(
                "dist", f"chunk {number} has {parts[-1][2].stop} bytes, compressed",
                {"received": f"{packed.dtype} {packed.shape}"},
            )  # fmt: skip
        values = np.zeros(chunk.size, np.float32)
        for piece, how, place in parts:
            part = packed[place]
            name = self.plan.tensors[piece.tensor].name
            if how == BF16:
                values[piece.place] = from_bf16(part)
            elif how == ONE_BIT:
                values[piece.place] = from_bits(part, piece.size, name)
            elif how == TOP_K:
                from_largest(part, values[piece.place], self.scheme, name)
            else:
                values[piece.place] = part.view(np.float32)
        return values


def without(residual: np.ndarray, chunk: Chunk, missing: list[int]) -> np.ndarray:
    """A residual, with 0 for the tensors that have no gradient this time."""
    places = [piece.place for piece in chunk.pieces if piece.tensor in missing]
    if places:
        residual = residual.copy()
        for place in places:
            residual[place] = 0
    return residual


def refuse(rule: str, tensor: str) -> None:
    raise ArgumentError("dist", f"a compressed gradient: {rule}", {"tensor": tensor})


# --- bf16 ---------------------------------------------------------------------------------------


def to_bf16(values: np.ndarray) -> np.ndarray:
    """float32 to the nearest bfloat16, ties to even, as uint16.

    >>> hex(to_bf16(np.array([1.00390625], np.float32))[0])  # halfway between 1 and 1.0078125
    '0x3f80'
    """
    words = values.view(np.uint32)
    rounded = (words >> 16) & 1
    rounded += 0x7FFF
    rounded += words
    rounded >>= 16
    is_nan = np.isnan(values)
    if is_nan.any():  # rounding could carry into the exponent, or leave an infinity
        rounded[is_nan] = words[is_nan] >> 16 | 0x40
    return rounded.astype(np.uint16)


def from_bf16(packed: np.ndarray) -> np.ndarray:
    words = packed.view(np.uint16).astype(np.uint32)
    words <<= 16
    return words.view(np.float32)


# --- 1 bit --------------------------------------------------------------------------------------


def to_bits(values: np.ndarray) -> np.ndarray:
    """Of each block: the mean of its negative elements and of the others, then a bit for each.

    Means are of least squares: no other two numbers leave a smaller residual.
    """
    rows = -(-values.size // BLOCK)
    matrix, padding = values, rows * BLOCK - values.size
    if padding:
        matrix = np.concatenate([values, np.zeros(padding, np.float32)])
    matrix = matrix.reshape(rows, BLOCK)
    is_up = matrix >= 0
    up = np.count_nonzero(is_up, axis=1)
    up[-1] -= padding
    down = BLOCK - up
    down[-1] -= padding
    means = np.empty((rows, 2), np.float32)
    means[:, 0] = np.minimum(matrix, 0).sum(1, dtype=np.float64) / np.maximum(down, 1)
    means[:, 1] = np.maximum(matrix, 0).sum(1, dtype=np.float64) / np.maximum(up, 1)
    return np.concatenate([means.view(np.uint8).reshape(-1), np.packbits(is_up)])


def from_bits(packed: np.ndarray, size: int, tensor: str) -> np.ndarray:
    """
    Raises:
        ArgumentError: a mean is not finite.
    """
    rows = -(-size // BLOCK)
    means = packed[: 8 * rows].copy().view(np.float32).reshape(rows, 2)
    if not np.isfinite(means).all():
        refuse("its means are finite", tensor)
    words = means.view(np.uint32)
    lower, differ = words[:, :1], words[:, :1] ^ words[:, 1:]
    found = np.unpackbits(packed[8 * rows :]).reshape(rows, BLOCK).astype(np.uint32)
    found *= differ  # as np.where with the two means, but quicker
    found ^= lower
    return found.view(np.float32).reshape(-1)[:size]


# --- top k --------------------------------------------------------------------------------------


def blocks(size: int) -> list[tuple[int, int]]:
    """(start, stop) of each."""
    return [(start, min(start + TOP_BLOCK, size)) for start in range(0, size, TOP_BLOCK)]


def count_of(size: int, scheme: Scheme) -> int:
    """How many elements of a block are sent: at least one."""
    return math.ceil(scheme.share * size)


def to_largest(values: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Of each block: the places of its largest elements in order, then the elements.

    Of equals the first are taken, so that the choice is the same on every processor.
    """
    found = []
    for start, stop in blocks(values.size):
        block = values[start:stop]
        size, count = block.size, count_of(block.size, scheme)
        magnitudes = np.abs(block)
        least = np.partition(magnitudes, size - count)[size - count]
        above = np.flatnonzero(magnitudes > least)
        equal = np.flatnonzero(magnitudes == least)[: count - above.size]
        places = np.sort(np.concatenate([above, equal]))
        found += [places.astype(np.uint16).view(np.uint8), block[places].view(np.uint8)]
    return np.concatenate(found)


def from_largest(packed: np.ndarray, values: np.ndarray, scheme: Scheme, tensor: str) -> None:
    """Write the elements to their places in an array of zeros.

    Raises:
        ArgumentError: a place is outside its block, or comes twice; an element is not finite.
    """
    at = 0
    for start, stop in blocks(values.size):
        count = count_of(stop - start, scheme)
        places = packed[at : at + 2 * count].copy().view(np.uint16).astype(np.int64)
        elements = packed[at + 2 * count : at + 6 * count].copy().view(np.float32)
        if places[-1] >= stop - start or not (places[1:] > places[:-1]).all():
            refuse("the places of its elements rise, and are inside of it", tensor)
        if not np.isfinite(elements).all():
            refuse("its elements are finite", tensor)
        values[start:stop][places] = elements
        at += 6 * count
