"""The door for scripts with a loop of their own.

    ps = minidl_dist.connect(model, optimizer)
    for x, labels in ps.batches(loader, epochs=3):
        ps.step(loss(model(x), labels))
    if ps.is_chief:
        minidl.io.save_checkpoint("model.safetensors", model)

A batch is a slot: in `minidl dist run --workers 2 --slots 4 script.py` a step takes four, and each
worker's loop sees those that it is given. Started as `python script.py` the same script trains
alone. Either way the weights have the same bits, if the number of slots is the same.

Networks that learn together, such as a GAN's, are named pairs; each loss changes its own alone, and
all are changed at the end of the step:

    ps = minidl_dist.connect({"generator": (generator, adam), "critic": (critic, other_adam)})
    for real, _ in ps.batches(loader):
        fake = generator(minidl.randn(len(real), 8))
        ps.step({"critic": (critic(fake.detach()) - critic(real)).mean(),
                 "generator": -critic(fake).mean()})

The loop is that of minidl.fit turned inside out: where servers go back to a checkpoint, or another
worker is lost, the next batch is simply another one. What the script remembers itself (a running
mean, say) does not go back with it; ps.history does.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from minidl.callbacks import Callback
from minidl.errors import ArgumentError
from minidl.nn.container import ModuleDict
from minidl.nn.module import Module
from minidl.optim.optimizer import Optimizer
from minidl.shapes import is_number
from minidl.tensor import Tensor
from minidl.training.callback import check_callbacks
from minidl.training.checks import check_arguments, check_loss
from minidl.training.run import Run
from minidl.training.slots import Rewound, of_this_process


def connect(
    model: Module | dict[str, tuple[Module, Optimizer]],
    optimizer: Optimizer | None = None,
    slots: int | None = None,
    callbacks: Iterable[Callback] = (),
) -> Connection:
    """Train a model together with the other workers of this job; alone, where there is no job.

    Args:
        model: what is trained; every worker makes the same. Several as a dict name -> (model,
            optimizer); the optimizers are of one kind, each with options of its own.
        optimizer: of its parameters. The servers take its steps, with its options.
        slots: how many batches make a step; None for as many as the job's workers at its start,
            or 1 alone.
        callbacks: such as callbacks.Schedule and callbacks.ClipGradients.

    Raises:
        ArgumentError: an argument is something else.

    >>> import minidl_dist
    >>> model = minidl.nn.Linear(2, 1)
    >>> ps = minidl_dist.connect(model, minidl.optim.SGD(model.parameters(), lr=0.1))
    >>> for x, t in ps.batches([(minidl.ones(4, 2), minidl.zeros(4, 1))], epochs=3):
    ...     ps.step(minidl.nn.functional.mse_loss(model(x), t))
    >>> ps.steps
    3
    """
    parts: dict[str, set[Tensor]] = {}
    if isinstance(model, dict):
        parts = {name: set(pair[0].parameters()) for name, pair in model.items()}
        model, optimizer = joined(model)
    return Connection(model, optimizer, slots, check_callbacks(callbacks), parts)


def joined(pairs: dict[str, tuple[Module, Optimizer]]) -> tuple[Module, Optimizer]:
    """One Module with all models, and one optimizer with the groups of all.

    Raises:
        ArgumentError: the optimizers are of different kinds.
    """
    optimizers = [optimizer for _, optimizer in pairs.values()]
    kinds = sorted({type(optimizer).__name__ for optimizer in optimizers})
    if len(kinds) != 1:
        raise ArgumentError("connect", "the optimizers are of one kind", {"optimizers": kinds})
    together = copy.copy(optimizers[0])
    together.state = {}
    together.param_groups = [group for one in optimizers for group in one.param_groups]
    return ModuleDict({name: model for name, (model, _) in pairs.items()}), together


class Connection:
    """What connect returns.

    Attributes:
        steps: taken so far, by all together.
        history: of each finished epoch {"epoch", "step", "loss", "lr", ...}.
        is_chief: whether this process saves and prints: one of all, or the only one.
    """

    def __init__(
        self, model: Module, optimizer: Optimizer, slots: int | None, callbacks: list[Callback],
        parts: dict[str, set[Tensor]],
    ):  # fmt: skip
        self.of_process = of_this_process()
        self.model, self.optimizer, self.callbacks = model, optimizer, callbacks
        self.slots = self.of_process.default if slots is None else slots
        self.parts = parts  # of several models: name -> its parameters
        self.run: Run | None = None
        self.stepped = True

    @property
    def steps(self) -> int:
        return 0 if self.run is None else self.run.step

    @property
    def history(self) -> list[dict[str, Any]]:
        return [] if self.run is None else self.run.history

    @property
    def is_chief(self) -> bool:
        return getattr(self.of_process, "is_chief", True)

    def batches(self, loader: Iterable, epochs: int = 1) -> Iterator[tuple[Any, Any]]:
        """The batches that are ours, of all epochs; for each, call `step` once.

        Args:
            loader: a minidl.data.DataLoader, or a list of pairs (inputs, targets).
            epochs: passes over it, in all.

        Raises:
            ArgumentError: the loader is none, a batch came without `step`, or this was called
                before: a job trains one run.
        """
        check_arguments(self.model, loader, self.optimizer, epochs, None, self.slots, None)
        if self.run is not None:
            raise ArgumentError(
                "batches", "a connection trains once", None, "batches(loader, epochs=...)"
            )
        run = self.run = Run(
            self.model, loader, None, self.optimizer, epochs, None, self.callbacks, self.slots
        )
        self.of_process.leaves = False  # the script goes on after its loop
        return self.all_batches(run)

    def all_batches(self, run: Run) -> Iterator[tuple[Any, Any]]:
        slots = self.of_process
        try:
            slots.begin(run)
            run.notify("on_fit_start")
            ended = False
            while not ended:
                try:
                    while not run.is_over():
                        yield from self.epoch(run)
                    slots.end()
                    ended = True
                except Rewound:
                    slots.rewind()
        except BaseException as error:
            run.error = error
            raise
        finally:
            run.end()

    def epoch(self, run: Run) -> Iterator[tuple[Any, Any]]:
        """One epoch, or what is left of it."""
        run.model.train()
        run.start_epoch()
        run.notify("on_epoch_start")
        for batches in self.of_process.steps():
            run.start_step()
            for inputs, targets in batches:
                run.start_batch(inputs, targets)
                run.notify("on_step_start")
                self.stepped = False
                yield inputs, targets
                if not self.stepped:
                    raise ArgumentError("batches", "each batch is followed by ps.step(loss)")
            self.of_process.take_step()
            run.finish_step()
            run.notify("on_step_end")
        run.finish_epoch()
        run.notify("on_epoch_end")

    def step(self, loss: Tensor | dict[str, Tensor], weight: float | None = None) -> None:
        """Give the gradient of a batch's loss; when all slots have, the step is taken.

        Args:
            loss: a Tensor with one element, the mean over the batch; of several models, a dict
                name -> such a Tensor.
            weight: what the batch counts in the mean over the step; None: its examples.

        Raises:
            ArgumentError: there is no batch to step for, or an argument is something else.
        """
        if self.stepped or self.run is None:
            raise ArgumentError("step", "one step for each batch of ps.batches(loader)")
        if weight is not None:
            if not is_number(weight) or not 0 < weight < float("inf"):
                raise ArgumentError("step", "weight is a number > 0", {"weight": weight})
            self.run.weight = weight
        losses = loss if self.parts else {"loss": loss}
        if not isinstance(losses, dict) or not losses.keys() <= (self.parts or losses).keys():
            raise ArgumentError(
                "step", "there is a loss for each model", {"loss": loss, "models": list(self.parts)}
            )
        for name, one in losses.items():
            self.run.loss = check_loss("step", one)
            self.run.notify("on_loss")
            if self.parts:
                with self.of_process.only(self.parts[name]):
                    self.run.backward()
            else:
                self.run.backward()
        self.of_process.add({name: one.item() for name, one in losses.items()})
        self.stepped = True
