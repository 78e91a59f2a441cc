"""A worker's model as the servers see it: the plan, and flat chunks of its tensors.

    gradients    a hook on each parameter copies its gradient into chunks as backward completes it;
                 a chunk is given away when it has all of its tensors
    weights      chunks that come back are copied into the parameters, in place
    averages     running means and variances: what a slot adds to them, see Averages

A tensor is flattened in logical order, whatever its order in memory. So pieces of one tensor lie
where the plan says on every worker.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from minidl import optim
from minidl.errors import ArgumentError
from minidl.nn.module import Module
from minidl.nn.norm import BatchNorm, Normalization
from minidl.nn.spectral_norm import SpectralNorm
from minidl.tensor import HookHandle, Tensor
from minidl_dist.checksum import checksum
from minidl_dist.plan import AVERAGE, COUNT, FIXED, OPTIMIZERS, SUM, Chunk, Piece, Plan, TensorSpec


def make_plan(
    model: Module, optimizer: Any, slots: int, batches_per_epoch: int, epochs: int
) -> tuple[Plan, list[Tensor]]:
    """The plan of a model's training, and its tensors in the plan's order.

    Raises:
        ArgumentError: something cannot be trained by servers; it is named.
    """
    check_optimizer(model, optimizer)
    group_of = {p: n for n, group in enumerate(optimizer.param_groups) for p in group["params"]}
    kinds = kinds_of_buffers(model)
    specs, tensors = [], []
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        kind, momentum = kinds.get(tensor, (SUM if tensor in group_of else FIXED, 0.0))
        crc = checksum(np.ascontiguousarray(tensor.data)) if kind == FIXED else 0
        group = group_of.get(tensor, 0)
        specs.append(
            TensorSpec(name, tensor.shape, str(tensor.dtype), kind, group, momentum, crc)
        )  # fmt: skip
        tensors.append(tensor)
    plan = Plan(
        tuple(specs), type(optimizer).__name__, slots, batches_per_epoch, epochs
    )  # fmt: skip
    plan.check()
    return plan, tensors


def check_optimizer(model: Module, optimizer: Any) -> None:
    """Servers can take the optimizer's steps, and hold all that it changes."""
    known = [getattr(optim, name) for name in OPTIMIZERS]
    if type(optimizer) not in known:
        hint = "LBFGS needs all of the model in one place" if "LBFGS" in repr(optimizer) else ""
        raise ArgumentError(
            "dist", f"servers take the steps of {', '.join(OPTIMIZERS)}",
            {"optimizer": type(optimizer).__name__}, hint or "train in one process",
        )  # fmt: skip
    if optimizer.state:
        raise ArgumentError(
            "dist", "a run begins on servers with a fresh optimizer",
            {"parameters with a state": len(optimizer.state)},
            "a run that began in one process goes on in one process",
        )  # fmt: skip
    held = set(model.parameters())
    for number, group in enumerate(optimizer.param_groups):
        for p in group["params"]:
            if p not in held:
                raise ArgumentError(
                    "dist", "the optimizer's parameters are the model's",
                    {"group": number, "parameter": p}, "put all that learns into one Module",
                )  # fmt: skip


def kinds_of_buffers(model: Module) -> dict[Tensor, tuple[str, float]]:
    """Buffer -> kind and momentum.

    Raises:
        ArgumentError: a layer's buffers depend on the order of all batches before; it is named.
    """
    kinds: dict[Tensor, tuple[str, float]] = dict.fromkeys(model.buffers(), (FIXED, 0.0))
    for name, module in model.named_modules():
        received = {"layer": f"{name} ({type(module).__name__})"}
        if isinstance(module, SpectralNorm):
            raise ArgumentError(
                "dist", "a spectral norm's vectors follow from all batches before", received,
                "train in one process",
            )  # fmt: skip
        if not isinstance(module, Normalization) or not module.track_running_stats:
            continue
        if not isinstance(module, BatchNorm):
            raise ArgumentError(
                "dist", "only batch norm may keep running averages", received,
                "track_running_stats=False",
            )  # fmt: skip
        if module.momentum is None:
            raise ArgumentError(
                "dist", "a plain average over all batches depends on their order", received,
                "momentum=0.1",
            )  # fmt: skip
        kinds[module.running_mean] = kinds[module.running_var] = (AVERAGE, module.momentum)
        kinds[module.num_batches_tracked] = (COUNT, 0.0)
    return kinds


