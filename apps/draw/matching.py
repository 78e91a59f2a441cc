"""Symmetric structured joint embedding (Reed et al. 2016b, "Learning deep representations of
fine-grained visual descriptions", section 3).

A picture and a text are vectors v and t, and s = v.t says how well they fit. Over a batch of N
pictures v_i, each with its text t_i,

    s_ij = v_i . t_j
    L    = 1/N^2  sum over i != j of
                  max(0, m + s_ij - s_ii)          picture i prefers its own text
                + max(0, m + s_ij - s_jj)          text j prefers its own picture

With a_ij = 1 where the first is above 0, b_ij = 1 where the second is, both 0 where i = j,
the gradient is closed:

    dL/ds_ij = (a_ij + b_ij) / N^2                                  i != j
    dL/ds_ii = -(sum_j a_ij + sum_j b_ji) / N^2
    dL/dv    = dL/ds t        dL/dt = dL/ds^T v

The divisor is that of Reed's code (pictures times texts); the margin m is 1. Each picture of a
batch has to be of another class, so that no text fits another picture than its own.
"""

from __future__ import annotations

from typing import Any

from minidl import kernels
from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, ShapeError
from minidl.function import Function
from minidl.kernels.sums import total
from minidl.shapes import is_number
from minidl.tensor import Tensor


class Matching(Function):
    def __init__(self, margin: float):
        self.margin = margin

    def forward(self, v: Any, t: Any) -> Any:
        xp, N = array_module(v), len(v)
        scores = kernels.pick("matmul", v).product(v, t.T)
        own, places = xp.diagonal(scores), xp.arange(N)
        rows = xp.maximum(self.margin + scores - own[:, None], 0)
        columns = xp.maximum(self.margin + scores - own, 0)
        rows[places, places], columns[places, places] = 0, 0
        slope = (rows > 0).astype(v.dtype) + (columns > 0)
        slope[places, places] = -(rows > 0).sum(1) - (columns > 0).sum(0)
        self.v, self.t, self.slope = v, t, slope / v.dtype.type(N * N)
        return total(rows + columns, (0, 1)) / v.dtype.type(N * N)

    def backward(self, gy: Any) -> Any:
        product, slope = kernels.pick("matmul", gy).product, self.slope * gy
        gv = product(slope, self.t) if self.needs_grad[0] else None
        gt = product(slope.T, self.v) if self.needs_grad[1] else None
        return gv, gt


def matching_loss(pictures: Tensor, texts: Tensor, margin: float = 1.0) -> Tensor:
    """How far pictures and texts are from preferring each other by a margin.

    Args:
        pictures: vectors (N, D), each of a picture of another class.
        texts: vectors (N, D), each of the picture at the same place.
        margin: m, by which the right pair's score should be larger.

    Returns:
        A Tensor with one number; 0 where each prefers its own by the margin.

    Raises:
        ShapeError: not two batches of N vectors of one size.
        ArgumentError: N is 0, or the margin is no number.
        DtypeError: not floating point, or of different dtypes.

    >>> import minidl
    >>> vectors = minidl.tensor([[1.0, 0.0], [0.0, 0.5]])
    >>> matching_loss(vectors, vectors).item()  # (0 + .75 + 0 + .75) / 4
    0.375
    """
    op = "matching_loss"
    check_tensor(op, pictures=pictures, texts=texts)
    check_floating(op, pictures=pictures, texts=texts)
    received = {"pictures": pictures, "texts": texts}
    if pictures.ndim != 2 or pictures.shape != texts.shape:
        raise ShapeError(op, "pictures and texts are (N, D) both", received)
    if len(pictures) == 0:
        raise ArgumentError(op, "there is a pair", received)
    if not is_number(margin):
        raise ArgumentError(op, "margin is a number", {"margin": margin})
    return Matching(float(margin)).apply(pictures, texts)
