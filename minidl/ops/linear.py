"""The fully connected layer: a matrix product and a bias (LeCun et al. 1998, section II).

    y[..., k] = b[k] + sum_i x[..., i] w[k, i]              y = x w^T + b
    gx        = gy w
    gw[k, i]  = sum over rows of gy[row, k] x[row, i]       gw = gy^T x
    gb[k]     = sum over rows of gy[row, k]

Sums over millions of rows are right to 1e-6 (kernels/sums.py).

A row is one setting of the leading dimensions "...". The weight is stored (out, in), as in PyTorch
and Caffe: row k holds what output k does with each input.
"""

from __future__ import annotations

import math

from minidl import kernels
from minidl.checks import check_floating, check_ndim, check_tensor
from minidl.errors import ShapeError
from minidl.function import Function
from minidl.kernels.sums import total
from minidl.ops.receptive_field import WHOLE
from minidl.tensor import Tensor


class Linear(Function):
    receptive_field = WHOLE

    def forward(self, x, w, b=None):
        self.x = x if self.needs_grad[1] else None
        self.w = w if self.needs_grad[0] else None
        # As one matrix: with more dimensions NumPy would make several products of it.
        rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
        y = kernels.pick("matmul", x).product(rows, w.T, bias=b)
        return y.reshape(*x.shape[:-1], len(w))

    def backward(self, gy):
        gx = gw = gb = None
        n_rows = math.prod(gy.shape[:-1])  # reshape(-1) cannot tell where out or in is 0
        gy_rows = gy.reshape(n_rows, gy.shape[-1])
        kernel = kernels.pick("matmul", gy)
        if self.needs_grad[0]:
            gx = kernel.product(gy_rows, self.w).reshape(*gy.shape[:-1], self.w.shape[1])
        if self.needs_grad[1]:
            gw = kernel.product(gy_rows.T, self.x.reshape(n_rows, self.x.shape[-1]))
        if len(self.needs_grad) > 2 and self.needs_grad[2]:
            gb = total(gy_rows, (0,))
        return gx, gw, gb

    def multiply_accumulates(self, y, x, w, b=None):
        return math.prod(y) * x[-1]


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply by a matrix and add a bias.

    y[..., k] = b[k] + sum_i x[..., i] w[k, i]

    LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.

    Args:
        input: (..., in).
        weight: (out, in).
        bias: (out,) or None.

    Returns:
        (..., out).

    Raises:
        ShapeError: the shapes do not fit.
        DtypeError: not floating point, or of different dtypes.

    >>> x, w = minidl.ones(4, 3), minidl.ones(5, 3)
    >>> minidl.nn.functional.linear(x, w).shape
    (4, 5)
    """
    check_arguments(input, weight, bias)
    if bias is None:
        return Linear().apply(input, weight)
    return Linear().apply(input, weight, bias)


def check_arguments(input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Dimensions, features and dtypes fit each other."""
    check_tensor("linear", input=input, weight=weight, bias=bias)
    check_ndim("linear", "weight", weight, 2, "(out, in)")
    check_floating("linear", input=input, weight=weight, bias=bias)
    x_shape, (n_out, n_in) = input.data.shape, weight.data.shape
    if not x_shape or x_shape[-1] != n_in:
        size = f"ends in {x_shape[-1]}" if x_shape else "has no dimensions"
        pictures = len(x_shape) == 4 and x_shape[1] * x_shape[2] * x_shape[3] == n_in
        raise ShapeError(
            "linear",
            f"weight expects {n_in} input features, the shape of input {size}",
            {"input": input, "weight": weight},
            "flatten the pictures first: nn.Flatten()" if pictures else "",
        )
    if bias is not None and bias.data.shape != (n_out,):
        raise ShapeError(
            "linear",
            f"bias has one value per output feature, {n_out}",
            {"input": input, "weight": weight, "bias": bias},
        )
