"""Stochastic gradient descent (Robbins and Monro 1951), with momentum (Polyak 1964).

    g   = gradient + weight_decay * p
    v   = momentum * v + (1 - dampening) * g          v = g in the first step
    p   = p - lr * v                                  Nesterov: p = p - lr * (g + momentum * v)

As in PyTorch (Sutskever et al. 2013 and Caffe multiply the learning rate into v instead: the same
for a constant rate). Weight decay is the gradient of weight_decay/2 * |p|^2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minidl import kernels
from minidl.device import array_module
from minidl.errors import ArgumentError
from minidl.optim.optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent, optionally with (Nesterov) momentum.

    v = momentum v + (1 - dampening) g,  p = p - lr v

    Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning",
    section 2.

    Args:
        params: Tensors or parameter groups, see Optimizer.
        lr: learning rate, >= 0.
        momentum: part of the last step's v that is kept, >= 0.
        dampening: part of the gradient that is left out of v, >= 0.
        weight_decay: strength of the pull to zero (L2), >= 0.
        nesterov: look one step of momentum ahead; needs momentum > 0 and dampening 0.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: an option is out of range, or a parameter cannot be optimized.

    >>> w = minidl.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = minidl.optim.SGD([w], lr=0.25)
    >>> (w * w).backward(minidl.ones(2)); optimizer.step(); w
    tensor([ 0.5, -1. ], requires_grad=True)
    """

    limits = {
        **Optimizer.limits,
        "momentum": (0.0, float("inf")),
        "dampening": (0.0, float("inf")),
    }

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check_options(self, options: dict[str, Any]) -> None:
        super().check_options(options)
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ArgumentError(
                self.name,
                "nesterov needs momentum > 0 and dampening 0",
                {"momentum": options["momentum"], "dampening": options["dampening"]},
            )

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        dampening = group["dampening"]
        if group["momentum"] and not state:
            state["momentum_buffer"] = array_module(p).zeros_like(p)  # p's memory layout
            dampening = 0  # as in PyTorch: v begins as g
        kernels.pick("sgd", p).step(
            p, g, state.get("momentum_buffer"), group["lr"] * group["lr_mult"], group["momentum"],
            dampening, group["weight_decay"], group["nesterov"],
        )  # fmt: skip
