"""A training for the world of simulate.py: some tensors, gradients by formula, and the oracle.

Gradients depend on the weights, on step and slot, and differ in size by powers of ten, so that
another order of summation, a slot that is left out or counted twice, and older weights all show in
the bits. The oracle computes the same in one process with one optimizer from minidl.optim.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from minidl import optim
from minidl.nn import Parameter
from minidl.tensor import Tensor
from minidl_dist.compress import NONE, PACKED, Codec
from minidl_dist.messages import Begin, Shard, SlotChunk
from minidl_dist.plan import AVERAGE, COUNT, SUM, Job, Plan, TensorSpec

PLAIN = Job(())  # gradients are not compressed
SHAPES = [((3,), 0), ((5, 2), 0), ((2,), 1), ((4, 3), 0), ((1,), 1), ((6,), 0)]


@dataclass(frozen=True)
class Toy:
    """A training.

    Attributes:
        plan: its tensors and steps.
        clip: largest norm of all gradients, or None.
        sparse: some tensors have no gradient in some slots.
        last_epoch: early stopping ends the run after it.
        nan: (step, slot) whose gradient is not finite, or None.
    """

    plan: Plan
    clip: float | None = None
    sparse: bool = False
    last_epoch: int = 99
    nan: tuple[int, int] | None = None
    options: tuple = ({"lr": 0.1}, {"lr": 0.1})
    cache: dict = field(default_factory=dict, compare=False)

    @cached_property
    def start(self) -> dict[str, np.ndarray]:
        """The initial values."""
        values = {}
        for number, spec in enumerate(self.plan.tensors):
            numbers = (np.arange(spec.size) / 3 + number + 0.1).reshape(spec.shape)
            values[spec.name] = (numbers * (spec.kind != COUNT)).astype(spec.dtype)
        return values

    @property
    def first_run(self) -> dict[str, Any]:
        return {"step": 0, "sum": 0.0, "weight": 0.0, "history": [], "stop": False}

    def begin(self) -> Begin:
        chunks = self.chunks_of(self.start)
        return Begin(self.plan, chunks, json.dumps(self.first_run).encode())

    # --- one slot -------------------------------------------------------------------------------

    def missing(self, step: int, slot: int) -> list[int]:
        """Tensors without a gradient."""
        if not self.sparse:
            return []
        numbers = range(len(self.plan.tensors))
        return [n for n in numbers if (step * 7 + slot * 3 + n * 5) % 4 == 0]

    def options_of(self, step: int) -> list[dict[str, Any]]:
        """The optimizer's options, with a schedule."""
        return [{**group, "lr": group["lr"] / (1 + step)} for group in self.options]

    def weight(self, step: int, slot: int) -> int:
        return 3 + (step * 5 + slot * 2) % 4

    def slot(self, step: int, slot: int, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What backward leaves: gradient of each parameter, increment of each average."""
        found = {}
        gone = self.missing(step, slot)
        for number, spec in enumerate(self.plan.tensors):
            if number in gone or spec.kind == COUNT:
                continue
            k = ((step * 31 + slot) * 17 + number * 7919 + 12345) * 2654435761 % 2**32
            scale = np.float32(10.0 ** ((k >> 7) % 5 - 3))
            w = tensors[spec.name]
            shift = np.float32(((k >> 10) % 1000) / 991 - 0.5) * scale
            found[spec.name] = w * np.float32((k % 1000) / 997) + shift
            if spec.kind == SUM and self.plan.slots > 1:
                found[spec.name] *= self.weight(step, slot)
        if (step, slot) == self.nan:
            next(iter(found.values()))[...] = np.nan
        return found

    def loss(self, step: int, slot: int, tensors: dict[str, np.ndarray]) -> float:
        return float(tensors[self.plan.tensors[0].name].flat[0]) * (slot + 1) + step

    def gradients(
        self, step: int, slot: int, tensors: dict[str, np.ndarray]
    ) -> tuple[dict[int, np.ndarray], dict[str, Any]]:
        """A slot as its worker gives it to the machine: chunks, and the fields of SlotDone."""
        found = self.slot(step, slot, tensors)
        gone = set(self.missing(step, slot))
        chunks = {
            chunk.number: self.fill(chunk, found)
            for chunk in self.plan.chunks
            if chunk.kind != COUNT and not chunk.tensors <= gone
        }
        return chunks, {
            "weight": self.weight(step, slot),
            "groups": self.options_of(step),
            "missing": sorted(gone),
            "clip": self.clip,
            "nan": self.plan.tensors[0].name if (step, slot) == self.nan else "",
            "values": {"loss": self.loss(step, slot, tensors)},
        }

    def score(self, tensors: dict[str, np.ndarray]) -> float:
        """What validation finds."""
        return float(sum(float(t.sum(dtype=np.float64)) for t in tensors.values()))

    def finish_epoch(self, run: dict[str, Any], score: float) -> None:
        run["history"].append([run["sum"] / run["weight"], score])
        run["sum"] = run["weight"] = 0.0
        run["stop"] = len(run["history"]) >= min(self.last_epoch, self.plan.epochs)

    # --- chunks ---------------------------------------------------------------------------------

    def fill(self, chunk: Any, tensors: dict[str, np.ndarray]) -> np.ndarray:
        values = np.zeros(chunk.size, chunk.dtype)
        for piece in chunk.pieces:
            tensor = tensors.get(self.plan.tensors[piece.tensor].name)
            if tensor is not None:
                values[piece.place] = tensor.reshape(-1)[piece.start : piece.stop]
        return values

    def chunks_of(self, tensors: dict[str, np.ndarray]) -> dict[int, np.ndarray]:
        return {chunk.number: self.fill(chunk, tensors) for chunk in self.plan.chunks}

    def tensors_of(self, chunks: dict[int, np.ndarray]) -> dict[str, np.ndarray]:
        return tensors_of(self.plan, chunks)


def tensors_of(plan: Plan, chunks: dict[int, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors whose values chunks hold."""
    flat = {n: np.empty(spec.size, spec.dtype) for n, spec in enumerate(plan.tensors)}
    for chunk in plan.chunks:
        for piece in chunk.pieces:
            flat[piece.tensor][piece.start : piece.stop] = chunks[chunk.number][piece.place]
    return {spec.name: flat[n].reshape(spec.shape) for n, spec in enumerate(plan.tensors)}


def final_arrays(plan: Plan, shards: list[Shard]) -> dict[str, np.ndarray]:
    """The tensors that a checkpoint holds."""
    arrays = {key: value for shard in shards for key, value in shard.arrays.items()}
    return tensors_of(plan, {chunk.number: arrays[f"{chunk.number}"] for chunk in plan.chunks})


def draw_toy(r: random.Random) -> Toy:
    """One of a hundred trainings: an oracle for each is made once."""
    return toy(r.randrange(100))


def draw_long_toy(r: random.Random) -> Toy:
    return long_toy(r.randrange(20))


@lru_cache(1000)
def long_toy(number: int) -> Toy:
    """Tens of steps between two barriers, where slots run ahead; of little else, to be cheap."""
    r, short = random.Random(number), toy(number)
    S = min(short.plan.slots, 2)
    plan = replace(
        short.plan, tensors=short.plan.tensors[:3], slots=S, epochs=1,
        batches_per_epoch=S * r.randint(30, 60) + r.randint(0, S - 1),
    )  # fmt: skip
    return replace(short, plan=plan, last_epoch=99, cache={})


@lru_cache(1000)
def toy(number: int) -> Toy:
    r = random.Random(number)
    tensors = []
    for n, (shape, group) in enumerate(SHAPES[: r.randint(2, len(SHAPES))]):
        tensors.append(TensorSpec(f"t{n}", shape, "float32", SUM, group))
        if r.random() < 0.4:
            tensors.append(TensorSpec(f"mean{n}", shape[:1], "float32", AVERAGE, momentum=0.1))
            tensors.append(TensorSpec(f"count{n}", (), "int64", COUNT))
    S, name = r.randint(1, 4), r.choice(["SGD", "Adam"])
    plan = Plan(
        tuple(tensors), name, S, batches_per_epoch=S * r.randint(1, 3) + r.randint(0, S - 1),
        epochs=r.randint(1, 3), chunk_bytes=4 * r.choice([4, 8, 16, 16]), norm_block=4,
    )  # fmt: skip
    if name == "SGD":
        group = {"lr": 0.01, "momentum": 0.9, "dampening": 0.0, "nesterov": False}
    else:
        group = {"lr": 0.01, "betas": [0.9, 0.99], "eps": 1e-8, "amsgrad": r.random() < 0.5}
    group |= {"weight_decay": 0.01, "lr_mult": 1.0, "maximize": False}
    steps = plan.total_steps
    return Toy(
        plan, clip=r.choice([None, 0.5, 3.0]), sparse=r.random() < 0.4,
        last_epoch=r.choice([99, 2]), nan=(r.randrange(steps), 0) if r.random() < 0.2 else None,
        options=(group, {**group, "lr_mult": 2.0, "weight_decay": 0.0}),
    )  # fmt: skip


# --- the oracle ---------------------------------------------------------------------------------


@dataclass
class Oracle:
    """What one process finds: weights and run at the start of each step, and the last step."""

    weights: list[dict[str, np.ndarray]]
    runs: list[dict[str, Any]]
    last: int


def oracle(toy: Toy, job: Job = PLAIN) -> Oracle:
    key = job.compress, job.save_every
    if key not in toy.cache:
        toy.cache[key] = train(toy, job)
    return toy.cache[key]


def train(toy: Toy, job: Job, counted: dict[int, list[int]] | None = None) -> Oracle:
    """The training in one process, slots in order, with whole tensors.

    Args:
        toy: the training.
        job: how gradients are compressed.
        counted: step -> slots that count; None: all.
    """
    plan, codec = toy.plan, Codec(toy.plan, job)
    values = {name: array.copy() for name, array in toy.start.items()}
    parameters = {s.name: Parameter(values[s.name]) for s in plan.tensors if s.kind == SUM}
    groups = [
        {"params": [parameters[s.name] for s in plan.tensors if s.kind == SUM and s.group == n]}
        for n in (0, 1)
    ]
    used = [n for n in (0, 1) if groups[n]["params"]]
    optimizer = getattr(optim, plan.optimizer)([groups[n] for n in used], lr=0.01)
    run = toy.first_run
    weights, runs = [], []
    for step in range(plan.total_steps + 1):
        for name, p in parameters.items():
            values[name] = p.data
        if step and step % plan.steps_per_epoch == 0:
            toy.finish_epoch(run, toy.score(values))
        weights.append({name: array.copy() for name, array in values.items()})
        runs.append(json.loads(json.dumps(run)))
        if run["stop"] or step == plan.total_steps:
            break
        slots = list(plan.slots_of(step)) if counted is None else counted[step]
        found = {slot: arrived(toy, codec, step, slot, values) for slot in slots}
        for slot in slots:
            weight = toy.weight(step, slot)
            run["sum"] += toy.loss(step, slot, values) * weight
            run["weight"] += weight
        run["step"] = step + 1
        if toy.nan is not None and toy.nan[0] == step and toy.nan[1] in slots:
            continue
        for n, options in zip(used, (toy.options_of(step)[n] for n in used)):
            optimizer.param_groups[used.index(n)].update(options)
        set_gradients(toy, step, parameters, found)
        optimizer.step()
        for number, spec in enumerate(plan.tensors):
            for slot in slots:
                if number not in toy.missing(step, slot):
                    if spec.kind == COUNT:
                        values[spec.name] = values[spec.name] + 1
                    elif spec.kind == AVERAGE:
                        values[spec.name] = values[spec.name] * np.float32(1 - spec.momentum)
                        values[spec.name] += found[slot][spec.name]
    return Oracle(weights, runs, len(runs) - 1)


def arrived(
    toy: Toy, codec: Codec, step: int, slot: int, values: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What a slot finds, as it is after its way to the servers."""
    found = toy.slot(step, slot, values)
    if codec.scheme.name == NONE:
        return found
    sent, done = toy.gradients(step, slot, values)
    chunks = {c.number: np.zeros(c.size, c.dtype) for c in toy.plan.chunks}
    for number, array in sent.items():
        gone = sorted(toy.plan.chunks[number].tensors & set(done["missing"]))
        packed = codec.pack(SlotChunk(1, step, slot, number, array, gone))
        is_packed = packed.dtype == PACKED
        chunks[number] = codec.unpack(number, packed) if is_packed else packed
    tensors = tensors_of(toy.plan, chunks)
    return {name: tensors[name] for name in found}


def set_gradients(
    toy: Toy,
    step: int,
    parameters: dict[str, Parameter],
    found: dict[int, dict[str, np.ndarray]],
) -> None:
    """The mean over the slots, clipped, as p.grad of each parameter."""
    total = sum(toy.weight(step, slot) for slot in found)
    squares = []
    for name, p in parameters.items():
        p.grad = None
        g = None
        for slot in found:
            if name in found[slot]:
                g = found[slot][name].copy() if g is None else g + found[slot][name]
        if g is None:
            continue
        p.grad = Tensor(g / np.float32(total) if toy.plan.slots > 1 else g)
        flat, block = p.grad.data.reshape(-1).astype(np.float64), toy.plan.norm_block
        squares += [float((flat[i : i + block] ** 2).sum()) for i in range(0, flat.size, block)]
    factor = math.inf if toy.clip is None else toy.clip / (math.sqrt(math.fsum(squares)) + 1e-6)
    if factor < 1:
        for p in parameters.values():
            if p.grad is not None:
                p.grad.data *= np.float32(factor)
