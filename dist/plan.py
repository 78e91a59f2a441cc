"""What is trained, and how it is cut: tensors into pieces, pieces into chunks, chunks onto servers.

    tensor   a parameter or buffer of the model, in the order of registration
    piece    part of a tensor: at most CHUNK_BYTES, begins and ends on a multiple of NORM_BLOCK
    chunk    pieces of one kind and dtype side by side, at most CHUNK_BYTES: what one message holds
    slot     one batch of a step: slot s of step t is a batch, whoever computes its gradient

A worker makes the Plan from its model, the coordinator compares the plans of all workers, and hands
it to the servers. Everything here follows from the tensors alone, so everybody cuts the same way.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from minidl.errors import ArgumentError
from minidl.optim.clip import NORM_BLOCK

MOST = 1 << 37  # elements of all tensors together
CHUNK_BYTES = 1 << 20
FRONT = 16  # the first chunk of gradients is closed at this part of what fits into one

SUM, AVERAGE, COUNT, FIXED = "sum", "average", "count", "fixed"
KINDS = (SUM, AVERAGE, COUNT, FIXED)
OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad")
DTYPES = ("float16", "float32", "float64", "int64")
LIMITS = {"compiling": 900.0, "computing": 300.0, "evaluating": 3600.0, "saving": 600.0}  # seconds


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of the model.

    Attributes:
        name: as in model.state_dict().
        shape, dtype: of its values; dtype by name, such as "float32".
        kind: "sum": a parameter, whose gradients are summed over slots; "average": a running
            mean or variance; "count": num_batches_tracked, which each slot raises by 1; "fixed":
            never changed, and not on the servers: only compared between workers, by its crc.
        group: number of the parameter's group in the optimizer; 0 for other kinds.
        momentum: of an average: r = (1 - momentum) r + what the slot found.
        crc: checksum.checksum of a fixed tensor's bytes, else 0.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: str = SUM
    group: int = 0
    momentum: float = 0.0
    crc: int = 0

    @cached_property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Piece:
    """Elements start..stop of tensor number `tensor`, flattened; at `offset` of their chunk."""

    tensor: int
    start: int
    stop: int
    offset: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    @cached_property
    def place(self) -> slice:
        """Where it is in its chunk."""
        return slice(self.offset, self.offset + self.size)


@dataclass(frozen=True)
class Chunk:
    """What one message holds: a flat array of `size` elements."""

    number: int
    kind: str
    dtype: str
    pieces: tuple[Piece, ...]

    @cached_property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)

    @cached_property
    def nbytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize

    @cached_property
    def tensors(self) -> frozenset[int]:
        return frozenset(piece.tensor for piece in self.pieces)


@dataclass(frozen=True)
class Job:
    """What the launcher decides; every process of the job holds the same.

    Attributes:
        servers: names of the servers, in the order of placement.
        mode: "sync", "async", "ssp:S" or "backup:K", see modes.py.
        save_every: steps between checkpoints; 0: only at the end.
        on_nan: "stop" or "skip", when a gradient is not finite.
        strict: refuse workers whose fingerprint differs, instead of saying so.
        beat: seconds between heartbeats.
        dead: seconds of silence after which a worker's slots go to others.
        compress: how gradients are packed on their way to the servers, see compress.py.
        missing: seconds without a server, or without any worker, after which the job fails.
        limits: state of a worker -> seconds it may spend in it without progress; see STATES.
    """

    servers: tuple[str, ...]
    mode: str = "sync"
    save_every: int = 100
    on_nan: str = "stop"
    strict: bool = False
    compress: str = "none"
    beat: float = 1.0
    dead: float = 10.0
    missing: float = 120.0
    limits: dict[str, float] = field(default_factory=LIMITS.copy)

    def to_dict(self) -> dict[str, Any]:
        """As JSON and msgpack types; not to be changed."""
        return self.as_dict

    @cached_property
    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "servers": list(self.servers)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Job:
        return cls(**{**values, "servers": tuple(values["servers"])})


@dataclass(frozen=True)
class Plan:
    """What a job trains. Chunks and everything else follow from these fields.

    Attributes:
        tensors: in the order of registration.
        optimizer: name of its class, one of OPTIMIZERS.
        slots: S, how many batches make a step.
        batches_per_epoch: len(loader).
        epochs: of the run.
        chunk_bytes, norm_block: smaller ones are for tests.

    >>> plan = Plan((TensorSpec("w", (300_000,), "float32"), TensorSpec("b", (10,), "float32")),
    ...             "SGD", slots=2, batches_per_epoch=5, epochs=3)
    >>> [(chunk.number, chunk.size) for chunk in plan.chunks]
    [(0, 262144), (1, 37866)]
    >>> plan.steps_per_epoch, plan.total_steps, plan.slots_of(1), plan.slots_of(2)
    (3, 9, range(0, 2), range(0, 1))
    >>> plan.batch_of(step=5, slot=0)
    (1, 4)
    """

    tensors: tuple[TensorSpec, ...]
    optimizer: str
    slots: int
    batches_per_epoch: int
    epochs: int
    chunk_bytes: int = CHUNK_BYTES
    norm_block: int = NORM_BLOCK

    # --- steps and slots ------------------------------------------------------------------------

    @cached_property
    def steps_per_epoch(self) -> int:
        return -(-self.batches_per_epoch // self.slots)

    @cached_property
    def total_steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def slots_of(self, step: int) -> range:
        """The slots of a step: all but in the last step of an epoch are S."""
        is_last = (step + 1) % self.steps_per_epoch == 0
        return self.slots_of_last if is_last else self.slots_of_others

    @cached_property
    def slots_of_others(self) -> range:
        return range(self.slots)

    @cached_property
    def slots_of_last(self) -> range:
        return range(self.batches_per_epoch - (self.steps_per_epoch - 1) * self.slots)

    def batch_of(self, step: int, slot: int) -> tuple[int, int]:
        """(epoch, number of the batch in it), both from 0, of a slot."""
        epoch, t = divmod(step, self.steps_per_epoch)
        return epoch, t * self.slots + slot

    # --- chunks ---------------------------------------------------------------------------------

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """Pieces in the order of registration, as many to a chunk as fit; numbered in that order.

        A chunk of a kind and dtype stays open until the next piece of them does not fit. The first
        one of gradients is closed earlier: backward ends with the front layers, and what is sent
        after it should be little.
        """
        opened: dict[tuple[str, str], list[Piece]] = {}
        found: list[tuple[str, str, list[Piece]]] = []
        front = next(((s.kind, s.dtype) for s in self.tensors if s.kind == SUM), None)
        for number, spec in enumerate(self.tensors):
            if spec.kind == FIXED:
                continue
            key = spec.kind, spec.dtype
            limit = max(self.chunk_bytes // np.dtype(spec.dtype).itemsize, self.norm_block)
            longest = limit // self.norm_block * self.norm_block
            for start in range(0, spec.size, longest):
                stop = min(start + longest, spec.size)
                pieces = opened.get(key)
                if pieces is None or end_of(pieces) + stop - start > limit:
                    pieces = opened[key] = []
                    found.append((*key, pieces))
                pieces.append(Piece(number, start, stop, end_of(pieces)))
                if key == front and FRONT * end_of(pieces) >= limit:
                    del opened[key]
                    front = None
        return tuple(Chunk(n, k, d, tuple(p)) for n, (k, d, p) in enumerate(found))

    def chunks_of(self, tensor: int) -> list[int]:
        """The chunks that hold a part of a tensor."""
        return [chunk.number for chunk in self.chunks if tensor in chunk.tensors]

    def place(self, servers: int) -> list[int]:
        """Number of the server of each chunk: the largest first, each where least is so far.

        Raises:
            ArgumentError: there are more servers than chunks.
        """
        if not 1 <= servers <= len(self.chunks):
            raise ArgumentError(
                "dist", "every server holds at least one chunk of the model",
                {"servers": servers, "chunks": len(self.chunks)},
                f"use at most {len(self.chunks)} servers",
            )  # fmt: skip
        loads, places = [0] * servers, [0] * len(self.chunks)
        for chunk in sorted(self.chunks, key=lambda chunk: (-chunk.nbytes, chunk.number)):
            least = min(range(servers), key=lambda n: (loads[n], n))
            places[chunk.number] = least
            loads[least] += max(chunk.nbytes, 1)
        return places

    # --- comparing and sending ------------------------------------------------------------------

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything above, in hex."""
        text = json.dumps(self.as_dict, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def as_dict(self) -> dict[str, Any]:
        """As JSON and msgpack types; not to be changed."""
        values = {part.name: getattr(self, part.name) for part in fields(Plan)}
        parts = [part.name for part in fields(TensorSpec)]
        specs = [{part: getattr(spec, part) for part in parts} for spec in self.tensors]
        return {**values, "tensors": [{**spec, "shape": list(spec["shape"])} for spec in specs]}

    def to_dict(self) -> dict[str, Any]:
        return self.as_dict

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        """The Plan that to_dict made, perhaps in another process.

        Raises:
            ArgumentError: it is not one.
        """
        try:
            tensors = tuple(
                TensorSpec(**{**spec, "shape": tuple(int(n) for n in spec["shape"])})
                for spec in values["tensors"]
            )
            plan = cls(**{**values, "tensors": tensors})
            plan.check()
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError("dist", f"not a plan: {error!r}") from error
        return plan

    def check(self) -> None:
        """Every field has a value that can be worked with.

        Raises:
            ArgumentError
        """
        for name in ("slots", "batches_per_epoch", "epochs", "chunk_bytes", "norm_block"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < (0 if name == "epochs" else 1):
                raise ArgumentError("dist", f"{name} is an int > 0", {name: value})
        if self.optimizer not in OPTIMIZERS:
            raise ArgumentError(
                "dist", "servers can take steps of these optimizers only",
                {"optimizer": self.optimizer, "known": list(OPTIMIZERS)},
            )  # fmt: skip
        elements = sum(math.prod(spec.shape) for spec in self.tensors)
        if not 0 <= elements <= MOST or any(n < 0 for spec in self.tensors for n in spec.shape):
            raise ArgumentError(
                "dist", f"a model has at most {MOST:,} elements", {"elements": elements}
            )  # fmt: skip
        names = [spec.name for spec in self.tensors]
        for name in names:
            if names.count(name) > 1:
                raise ArgumentError("dist", "names of tensors differ", {"twice": name})
        for spec in self.tensors:
            if spec.kind not in KINDS or spec.dtype not in DTYPES or min(spec.shape, default=0) < 0:
                raise ArgumentError("dist", "no such kind of tensor", {"tensor": spec})

    def difference(self, other: Plan) -> str:
        """In words, the first thing in which two plans differ; "" where they are equal."""
        for mine, theirs in zip(self.tensors, other.tensors):
            for part in fields(TensorSpec):
                a, b = getattr(mine, part.name), getattr(theirs, part.name)
                if a != b:
                    return f"tensor {mine.name}: {part.name} is {a!r} here, {b!r} there"
        if len(self.tensors) != len(other.tensors):
            longer = max(self.tensors, other.tensors, key=len)
            extra = longer[min(len(self.tensors), len(other.tensors))].name
            return f"tensor {extra} is only {'here' if longer is self.tensors else 'there'}"
        for part in fields(Plan)[1:]:
            a, b = getattr(self, part.name), getattr(other, part.name)
            if a != b:
                return f"{part.name} is {a!r} here, {b!r} there"
        return ""


def end_of(pieces: list[Piece]) -> int:
    """The offset after the last piece of a chunk."""
    return pieces[-1].place.stop if pieces else 0