class Chunks:
    """The tensors of a model, and the chunks that the plan makes of them.

    Args:
        plan, tensors: from make_plan.
        give: called with number, values, and missing tensors of each chunk of a slot.
    """

    def __init__(
        self, plan: Plan, tensors: list[Tensor], give: Callable[[int, np.ndarray, list[int]], None]
    ):
        self.plan, self.tensors, self.give = plan, tensors, give
        self.members = [chunk.tensors for chunk in plan.chunks]
        self.pieces_of: list[list[tuple[Chunk, Piece]]] = [[] for _ in tensors]
        for chunk in plan.chunks:
            for piece in chunk.pieces:
                self.pieces_of[piece.tensor].append((chunk, piece))
        self.taking = False
        self.own: Collection[Tensor] | None = None  # whose gradients count; None: all
        self.handles = []
        for number, tensor in enumerate(tensors):
            if plan.tensors[number].kind == SUM:  # also where it is frozen now: it may learn later
                hooks = tensor.hooks_after = tensor.hooks_after or {}
                take = functools.partial(self.take, number)
                self.handles.append(HookHandle(hooks, take))

    # --- a slot ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """A slot begins: no gradient is there."""
        self.taking, self.nan = True, ""
        self.values: dict[int, np.ndarray] = {}  # of chunks in the making
        self.there: set[int] = set()  # numbers of tensors
        for spec, tensor in zip(self.plan.tensors, self.tensors):
            if spec.kind == SUM:
                tensor.grad = None

    def take(self, number: int, p: Tensor) -> None:
        """A gradient is complete: hand it on, and forget it here."""
        if self.taking:
            if self.own is None or p in self.own:
                self.put(number, p.grad.data)
            p.grad = None

    def put(self, number: int, array: np.ndarray) -> None:
        """Put what a slot found for a tensor into its chunks, and give away those that are full."""
        flat = array.reshape(-1)
        self.there.add(number)
        for chunk, piece in self.pieces_of[number]:
            values = self.values.get(chunk.number)
            if values is None:
                values = self.values[chunk.number] = np.zeros(chunk.size, chunk.dtype)
            values[piece.place] = flat[piece.start : piece.stop]
        for chunk in dict.fromkeys(chunk for chunk, _ in self.pieces_of[number]):
            if self.members[chunk.number] <= self.there:
                self.give_away(chunk)

    def give_away(self, chunk: Chunk) -> None:
        values = self.values.pop(chunk.number)
        if not self.nan and not math.isfinite(values.sum(dtype=np.float64)):
            self.nan = self.name_of_nan(chunk, values)
        self.give(chunk.number, values, sorted(self.members[chunk.number] - self.there))

    def name_of_nan(self, chunk: Chunk, values: np.ndarray) -> str:
        """The first tensor in a chunk whose gradient is not finite; "" if none is."""
        for piece in chunk.pieces:
            if not np.isfinite(values[piece.place]).all():
                return self.plan.tensors[piece.tensor].name
        return ""

    def end(self) -> list[int]:
        """Give away what is incomplete; the numbers of tensors for which the slot found nothing."""
        self.taking = False
        for number in sorted(self.values):
            self.give_away(self.plan.chunks[number])
        held = (n for n, spec in enumerate(self.plan.tensors) if spec.kind != FIXED)
        return [n for n in held if n not in self.there]

    # --- weights --------------------------------------------------------------------------------

    def initial(self) -> dict[int, np.ndarray]:
        """All chunks, as the model is now."""
        found = {c.number: np.empty(c.size, c.dtype) for c in self.plan.chunks}
        for chunk in self.plan.chunks:
            for piece in chunk.pieces:
                flat = self.tensors[piece.tensor].data.reshape(-1)
                found[chunk.number][piece.place] = flat[piece.start : piece.stop]
        return found

    def load(self, values: dict[int, np.ndarray]) -> None:
        """Copy chunks into the model, in place."""
        for number, tensor in enumerate(self.tensors):
            parts = [values[chunk.number][piece.place] for chunk, piece in self.pieces_of[number]]
            if parts:
                flat = parts[0] if len(parts) == 1 else np.concatenate(parts)
                tensor.data[...] = flat.reshape(tensor.shape)

    def close(self) -> None:
        """Take the hooks away."""
        for handle in self.handles:
            handle.remove()


