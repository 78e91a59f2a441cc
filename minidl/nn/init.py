"""PyTorch's initialisers. All write in place, draw from minidl's generator and return the tensor.

Fans: a weight of shape (out, in, *kernel) has fan_in = in * prod(kernel) and
fan_out = out * prod(kernel).
"""

from __future__ import annotations

import math

from minidl.errors import ShapeError
from minidl.random import generator
from minidl.tensor import Tensor


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight with at least 2 dimensions."""
    if tensor.data.ndim < 2:
        raise ShapeError("init", "fans need a weight of at least 2 dimensions", {"tensor": tensor})
    kernel = math.prod(tensor.data.shape[2:])
    return tensor.data.shape[1] * kernel, tensor.data.shape[0] * kernel


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Values uniform in [a, b)."""
    tensor.data[...] = generator().uniform(a, b, tensor.data.shape)
    return tensor


def kaiming_uniform_(tensor: Tensor, a: float = 0.0) -> Tensor:
    """Uniform in +-sqrt(6 / ((1 + a^2) fan_in)), a the negative slope of the ReLU that follows
    (He et al. 2015, equations 10 and 14)."""
    bound = math.sqrt(6.0 / ((1.0 + a * a) * fans(tensor)[0]))
    return uniform_(tensor, -bound, bound)
