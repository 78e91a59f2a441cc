"""RMSprop (Hinton 2012, Coursera lecture 6e; centered: Graves 2013, section 3.3).

    g = gradient + weight_decay * p
    v = alpha * v + (1 - alpha) * g^2
    a = alpha * a + (1 - alpha) * g           centered: v - a^2 below instead of v
    b = momentum * b + g / (sqrt(v) + eps)
    p = p - lr * b

eps is added outside of the root, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minidl import kernels
from minidl.device import array_module
from minidl.optim.optimizer import Optimizer


class RMSprop(Optimizer):
    """RMSprop: divide the gradient by a running root mean square of itself.

    p = p - lr g / (sqrt(v) + eps)

    Hinton 2012, "Neural networks for machine learning", lecture 6e.

    Args:
        params: Tensors or parameter groups, see Optimizer.
        lr: learning rate, >= 0.
        alpha: how much of the running mean of g^2 is kept, 0 <= alpha < 1.
        eps: added to the denominator, >= 0.
        weight_decay: L2 penalty added to the gradient, >= 0.
        momentum: part of the last step that is kept, >= 0.
        centered: divide by the standard deviation of g instead.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: an option is out of range, or a parameter cannot be optimized.

    >>> w = minidl.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = minidl.optim.RMSprop([w], lr=0.5, alpha=0.75)
    >>> (w * w).backward(minidl.ones(2)); optimizer.step(); w
    tensor([ 0., -1.], requires_grad=True)
    """

    limits = {**Optimizer.limits, "alpha": (0.0, 1.0), "momentum": (0.0, float("inf"))}

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay,
            "momentum": momentum, "centered": centered, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        zeros_like = array_module(p).zeros_like  # of p's memory layout
        if not state:
            state["square_avg"] = zeros_like(p)
        if group["centered"] and "grad_avg" not in state:
            state["grad_avg"] = zeros_like(p)
        if group["momentum"] and "momentum_buffer" not in state:
            state["momentum_buffer"] = zeros_like(p)
        kernels.pick("rmsprop", p).step(
            p, g, state["square_avg"],
            state["grad_avg"] if group["centered"] else None,
            state["momentum_buffer"] if group["momentum"] else None,
            group["lr"] * group["lr_mult"], group["alpha"], group["eps"], group["weight_decay"],
            group["momentum"],
        )  # fmt: skip
