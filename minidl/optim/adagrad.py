"""Adagrad (Duchi et al. 2011, section 1, with a diagonal matrix).

    g = gradient + weight_decay * p
    s = s + g^2
    p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

t counts steps from 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minidl import kernels
from minidl.device import array_module
from minidl.optim.optimizer import Optimizer


class Adagrad(Optimizer):
    """Adagrad: an element's steps shrink with the sum of its squared gradients.

    p = p - lr g / (sqrt(s) + eps)

    Duchi et al. 2011, "Adaptive subgradient methods for online learning", section 1.

    Args:
        params: Tensors or parameter groups, see Optimizer.
        lr: learning rate, >= 0.
        lr_decay: how fast the rate itself falls, >= 0.
        weight_decay: L2 penalty added to the gradient, >= 0.
        initial_accumulator_value: s at the start, >= 0.
        eps: added to the denominator, >= 0.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: an option is out of range, or a parameter cannot be optimized.

    >>> w = minidl.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = minidl.optim.Adagrad([w], lr=0.5)
    >>> (w * w).backward(minidl.ones(2)); optimizer.step(); w
    tensor([ 0.5, -1.5], requires_grad=True)
    """

    limits = {
        **Optimizer.limits,
        "lr_decay": (0.0, float("inf")),
        "initial_accumulator_value": (0.0, float("inf")),
    }

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "eps": eps,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            s = array_module(p).full_like(p, group["initial_accumulator_value"])
            state |= {"step": 0, "sum": s}
        state["step"] += 1
        lr = group["lr"] * group["lr_mult"] / (1 + (state["step"] - 1) * group["lr_decay"])
        kernels.pick("adagrad", p).step(p, g, state["sum"], lr, group["eps"], group["weight_decay"])
