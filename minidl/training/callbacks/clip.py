"""Clip gradients before each step."""

from __future__ import annotations

from minidl.optim.clip import clip_grad_norm_
from minidl.training.callbacks.callback import Callback


class ClipGradients(Callback):
    """Scale all gradients down together when their norm is above max_norm.

    Args:
        max_norm: the largest norm allowed, >= 0; see optim.clip_grad_norm_.

    >>> callback = minidl.callbacks.ClipGradients(1.0)
    """

    def __init__(self, max_norm: float):
        clip_grad_norm_([], max_norm)  # checks it
        self.max_norm = max_norm

    def on_gradients(self, run) -> None:
        clip_grad_norm_(run.model.parameters(), self.max_norm)
