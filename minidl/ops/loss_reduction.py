"""From one loss per element to what a loss function returns: their mean, sum, or all of them.

    reduction "mean": sum of losses / denominator     the denominator is their number, unless the
                                                      loss says otherwise (a sum of weights)
              "sum" : sum of losses
              "none": the losses

The mean of nothing (an empty batch; all labels ignored) is NaN, as in PyTorch.
"""

from __future__ import annotations

import math
from typing import Any

from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, ShapeError, nearest
from minidl.kernels.sums import divide, rounded, wide_total
from minidl.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(op: str, reduction: str) -> None:
    if reduction not in REDUCTIONS:
        hint = nearest(reduction, REDUCTIONS)
        raise ArgumentError(op, "no such reduction", {"reduction": reduction}, hint)


def reduce(losses: Any, reduction: str, denominator: Any = None) -> Any:
    """The reduced array of losses; `denominator` replaces their number in the mean."""
    if reduction == "none":
        return losses
    y = wide_total(losses, tuple(range(losses.ndim)))
    if reduction == "mean":
        y = divide(y, float(losses.size if denominator is None else denominator))
    return array_module(losses).asarray(rounded(y, losses.dtype))


def spread(gy: Any, shape: tuple, reduction: str, denominator: Any = None) -> Any:
    """The adjoint of reduce: the gradient of each loss, of `shape` or a 0-d array for all."""
    if reduction != "mean":
        return gy
    return divide(gy, float(math.prod(shape) if denominator is None else denominator))


def check_same_shape(op: str, input: Tensor, target: Tensor) -> None:
    """input and target are floating point and of one shape.

    PyTorch broadcasts them with a warning. That is nearly always a forgotten squeeze: (N, 1)
    against (N,) compares every prediction with every target.
    """
    check_tensor(op, input=input, target=target)
    check_floating(op, input=input, target=target)
    if input.data.shape != target.data.shape:
        raise ShapeError(
            op,
            "input and target must have the same shape",
            {"input": input, "target": target},
            "reshape one of them; losses do not broadcast",
        )
