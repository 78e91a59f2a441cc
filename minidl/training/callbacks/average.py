"""An exponential average of the weights."""

from __future__ import annotations

import copy
from typing import Any

from minidl.errors import ArgumentError
from minidl.nn.module import Module
from minidl.nn.spectral_norm import SpectralNorm
from minidl.shapes import is_number
from minidl.training.callback import Callback


class AverageWeights(Callback):
    """Keep an exponential average of the weights, which jumps less from step to step than they do.

        average += (1 - d) (weights - average)      after each step
        d = min(decay, (1 + t) / (10 + t))          t steps were averaged before

    The second term of d is a warm-up, TensorFlow's: an average of few steps forgets the first ones,
    which were bad. Buffers, such as the running averages of batch norm, are averaged as well;
    integers among them are copied, and so are the vectors of spectral norms: the average of unit
    vectors whose sign or direction turns is shorter, and the norm computed from it too small.

    The average is part of a checkpoint and goes on with a resumed run; load_checkpoint(path) has it
    in .run["callbacks"]["AverageWeights"]["weights"], for load_state_dict of such a network.

    Polyak and Juditsky 1992; for generators Yazıcı et al. 2019, "The unusual effectiveness of
    averaging in GAN training".

    Args:
        decay: weight of the average so far, at each step, from 0 to below 1.
        part: dotted name of the submodule that is averaged; "" for the whole model.

    Attributes:
        average: the network with the average as its weights, frozen and in evaluation mode, from
            the start of the run on; None before.

    Raises:
        ArgumentError: decay is out of range; later, the model has no such part.

    >>> averaging = minidl.callbacks.AverageWeights(0.999)
    >>> model, batches = minidl.nn.Linear(2, 1), [(minidl.ones(4, 2), minidl.zeros(4, 1))]
    >>> optimizer = minidl.optim.SGD(model.parameters(), lr=0.1)
    >>> _ = minidl.fit(model, batches, minidl.nn.MSELoss(), optimizer, 3, callbacks=[averaging])
    >>> averaging.average(minidl.ones(1, 2)).shape
    (1, 1)
    """

    def __init__(self, decay: float = 0.999, part: str = ""):
        if not is_number(decay) or not 0 <= decay < 1:
            raise ArgumentError(
                "AverageWeights", "decay is a number from 0 to below 1", {"decay": decay}
            )
        if not isinstance(part, str):
            rule = 'part is the dotted name of a submodule, or "" for the model'
            raise ArgumentError("AverageWeights", rule, {"part": part})
        self.decay, self.part, self.steps = float(decay), part, 0
        self.average: Module | None = None
        self.saved: dict[str, Any] | None = None  # of the run that goes on

    def on_fit_start(self, run) -> None:
        self.average = copy.deepcopy(run.model.get_submodule(self.part)).freeze().eval()
        self.steps = 0
        if self.saved is not None:
            self.take_saved()

    def on_step_end(self, run) -> None:
        now = run.model.get_submodule(self.part).state_dict()
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        copied = names_of_vectors(self.average)
        for name, mean in self.average.state_dict().items():
            if share == 1 or name in copied or mean.data.dtype.kind != "f":
                mean.data[...] = now[name].data
            else:
                mean.data += (now[name].data - mean.data) * share
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        if self.average is None:
            return {}
        return {"steps": self.steps, "weights": self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.saved = {"steps": state["steps"], "weights": state["weights"]}
        if self.average is not None:  # a run that goes back
            self.take_saved()

    def take_saved(self) -> None:
        self.average.load_state_dict(self.saved["weights"])
        self.steps, self.saved = int(self.saved["steps"]), None


def names_of_vectors(module: Module) -> set[str]:
    """Names in the state of the singular vectors that spectral norms of a module estimate."""
    return {
        f"{place}.{name}" if place else name
        for place, one in module.named_modules() if isinstance(one, SpectralNorm)
        for name, _ in one.named_buffers()
    }  # fmt: skip
