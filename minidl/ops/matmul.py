"""Matrix product.

    y[..., i, k] = sum_j a[..., i, j] b[..., j, k]
    ga = gy b^T          gb = a^T gy

A 1-d a is a row and a 1-d b a column, and that dimension is dropped from the result; the leading
dimensions "..." are a batch and broadcast. As in PyTorch and NumPy.

The BLAS that multiplies adds up float32 products in float32: after J = 1000 equal ones it is off by
about 1e-5. Sums of very many products are made with more care, as those of gw in linear.py are
(kernels/sums.py); those of stacks of matrices are not.
"""

from __future__ import annotations

import math

from minidl import kernels
from minidl.checks import check_tensor, with_dtypes
from minidl.errors import DeviceError, DtypeError, ShapeError
from minidl.function import Function
from minidl.ops.broadcasting import unbroadcast
from minidl.ops.receptive_field import UNKNOWN
from minidl.tensor import Tensor


class MatMul(Function):
    receptive_field = UNKNOWN

    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        self.a = a if self.needs_grad[1] else None
        self.b = b if self.needs_grad[0] else None
        return kernels.pick("matmul", a).product(a, b)

    def backward(self, gy):
        a_shape, b_shape = self.shapes
        if len(b_shape) == 1:
            gy = gy[..., None]
        if len(a_shape) == 1:
            gy = gy[..., None, :]
        kernel = kernels.pick("matmul", gy)
        ga = gb = None
        if self.needs_grad[0]:
            b = self.b if self.b.ndim > 1 else self.b[:, None]
            ga = kernel.product(gy, b.swapaxes(-1, -2))
            ga = unbroadcast(ga, a_shape if len(a_shape) > 1 else (1, *a_shape)).reshape(a_shape)
        if self.needs_grad[1]:
            a = self.a if self.a.ndim > 1 else self.a[None, :]
            if len(b_shape) <= 2:  # one matrix for the whole batch: its sum is a product, too
                gb = kernel.product(as_rows(a).T, as_rows(gy))
            else:
                gb = unbroadcast(kernel.product(a.swapaxes(-1, -2), gy), b_shape)
            gb = gb.reshape(b_shape)
        return ga, gb

    def multiply_accumulates(self, y, a, b):
        return math.prod(y) * a[-1]


def as_rows(x):
    """(..., J) as a matrix (rows, J)."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product, the operator @.

    y[..., i, k] = sum_j input[..., i, j] other[..., j, k]

    Args:
        input: (..., I, J) or (J,).
        other: (..., J, K) or (J,), of the same dtype.

    Returns:
        (..., I, K), without I or K where that side is 1-d; the batches "..." are broadcast.

    Raises:
        ShapeError: the inner sizes J differ, a side is 0-d, or the batches do not broadcast.
        DtypeError: not Tensors, or of different dtypes.

    >>> minidl.matmul(minidl.ones(2, 3), minidl.ones(3, 4)).shape
    (2, 4)
    """
    check_matmul(input, other)
    return MatMul().apply(input, other)


def check_matmul(input: Tensor, other: Tensor) -> None:
    """Dtypes, inner sizes and batches fit each other."""
    check_tensor("matmul", input=input, other=other)
    a, b = input.data, other.data
    received = {"input": input, "other": other}
    if a.dtype != b.dtype:
        raise DtypeError("matmul", "expects tensors of one dtype", with_dtypes(received))
    if type(a) is not type(b):
        raise DeviceError(
            "matmul", "expects tensors on one device", {n: x.device for n, x in received.items()}
        )
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("matmul", "expects at least 1 dimension", received, "use * for numbers")
    inner_b = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner_b:
        transposed = b.ndim > 1 and a.shape[-1] == b.shape[-1]
        raise ShapeError(
            "matmul",
            f"the inner sizes differ: {a.shape[-1]} and {inner_b}",
            received,
            "did you mean input @ other.transpose(-1, -2)?" if transposed else "",
        )
    for size_a, size_b in zip(a.shape[-3::-1], b.shape[-3::-1]):
        if size_a != size_b and size_a != 1 and size_b != 1:
            raise ShapeError(
                "matmul", f"the batches do not broadcast: sizes {size_a} and {size_b}", received
            )