class Fixed:
    """Tensors that the servers do not hold: nobody would hear of a change.

    Args:
        plan, tensors: from make_plan.
    """

    SMALL = 64 << 10  # bytes: at this size a look after each slot costs nothing

    def __init__(self, plan: Plan, tensors: list[Tensor]):
        pairs = zip(plan.tensors, tensors)
        self.tensors = [(spec, tensor) for spec, tensor in pairs if spec.kind == FIXED]
        self.is_first = True

    def check_slot(self) -> None:
        """After a slot: the small ones are what they were at the start; after the first one, all.

        Raises:
            ArgumentError: one has changed; it is named.
        """
        self.check(None if self.is_first else self.SMALL)
        self.is_first = False

    def check(self, most: int | None = None) -> None:
        """Those of at most so many bytes, or all, are what they were at the start.

        Raises:
            ArgumentError: one has changed; it is named.
        """
        for spec, tensor in self.tensors:
            if most is not None and tensor.data.nbytes > most:
                continue
            if checksum(tensor.data) != spec.crc:
                raise ArgumentError(
                    "dist", "what the optimizer does not change stays as it is: each worker would"
                    " have another value, and no checkpoint has it",
                    {"tensor": spec.name}, "running averages of batch norm are known; for others,"
                    " train in one process",
                )  # fmt: skip


class Averages:
    """What a slot adds to the running averages of batch norm.

    A batch moves an average to r (1 - m) + m s. Begun at 0 it becomes m s, exactly what is added:
    the servers do r <- r (1 - m) + d for each slot, in their order. While they are 0, nobody may
    compute with them: a layer stays in training, or in evaluation, for the whole slot.

    Args:
        model: whose batch norms; each may be used once in a slot.
        plan, tensors: from make_plan.
    """

    def __init__(self, model: Module, plan: Plan, tensors: list[Tensor]):
        number_of = {tensor: n for n, tensor in enumerate(tensors)}
        self.layers = [
            (name, module, [number_of[module.running_mean], number_of[module.running_var]],
             number_of[module.num_batches_tracked])
            for name, module in model.named_modules()
            if isinstance(module, BatchNorm) and module.track_running_stats
        ]  # fmt: skip
        self.tensors = tensors

    def begin(self) -> None:
        """Before a slot: set to 0 what it will move. A frozen norm computes with its averages."""
        self.moving, self.hooks = [], []
        for name, module, numbers, counter in self.layers:
            moves = is_moving(module)
            keep_mode = functools.partial(check_mode, name, moves)
            self.hooks.append(module.register_forward_pre_hook(keep_mode))
            if moves:
                kept = [self.tensors[n].data.copy() for n in (*numbers, counter)]
                self.moving.append((name, numbers, counter, kept))
                for n in numbers:
                    self.tensors[n].data[...] = 0

    def end(self, chunks: Chunks) -> None:
        """After it: hand on what was found, and put the averages back.

        Raises:
            ArgumentError: a layer was used twice.
        """
        for hook in self.hooks:
            hook.remove()
        for name, numbers, counter, kept in self.moving:
            uses = int(self.tensors[counter].data) - int(kept[-1])
            if uses > 1:
                raise ArgumentError(
                    "dist", "a batch norm is used once in a batch", {"layer": name, "uses": uses},
                    "give each place a batch norm of its own",
                )  # fmt: skip
            if uses:
                chunks.there.add(counter)
                for n in numbers:
                    chunks.put(n, self.tensors[n].data)
            for n, array in zip((*numbers, counter), kept):
                self.tensors[n].data[...] = array


def is_moving(module: BatchNorm) -> bool:
    """Whether a use of it moves its averages; else it computes with them."""
    return module.training and module.learns()


def check_mode(name: str, moves: bool, module: BatchNorm, inputs: tuple) -> None:
    """Before a batch norm is used in a slot that began with its averages moving, or not.

    Raises:
        ArgumentError: it is the other way round now.
    """
    if is_moving(module) != moves:
        modes = {True: "training", False: "evaluation, or frozen"}
        raise ArgumentError(
            "dist", "a batch norm stays in training or in evaluation during a batch",
            {"layer": f"{name} ({type(module).__name__})", "at its start": modes[moves],
             "now": modes[not moves]},
            "evaluate between steps: in on_step_end or on_epoch_end",
        )  # fmt: skip
