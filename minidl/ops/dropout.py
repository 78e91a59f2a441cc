"""Dropout (Srivastava et al. 2014, section 4), scaled in training, as in PyTorch.

    y  = m x         m = 0 with probability p, else 1 / (1 - p), drawn for each element
    gx = m gy

The expected value of y is x, so evaluation is the identity. What is dropped becomes 0, also where
it was infinite (in PyTorch, NaN); NaN stays visible.

m is a function of (seed, position): Philox4x32-10 (kernels/reference/dropout.py) turns counter
number first + i // 4 under the key `seed` into four 32-bit words, and element i is dropped when
word i % 4 is below p 2^32. i counts elements in the order in which activations lie in memory, that
is (N, H, W, C) for 4 dimensions, else row by row. It depends on an element's indices alone, not on
the strides of x, the kernel set, the device or the number of threads.

So backward draws the mask again instead of keeping it: ten rounds of multiplications cost less
than a pass over memory, and between forward and backward dropout holds two numbers instead of an
array. Both directions are the same kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import kernels
from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, ShapeError
from minidl.function import Function
from minidl.kernels.weighting import weighted
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.random import next_counters
from minidl.shapes import check_flag, is_number
from minidl.tensor import Tensor


class Dropout(Function):
    receptive_field = SAME_PIXEL

    def __init__(self, p):
        self.threshold = round(p * 2**32)
        self.scale = 0.0 if p == 1 else 1 / (1 - p)

    def forward(self, x):
        self.seed, self.first = next_counters((x.size + 3) // 4)
        return self.drop(x)

    def backward(self, gy):
        return self.drop(gy)

    def drop(self, x):
        kernel = kernels.pick("dropout", x)
        return kernel.drop(x, self.threshold, self.scale, self.seed, self.first)


class Dropout2d(Dropout):
    """One factor for each channel of each picture, kept for backward: they are few."""

    def forward(self, x):
        self.m = super().forward(array_module(x).ones((*x.shape[:2], 1, 1), x.dtype))
        return self.scaled(x)

    def backward(self, gy):
        return self.scaled(gy)

    def scaled(self, x):
        """m x in one pass where no number that is dropped is infinite."""
        if isinstance(x, np.ndarray):
            try:
                with np.errstate(invalid="raise"):
                    return self.m * x
            except FloatingPointError:
                pass  # the processor has noticed a product of 0 and infinity
        return weighted(self.m, x)


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Set elements to zero at random and scale the others, so that the mean stays.

    y = m x, with m = 0 with probability p, else 1 / (1 - p). An infinite element that is dropped
    becomes 0, too (in PyTorch, NaN).

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting",
    section 4. The draws follow from minidl.manual_seed, whatever the number of threads.

    Args:
        input: any shape.
        p: probability of dropping an element, from 0 to 1.
        training: False returns input itself.

    Returns:
        The shape of input.

    Raises:
        ArgumentError: p is not a number from 0 to 1, or training not a bool.
        DtypeError: input is not floating point.

    >>> y = minidl.nn.functional.dropout(minidl.ones(10000), p=0.2)
    >>> sorted(set(y.tolist())), 0.95 < float(y.sum()) / 10000 < 1.05
    ([0.0, 1.25], True)
    """
    check_arguments("dropout", input, p, training)
    if not training or p == 0:
        return input
    return Dropout(float(p)).apply(input)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Drop whole channels of pictures: neighbouring pixels say the same (Tompson et al. 2015).

    y[n,c] = m[n,c] x[n,c], with m = 0 with probability p, else 1 / (1 - p)

    Args:
        input: (N, C, H, W).
        p: probability of dropping a channel of a picture, from 0 to 1.
        training: False returns input itself.

    Returns:
        (N, C, H, W).

    Raises:
        ShapeError: input does not have 4 dimensions.
        ArgumentError, DtypeError: as dropout.

    >>> y = minidl.nn.functional.dropout2d(minidl.ones(1, 2, 4, 4), p=1.0)
    >>> float(y.sum())
    0.0
    """
    check_arguments("dropout2d", input, p, training)
    if input.data.ndim != 4:
        raise ShapeError("dropout2d", "input has 4 dimensions (N, C, H, W)", {"input": input})
    if not training or p == 0:
        return input
    return Dropout2d(float(p)).apply(input)


def check_arguments(op: str, input: Any, p: Any, training: Any) -> None:
    check_tensor(op, input=input)
    check_flag(op, "training", training)
    check_floating(op, input=input)
    if not is_number(p) or not 0 <= p <= 1:
        raise ArgumentError(op, "p is a probability, from 0 to 1", {"p": p})
