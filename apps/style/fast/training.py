"""Training an image transformation network (Johnson et al. 2016, section 3).

    photographs -> network -> drawn pictures -> loss network -> losses -> Adam

Of a step everything is fixed by the seed and its number: the squares of photographs and the
learning rate. So the state is the weights, Adam's moments, and what was noted of the losses; a run
that goes on from it ends with the same bits as one that was never interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from apps.shared.options import to_dict
from apps.shared.photo import Photo
from apps.shared.trained_transform import KINDS, STYLE, SUPER_RESOLUTION
from apps.style.fast.perception import Perception
from apps.style.fast.photographs import Photographs, reduced
from apps.style.fast.settings import TrainSettings
from apps.style.loss_network import LossNetwork
from apps.style.losses import added, grad_of
from apps.style.needs import Estimate, PeakMemory, check_memory
from minidl.errors import CheckpointError, NonFiniteError
from minidl.io.checkpoint import CheckpointContent
from minidl.nn import Module
from minidl.optim import Adam
from minidl.tensor import Tensor

EVERY = 10  # steps whose losses are averaged for the curves
SAVE_SECONDS = 60
WARM_UP = 100  # steps: the first ones are far off, and large ones would saturate tanh
CHECKED, SHOWN = 8, 3  # squares of photographs held out whose losses are told; that are shown
PROBE, PROBED = 96, 2  # pixels and number of the squares that tell how much memory is needed
OP = "fast-train"


@dataclass
class Notes:
    """What is noted of a run, and kept in its state.

    Args:
        step: how many steps were made.
        seconds: how long they took.
        sums: of the parts of the loss since the last mean.
        losses: {"step": ..., part: mean over EVERY steps}.
        samples: (step, uint8 (SHOWN, H, W, 3)) of what the network draws.
        checks: {"step": ..., part: of photographs held out}.
    """

    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    losses: list[dict[str, float]] = field(default_factory=list)
    samples: list[tuple[int, np.ndarray]] = field(default_factory=list)
    checks: list[dict[str, float]] = field(default_factory=list)

    def add(self, parts: dict[str, float]) -> None:
        """The losses of one more step."""
        self.step += 1
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        if self.step % EVERY == 0:
            means = {name: value / EVERY for name, value in self.sums.items()}
            self.losses.append({"step": self.step} | means)
            self.sums = {}

    def as_state(self) -> dict[str, Any]:
        samples = [{"step": step, "drawn": Tensor(drawn)} for step, drawn in self.samples]
        return {
            "step": self.step, "seconds": self.seconds, "sums": self.sums, "losses": self.losses,
            "samples": samples, "checks": self.checks,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Notes:
        samples = [(one["step"], one["drawn"].numpy()) for one in state["samples"]]
        return cls(**(state | {"samples": samples}))


class Training:
    """A training run.

    Args:
        settings: what decides it.
        note: is told what goes on.

    Raises:
        DataError, CheckpointError: photographs, style picture or loss network cannot be read.
    """

    def __init__(self, settings: TrainSettings, note: Callable[[str], None] = lambda text: None):
        self.settings = settings
        self.photographs = Photographs(settings.data, settings.seed, note)
        network = LossNetwork(settings.loss_net, settings.weights, settings.pool)
        self.style = None
        if settings.style is not None:
            self.style = Photo.read(settings.style).over_white().fitted(settings.style_size)
        target = None if self.style is None else self.style.tensor()
        self.perception = Perception(network, settings.loss_weights, target)
        minidl.manual_seed(settings.seed)
        self.net = self.fresh().train()
        self.optimizer = Adam(self.net.parameters(), lr=settings.lr)
        self.notes = Notes()

    # --- the network --------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        return STYLE if self.settings.task == "style" else SUPER_RESOLUTION

    @property
    def arguments(self) -> dict[str, Any]:
        """Of the network's class."""
        scale = {} if self.kind == STYLE else {"scale": self.settings.scale}
        return scale | {"width": self.settings.width}

    def fresh(self) -> Module:
        return KINDS[self.kind](**self.arguments)

    # --- steps --------------------------------------------------------------------------------

    def run(self, after_step: Callable[[dict[str, float]], Any]) -> bool:
        """Make the steps that are left.

        Args:
            after_step: is told the parts of the loss after each; where it returns False, that was
                the last one.

        Returns:
            whether all steps were made.

        Raises:
            NonFiniteError: a loss or a gradient is NaN or infinite; the weights are as before.
        """
        settings = self.settings
        while self.notes.step < settings.iterations:
            first = self.notes.step
            last = settings.small_steps if first < settings.small_steps else settings.iterations
            size = settings.size_at(first)
            for batch in self.photographs.batches(first, last, settings.batch_size, size):
                if after_step(self.one_step(batch)) is False:
                    return False
        return True

    def one_step(self, batch: np.ndarray) -> dict[str, float]:
        """One step; the parts of the loss before it."""
        begin = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.notes.step)
        parts = self.step(self.net, batch)
        self.check_finite(parts)
        self.optimizer.step()
        self.notes.add(parts)
        self.notes.seconds += time.perf_counter() - begin
        return parts

    def step(self, net: Module, batch: np.ndarray) -> dict[str, float]:
        """Gradients of a batch of photographs; the parts of the loss."""
        net.zero_grad()
        photographs = as_tensor(batch)
        drawn = net(self.entering(batch))
        parts = self.perception.losses(drawn, photographs)
        added(list(parts.values())).backward()
        return {name: part.item() for name, part in parts.items()}

    def check_finite(self, parts: dict[str, float]) -> None:
        """Losses and gradients are numbers; otherwise every later step, and what is saved, would be
        NaN.

        Raises:
            NonFiniteError
        """
        bad: dict[str, Any] = {n: part for n, part in parts.items() if not math.isfinite(part)}
        if not bad:
            for path, p in self.net.named_parameters():
                gradient = grad_of(p).data
                if not math.isfinite((gradient * gradient.dtype.type(1e-10)).sum()):
                    bad = {"gradient of": path}
                    break
        if bad:
            raise NonFiniteError(
                OP, f"a loss or gradient of step {self.notes.step + 1:,} is not finite", bad,
                f"begin anew with a smaller --lr, such as {self.settings.lr / 4:.2g}, or smaller "
                "weights of the losses",
            )  # fmt: skip

    def entering(self, batch: np.ndarray) -> Tensor:
        """What the network is given of photographs: themselves, or made small."""
        if self.kind == STYLE:
            return as_tensor(batch)
        return as_tensor(reduced(batch, self.settings.scale))

    def rate(self, step: int) -> float:
        """The learning rate of a step: it rises at first, and falls along a cosine to 0."""
        rises = min(1.0, (step + 1) / WARM_UP)
        falls = 0.5 * (1 + math.cos(math.pi * step / self.settings.iterations))
        return self.settings.lr * rises * falls

    def estimate(self) -> Estimate:
        """Of the steps that are left: one of each size, made with a copy of the network.

        Before, a step with small squares tells whether the large ones will fit into memory.

        Raises:
            OptionError: they will not.
        """
        net = self.fresh()
        net.load_state_dict(self.net.state_dict())
        settings, done = self.settings, self.notes.step
        self.check_step(net)
        steps = [
            (settings.small_size, max(0, settings.small_steps - done)),
            (settings.size, settings.iterations - max(settings.small_steps, done)),
        ]
        total, megabytes = 0.0, 0.0
        for size, count in steps:
            if count == 0:
                continue
            seconds, here = self.measured(net, settings.batch_size, size)
            total += count * seconds
            megabytes = max(megabytes, here)
        return Estimate(total, megabytes)

    def check_step(self, net: Module) -> None:
        """A step of the largest squares fits into memory, counted from one of small squares.

        Raises:
            OptionError: it does not.
        """
        settings = self.settings
        size, count = min(settings.size, PROBE), min(settings.batch_size, PROBED)
        if (size, count) == (settings.size, settings.batch_size):
            return
        _, here = self.measured(net, count, size)

        def hint(share: float) -> str:
            side = max(32, int(settings.size * share**0.5) // 8 * 8)
            return f"--size {side} fits" + (
                ", or a smaller --batch-size" if settings.batch_size > 1 else ""
            )

        check_memory(
            here * settings.batch_size * settings.size**2 / (count * size**2),
            "a step needs more memory than there is",
            {"--size": settings.size, "--batch-size": settings.batch_size}, hint,
        )  # fmt: skip

    def measured(self, net: Module, count: int, size: int) -> tuple[float, float]:
        """Seconds and megabytes of a step, made twice: the first one compiles."""
        batch = self.photographs.batch(0, count, size)
        self.step(net, batch)
        minidl.empty_cache()
        with PeakMemory() as peak:
            begin = time.perf_counter()
            self.step(net, batch)
            seconds = time.perf_counter() - begin
        return seconds, peak.bytes / 1e6

    # --- samples ------------------------------------------------------------------------------

    @property
    def unseen(self) -> np.ndarray:
        """Squares of photographs that no step sees, if there are any: uint8 (CHECKED, H, W, 3)."""
        return self.photographs.unseen(CHECKED, self.settings.size)

    def check(self) -> None:
        """Note what the network draws of them now, and its losses."""
        sums: dict[str, float] = {}
        drawn = []
        with minidl.no_grad(), minidl.nn.evaluating(self.net):
            for one in self.unseen[:, None]:  # one at a time, in little memory
                y = self.net(self.entering(one))
                for name, part in self.perception.losses(y, as_tensor(one)).items():
                    sums[name] = sums.get(name, 0.0) + part.item() / CHECKED
                drawn.append(np.clip(y.numpy()[0], 0, 255).transpose(1, 2, 0))
        shown = np.round(np.stack(drawn[:SHOWN])).astype(np.uint8)
        self.notes.samples.append((self.notes.step, shown))
        self.notes.checks.append({"step": self.notes.step} | sums)

    # --- state --------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the state, from which `resume` goes on."""
        minidl.io.save_checkpoint(
            path, self.net, self.optimizer, self.notes.as_state(),
            {"kind": f"{OP} state", "settings": to_dict(self.settings)},
        )  # fmt: skip

    def load(self, saved: CheckpointContent) -> None:
        """Go on from the state of a run with the same settings.

        Raises:
            CheckpointError: it is of something else.
        """
        if saved.meta.get("kind") != f"{OP} state" or saved.optimizer is None:
            raise CheckpointError(OP, "the file is no state of fast-train", {})
        self.net.load_state_dict(saved.model)
        self.optimizer.load_state_dict(saved.optimizer)
        self.notes = Notes.from_state(saved.run)


def as_tensor(batch: np.ndarray) -> Tensor:
    """uint8 (N, H, W, 3) as a Tensor (N, 3, H, W) from 0 to 255, channels last in memory."""
    return Tensor(batch.astype(np.float32).transpose(0, 3, 1, 2))
