"""Embedding: a table of vectors, looked up by number.

    y[i...]  = w[input[i...]]
    gw[v]    = sum over all places i... with input[i...] = v of gy[i...]

It is a linear layer on one-hot vectors without the zeros. Row padding_idx stands for "no word" in
a sentence that was filled up: its gradient is zero, so it keeps the value it has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import kernels
from minidl.checks import check_floating, check_ndim, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError
from minidl.function import Function
from minidl.ops.receptive_field import UNKNOWN
from minidl.tensor import Tensor


class Embedding(Function):
    receptive_field = UNKNOWN

    def __init__(self, padding_idx):
        self.padding_idx = padding_idx

    def forward(self, indices, w):
        if self.needs_grad[1]:
            # A copy: kernels trust indices, and the caller may write new ones before backward.
            xp = array_module(w)
            self.indices, self.vocabulary = xp.array(indices, dtype=xp.int64), len(w)
        return w[indices]

    def backward(self, gy):
        D = gy.shape[-1]
        kernel = kernels.pick("embedding", gy)
        gw = kernel.backward_weight(
            gy.reshape(self.indices.size, D), self.indices.reshape(-1), self.vocabulary
        )
        if self.padding_idx is not None:
            gw[self.padding_idx] = 0
        return None, gw


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Look up the vector of each number.

    y[i...] = weight[input[i...]]

    The continuous word representations of Bengio et al. 2003, section 2.

    Args:
        input: integers from 0 to V - 1, any shape.
        weight: (V, D), one vector for each number.
        padding_idx: a row that gets no gradient, -V to V - 1, or None.

    Returns:
        (*input.shape, D).

    Raises:
        ArgumentError: a number or padding_idx is not a row of weight.
        ShapeError: weight does not have 2 dimensions.
        DtypeError: input is not integer, or weight not floating point.

    >>> words = minidl.tensor([[2, 0, 2]])
    >>> minidl.nn.functional.embedding(words, minidl.ones(3, 8)).shape
    (1, 3, 8)
    """
    check_tensor("embedding", input=input, weight=weight)
    check_ndim("embedding", "weight", weight, 2, "(V, D)")
    check_floating("embedding", weight=weight)
    padding_idx = check_padding_idx("embedding", padding_idx, len(weight.data))
    check_indices(input, len(weight.data))
    return Embedding(padding_idx).apply(input, weight)


def check_indices(input: Tensor, vocabulary: int) -> None:
    """Every index names a row; the first that does not is in the message."""
    indices = input.data
    if indices.dtype.kind not in "iu":
        raise DtypeError(
            "embedding", "input holds integers", {"input": f"{input.shape} {input.dtype}"},
            'convert with input.to("int64")',
        )  # fmt: skip
    wrong = (indices < 0) | (indices >= vocabulary)
    if wrong.any():
        raise ArgumentError(
            "embedding",
            f"index {int(indices[wrong][0])} is not a row of a table of {vocabulary}",
            {"input": input, "V": vocabulary},
            f"indices go from 0 to {vocabulary - 1}",
        )


def check_padding_idx(op: str, padding_idx: Any, vocabulary: int) -> int | None:
    """padding_idx counted from the front: -1 is the last row."""
    if padding_idx is None:
        return None
    is_int = isinstance(padding_idx, int | np.integer) and not isinstance(padding_idx, bool)
    if not is_int or not -vocabulary <= padding_idx < vocabulary:
        raise ArgumentError(
            op,
            f"padding_idx is None or an int from {-vocabulary} to {vocabulary - 1}",
            {"padding_idx": padding_idx},
        )
    return int(padding_idx) % vocabulary
