"""Gradient clipping (Pascanu et al. 2013, algorithm 1).

    by norm:   g <- g * min(1, max_norm / (norm + 1e-6)),  norm over all parameters together
    by value:  g <- min(max(g, -clip_value), clip_value)

The 1e-6 is PyTorch's.

The 2-norm is the exact sum of squares of blocks, each NORM_BLOCK elements of a tensor in logical
order and summed in float64. So it is the same to the last bit wherever the blocks are squared: by
the servers of a training run on several machines, each for the tensors it holds, or here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minidl import kernels
from minidl.checks import check_ordered
from minidl.device import array_module
from minidl.errors import ArgumentError, NonFiniteError
from minidl.kernels.sums import dot
from minidl.ops.lp_norm import in_range, lp_norm
from minidl.shapes import check_flag, is_number
from minidl.tensor import Tensor

NORM_BLOCK = 65_536  # elements whose squares are added in one go


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
    for g in gradients:
        scale_down(g, max_norm, norm)
    return norm


def scale_down(g: Any, max_norm: float, norm: float) -> None:
    """Scale one of the arrays whose norm together is `norm`, in place, where that is too large."""
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # also NaN: it must not go unnoticed
        # In float16 the factor would lose digits below 6e-5, and be 0 below 3e-8.
        array_module(g).multiply(g, wide(g.dtype).type(factor), out=g, casting="same_kind")


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
    check_ordered(op, "parameters", parameters, "pass a list, or model.parameters()")
    parameters = list(parameters)
    for p in parameters:
        if not isinstance(p, Tensor):
            hint = "pass model.parameters()"
            raise ArgumentError(op, "parameters are Tensors", {"parameter": p}, hint)
    return [p.grad.data for p in parameters if p.grad is not None]


def total_norm(gradients: list, norm_type: float) -> float:
    """The p-norm of all elements of all arrays."""
    if norm_type == 2:
        norm = norm_of_squares(s for g in gradients for s in block_squares(g))
        if not (norm < 1e-140 or norm == math.inf):  # else squares may be out of range
            return norm
    norms = [norm_of(g, norm_type) for g in gradients if g.size]
    if not all(n == n for n in norms):
        return math.nan
    largest = max(norms, default=0.0)
    if norm_type == math.inf or largest in (0.0, math.inf):
        return largest
    return largest * sum((n / largest) ** norm_type for n in norms) ** (1 / norm_type)


def block_squares(g: Any, block: int = NORM_BLOCK) -> list[float]:
    """The sum of squares of each `block` elements of an array, in logical order, in float64."""
    flat = g.reshape(-1)
    with np.errstate(over="ignore"):
        return kernels.pick("sum_of_squares", flat).of_blocks(flat, block).tolist()


def norm_of_squares(squares: Iterable[float]) -> float:
    """The 2-norm from sums of squares; exact, so that their order and number do not matter."""
    try:
        return math.sqrt(math.fsum(squares))
    except OverflowError:  # each was in range, their sum is not
        return math.inf


def wide(dtype: np.dtype) -> np.dtype:
    """What is computed in: the norm of many float16s is beyond float16."""
    return np.promote_types(dtype, np.float32)


def norm_of(g: Any, norm_type: float) -> float:
    """The p-norm of an array, in range where its powers are not."""
    if norm_type == math.inf:
        return float(abs(g).max())
    g = g.ravel(order="K").astype(wide(g.dtype), copy=False)
    if norm_type != 2:
        return lp_norm(g, norm_type, (0,)).item()
    with np.errstate(over="ignore"):
        root = array_module(g).full(1, math.sqrt(dot(g, g)), g.dtype)
        return in_range(root, g, 2, (0,)).item()
