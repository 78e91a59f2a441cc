"""Slots: which batches make a step of training, and who computes them.

A step takes the mean gradient over S batches, weighted by what each counts (fit(accumulate=S)).
Batch s of a step is its slot s. What is computed in a slot follows from the weights, the batch, and
random numbers that depend on (seed, step, slot) alone, not on who computes it or what came before:

    slot 0    loss * weight ── backward ──► g0 ─┐
    slot 1    loss * weight ── backward ──► g1 ─┼─► (g0 + g1 + ... ) / sum of the weights ─► step
    ...                                         │
    slot S-1                            ──► g.. ┘   added in the order of the slots

minidl.fit asks a Slots for its batches. The plain one below computes all slots here, one after the
other. A process that trains together with others (minidl_dist) puts its own in its place by `use`:
it computes the slots that it is given, and gets the weights of the next step from servers, which
add up the gradients of all in the same order. So both end with the same weights, bit for bit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from minidl import random
from minidl.errors import ArgumentError
from minidl.tensor import Tensor

if TYPE_CHECKING:
    from minidl.training.run import Run

Batch = tuple[Any, Any]  # inputs, targets


class Rewound(Exception):
    """The servers went back to an earlier step, as one of them was lost; so does the run."""


class Slots:
    """All slots of each step, computed in this process.

    Attributes:
        default: how many slots a step has where the user does not say.
    """

    default = 1

    def begin(self, run: Run) -> None:
        """The run is about to start; everything about it is known."""
        self.run = run

    def steps(self) -> Iterator[Iterator[Batch]]:
        """The steps left in this epoch, each as an iterator over its batches.

        No batch is read before it is asked for: the loader's position is right between steps.
        """
        batches = self.run.batches()
        for first in batches:
            yield self.of_step(first, batches)

    def of_step(self, first: Batch, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches of one step, the first of which is read, each with its random numbers."""
        run, done = self.run, self.run.batch
        for slot in range(run.slots_at(done)):
            batch = next(batches, None) if slot else first
            if batch is None:
                raise ArgumentError(
                    "fit", "loader gave fewer batches than its length",
                    {"loader": run.loader, "len(loader)": len(run.loader), "batches": done + slot},
                )  # fmt: skip
            random.begin(run.seed, run.step, slot)
            yield batch

    @contextmanager
    def only(self, parameters: Collection[Tensor]) -> Iterator[None]:
        """Let a backward inside add to the gradients of these parameters alone."""
        groups = self.run.optimizer.param_groups
        others = [p for group in groups for p in group["params"] if p not in parameters]
        gradients = [p.grad for p in others]
        yield
        for p, gradient in zip(others, gradients):
            p.grad = gradient

    def add(self, values: dict[str, float] | None = None) -> None:
        """The current batch's gradients are computed: count it. Backward has added them up.

        Args:
            values: what was minimized, by name; None for the run's loss.
        """
        self.run.count_batch(values or {"loss": self.run.loss.item()})

    def take_step(self) -> None:
        """All batches of the step are there: change the weights."""
        run = self.run
        if run.accumulate > 1:
            for group in run.optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad.data /= run.step_weight
        run.notify("on_gradients")
        run.optimizer.step()

    def rewind(self) -> None:
        """After Rewound: bring the run to the step that the servers went back to."""

    def end(self) -> None:
        """The run has taken its last step."""


in_use: Slots | None = None


def use(slots: Slots | None) -> None:
    """Let minidl.fit ask this object for its batches; None: compute all slots here."""
    global in_use
    in_use = slots


def of_this_process() -> Slots:
    """What minidl.fit asks for its batches."""
    return Slots() if in_use is None else in_use
