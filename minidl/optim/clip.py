"""Gradient clipping (Pascanu et al. 2013, algorithm 1).

    by norm:   g <- g * min(1, max_norm / (norm + 1e-6)),  norm over all parameters together
    by value:  g <- min(max(g, -clip_value), clip_value)

The 1e-6 is PyTorch's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from minidl.device import array_module
from minidl.errors import ArgumentError, NonFiniteError
from minidl.kernels.sums import dot
from minidl.ops.lp_norm import lp_norm
from minidl.shapes import check_flag, is_number
from minidl.tensor import Tensor


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scale all gradients by one factor so that their norm is at most max_norm.

    g <- g min(1, max_norm / (norm + 1e-6))

    Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", algorithm 1.

    Args:
        parameters: Tensors with gradients; those without are skipped.
        max_norm: the largest norm allowed, >= 0.
        norm_type: p of the p-norm, > 0; float("inf") for the largest magnitude.
        error_if_nonfinite: raise when the norm is NaN or infinite.

    Returns:
        The norm before clipping.

    Raises:
        ArgumentError: max_norm or norm_type is out of range.
        NonFiniteError: the norm is not finite and error_if_nonfinite is set.

    >>> w = minidl.tensor([3.0, 4.0], requires_grad=True); w.grad = w.detach() * 1
    >>> minidl.optim.clip_grad_norm_([w], max_norm=1.0)
    5.0
    """
    if not is_number(max_norm) or not max_norm >= 0:
        raise ArgumentError("clip_grad_norm_", "max_norm is a number >= 0", {"max_norm": max_norm})
    if not is_number(norm_type) or not norm_type > 0:
        raise ArgumentError("clip_grad_norm_", "norm_type is > 0", {"norm_type": norm_type})
    check_flag("clip_grad_norm_", "error_if_nonfinite", error_if_nonfinite)
    gradients = gradients_of("clip_grad_norm_", parameters)
    norm = total_norm(gradients, norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise NonFiniteError(
            "clip_grad_norm_", f"the norm of the gradients is {norm}", None,
            "clipping cannot repair it; lower the learning rate",
        )  # fmt: skip
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # also NaN: it must not go unnoticed
        for g in gradients:
            g *= factor
    return norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Cut every element of the gradients to the range -clip_value .. clip_value.

    Args:
        parameters: Tensors with gradients; those without are skipped.
        clip_value: the largest magnitude allowed, >= 0.

    Raises:
        ArgumentError: clip_value is out of range.

    >>> w = minidl.tensor([3.0, -4.0], requires_grad=True); w.grad = w.detach() * 1
    >>> minidl.optim.clip_grad_value_([w], 1.0); w.grad
    tensor([ 1., -1.])
    """
    if not is_number(clip_value) or not clip_value >= 0:
        raise ArgumentError(
            "clip_grad_value_", "clip_value is a number >= 0", {"clip_value": clip_value}
        )
    for g in gradients_of("clip_grad_value_", parameters):
        array_module(g).clip(g, -clip_value, clip_value, out=g)


def gradients_of(op: str, parameters: Tensor | Iterable[Tensor]) -> list:
    """The gradient arrays of those parameters that have one."""
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    if not isinstance(parameters, Iterable):
        raise ArgumentError(
            op, "parameters are Tensors", {"parameters": type(parameters).__name__},
            "pass model.parameters()",
        )  # fmt: skip
    parameters = list(parameters)
    for p in parameters:
        if not isinstance(p, Tensor):
            hint = "pass model.parameters()"
            raise ArgumentError(op, "parameters are Tensors", {"parameter": p}, hint)
    return [p.grad.data for p in parameters if p.grad is not None]


def total_norm(gradients: list, norm_type: float) -> float:
    """The p-norm of all elements of all arrays, from the norms of the arrays."""
    norms = []
    for g in gradients:
        if not g.size:
            norms.append(0.0)
        elif norm_type == 2:
            flat = g.ravel(order="K")
            norms.append(math.sqrt(dot(flat, flat)))
        elif norm_type == math.inf:
            norms.append(float(abs(g).max()))
        else:
            norms.append(lp_norm(g, norm_type, tuple(range(g.ndim))).item())
    if not norms:
        return 0.0
    if norm_type == math.inf:
        return max(norms) if all(n == n for n in norms) else math.nan
    return sum(n**norm_type for n in norms) ** (1 / norm_type)
