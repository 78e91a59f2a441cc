"""Local response normalization (Krizhevsky et al. 2012, section 3.3).

    d[c]  = k + (alpha/n) * sum_{j in window(c)} x[j]^2        window(c) = c - n//2 .. c + (n-1)//2
    y[c]  = x[c] * d[c]^-beta
    gx[c] = gy[c] d[c]^-beta
            - (2 alpha beta/n) x[c] * sum_{j: c in window(j)} gy[j] x[j] d[j]^(-beta-1)

c runs over the channels of one pixel, windows are cut off at the first and last channel. alpha is
divided by n, as in Caffe, ONNX and PyTorch; the paper does not divide. An even n looks one channel
further down than up, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import kernels
from minidl.checks import check_floating, check_ndim, check_tensor
from minidl.errors import ArgumentError
from minidl.function import Function
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.shapes import is_number
from minidl.tensor import Tensor


class LocalResponseNorm(Function):
    receptive_field = SAME_PIXEL

    def __init__(self, size, alpha, beta, k):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        y, d = kernels.pick("lrn", x).forward(x, self.size, self.alpha, self.beta, self.k)
        if self.needs_grad[0]:
            self.x, self.d = x, d
        return y

    def backward(self, gy):
        kernel = kernels.pick("lrn", gy)
        return kernel.backward(gy, self.x, self.d, self.size, self.alpha, self.beta)


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Divide each value by a power of the mean square of its neighbour channels.

    y[c] = x[c] (k + (alpha/size) sum_{j in window(c)} x[j]^2)^-beta

    Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks",
    section 3.3, with alpha divided by size. AlexNet there: size 5, alpha 5e-4, beta 0.75, k 2.

    Args:
        input: (N, C, H, W).
        size: n, how many channels the window covers: c - n//2 .. c + (n-1)//2.
        alpha: weight of the squares.
        beta: exponent.
        k: what is added to the squares; > 0, or a pixel of zeros becomes NaN.

    Returns:
        (N, C, H, W).

    Raises:
        ShapeError: input does not have 4 dimensions.
        ArgumentError: size is not an int >= 1, or alpha, beta or k is not a number.
        DtypeError: input is not floating point.

    >>> x = minidl.ones(1, 2, 1, 1)
    >>> minidl.nn.functional.local_response_norm(x, size=2, alpha=3.0, beta=1.0).reshape(2)
    tensor([0.4 , 0.25])
    """
    check_tensor("local_response_norm", input=input)
    check_ndim("local_response_norm", "input", input, 4, "(N, C, H, W)")
    check_floating("local_response_norm", input=input)
    check_parameters("local_response_norm", size, alpha, beta, k)
    alpha, beta, k = float(alpha), float(beta), float(k)
    widest = max(1, 2 * input.data.shape[1])  # from there on a window covers all channels
    if size > widest:
        size, alpha = widest, alpha * (widest / size)
    return LocalResponseNorm(size, alpha, beta, k).apply(input)


def check_parameters(op: str, size: Any, alpha: Any, beta: Any, k: Any) -> None:
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise ArgumentError(op, "size is an int >= 1", {"size": size})
    for name, value in (("alpha", alpha), ("beta", beta), ("k", k)):
        if not is_number(value):
            raise ArgumentError(op, f"{name} is a number", {name: value})
