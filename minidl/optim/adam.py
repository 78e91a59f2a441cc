"""Adam (Kingma and Ba 2015, algorithm 1), AMSGrad (Reddi et al. 2018), AdamW (Loshchilov 2019).

    g = gradient + weight_decay * p                  Adam: decay is part of the gradient
    p = p - lr * weight_decay * p                    AdamW: decay acts on p alone, before the step
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g^2                AMSGrad: v is replaced below by its maximum
    p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

t counts steps from 1; dividing by 1 - beta^t corrects for m = v = 0 at the start.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minidl import kernels
from minidl.device import array_module
from minidl.errors import ArgumentError
from minidl.optim.optimizer import Optimizer
from minidl.shapes import is_number


class Adam(Optimizer):
    """Adam: each element's step is scaled by the recent size of its gradient.

    p = p - lr m_hat / (sqrt(v_hat) + eps)

    Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.

    Args:
        params: Tensors or parameter groups, see Optimizer.
        lr: learning rate, >= 0: about the size of a step.
        betas: how much of the running means of g and g^2 is kept, each 0 <= beta < 1.
        eps: added to the denominator, >= 0.
        weight_decay: L2 penalty added to the gradient, >= 0.
        amsgrad: divide by the largest v so far (Reddi et al. 2018, algorithm 2).
        maximize: climb instead of descend.

    Raises:
        ArgumentError: an option is out of range, or a parameter cannot be optimized.

    >>> w = minidl.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = minidl.optim.Adam([w], lr=0.5)
    >>> (w * w).backward(minidl.ones(2)); optimizer.step(); w
    tensor([ 0.5, -1.5], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check_options(self, options: dict[str, Any]) -> None:
        super().check_options(options)
        betas = options["betas"]
        if (
            not isinstance(betas, tuple | list)
            or len(betas) != 2
            or not all(is_number(beta) and 0 <= beta < 1 for beta in betas)
        ):
            raise ArgumentError(self.name, "betas are two numbers >= 0 and < 1", {"betas": betas})

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        self.adaptive_step(p, g, state, group, weight_decay=group["weight_decay"])

    def adaptive_step(
        self,
        p: Any,
        g: Any,
        state: dict[str, Any],
        group: dict[str, Any],
        weight_decay: float = 0.0,
        decay: float = 0.0,
    ) -> None:
        """The step; weight_decay acts on the gradient (Adam), decay on p alone (AdamW)."""
        zeros_like = array_module(p).zeros_like
        if not state:
            state |= {"step": 0, "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}
        if group["amsgrad"] and "max_exp_avg_sq" not in state:
            state["max_exp_avg_sq"] = zeros_like(p)
        state["step"] += 1
        kernels.pick("adam", p).step(
            p, g, state["exp_avg"], state["exp_avg_sq"],
            state["max_exp_avg_sq"] if group["amsgrad"] else None,
            state["step"], group["lr"] * group["lr_mult"], *group["betas"], group["eps"],
            weight_decay, decay,
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay: parameters shrink by lr * weight_decay before each step.

    p = p - lr weight_decay p,  then p = p - lr m_hat / (sqrt(v_hat) + eps)

    Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2.

    Args:
        params: Tensors or parameter groups, see Optimizer.
        lr: learning rate, >= 0.
        betas: how much of the running means of g and g^2 is kept, each 0 <= beta < 1.
        eps: added to the denominator, >= 0.
        weight_decay: part of p, times lr, that is taken away in each step, >= 0.
        amsgrad: divide by the largest v so far.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: an option is out of range, or a parameter cannot be optimized.

    >>> w = minidl.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = minidl.optim.AdamW([w], lr=0.5, weight_decay=0.5)
    >>> (w * w).backward(minidl.ones(2)); optimizer.step(); w
    tensor([ 0.25, -1.  ], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        self.adaptive_step(p, g, state, group, decay=group["weight_decay"])
