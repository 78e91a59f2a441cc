"""Clip gradients before each step."""

from __future__ import annotations

from minidl.errors import ArgumentError
from minidl.optim.clip import clip_grad_norm_
from minidl.training.callback import Callback


class ClipGradients(Callback):
    """Scale all gradients down together when their norm is above max_norm.

    With several optimizers, the norm is that of the parameters about to be updated.

    Args:
        max_norm: the largest norm allowed, >= 0; see optim.clip_grad_norm_.

    Raises:
        ArgumentError: max_norm is out of range; in a run, a step function steps on its own.

    >>> callback = minidl.callbacks.ClipGradients(1.0)
    """

    def __init__(self, max_norm: float):
        clip_grad_norm_([], max_norm)  # checks it
        self.max_norm = max_norm
        self.clipped = False  # ever in this run

    def on_fit_start(self, run) -> None:
        self.clipped = False

    def on_gradients(self, run) -> None:
        clip_grad_norm_(run.parameters_to_update().values(), self.max_norm)
        self.clipped = True

    def on_step_end(self, run) -> None:
        if not self.clipped:
            raise ArgumentError(
                "ClipGradients", "the step function steps without showing its gradients", None,
                "use run.minimize(loss, optimizer) in it",
            )  # fmt: skip
