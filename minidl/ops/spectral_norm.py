"""Spectral normalization of a weight (Miyato et al. 2018, section 2.1 and appendix A).

    W      the weight as a matrix (h, w): a row is what one output sees of all inputs
    sigma  = u^T W v                             u, v: about the first singular vectors of W
    y      = W / sigma
    gW     = (gy - <gy, y> u v^T) / sigma        <a, b>: the sum of the products of all elements

u and v are constants, as in PyTorch: where they are the singular vectors themselves, u v^T is the
gradient of the largest singular value. A few steps of power iteration keep them close to that while
W learns:

    u = W v / |W v|      v = W^T u / |W^T u|
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minidl import kernels
from minidl.checks import check_floating, check_tensor
from minidl.errors import ArgumentError, ShapeError
from minidl.function import Function
from minidl.ops.lp_norm import least_divisor
from minidl.ops.receptive_field import UNKNOWN
from minidl.shapes import normalize_dim
from minidl.tensor import Tensor


class SpectralNorm(Function):
    """sigma is computed where it is None."""

    receptive_field = UNKNOWN  # of a weight

    def __init__(self, u, v, dim, sigma=None):
        self.u, self.v, self.dim, self.sigma = u.copy(), v.copy(), dim, sigma  # a layer's move on

    def forward(self, w):
        self.layout = layout_of(w.shape, w.strides, self.dim)
        self.v = reordered(self.v, self.layout)
        if self.sigma is None:
            product = kernels.pick("matmul", w).product
            self.sigma = self.u @ product(as_matrix(w, self.layout), self.v)
        y = w / self.sigma
        self.y = y if self.needs_grad[0] else None
        return y

    def backward(self, gy):
        matrices = as_matrix(gy, self.layout), as_matrix(self.y, self.layout)
        gw = kernels.pick("spectral_norm", gy).backward(*matrices, self.u, self.v, self.sigma)
        return as_weight(gw, self.layout)


def spectral_norm(weight: Tensor, u: Tensor, v: Tensor, dim: int = 0) -> Tensor:
    """Divide a weight by an estimate of its largest singular value.

    y = W / (u^T W v), where W is the weight as a matrix

    Miyato et al. 2018, "Spectral normalization for generative adversarial networks", section 2.1.

    Args:
        weight: floating point, at least two dimensions.
        u: (h,) with h = weight.shape[dim]: about the first left singular vector; a constant.
        v: (w,), w the product of the other dimensions in their order: the right one; a constant.
        dim: the dimension of the outputs; -1 is the last.

    Returns:
        The shape of weight.

    Raises:
        ShapeError: the weight is no matrix, or u or v does not fit it.
        ArgumentError: there is no such dimension.
        DtypeError: not floating point, or of different dtypes.

    >>> w, u, v = minidl.tensor([[3.0, 0.0], [0.0, 1.0]]), minidl.ones(2), minidl.ones(2)
    >>> minidl.nn.functional.spectral_norm(w, u, v)
    tensor([[0.75, 0.  ],
            [0.  , 0.25]])
    """
    dim = check_arguments("spectral_norm", weight, u, v, dim)
    return SpectralNorm(u.data, v.data, dim).apply(weight)


def iterate(weight: Any, u: Any, v: Any, dim: int, steps: int, eps: float) -> tuple:
    """u and v after some steps of power iteration; arrays, and those given stay as they are.

    Returns:
        (u, v, sigma). As v is W^T u / |W^T u|, sigma = u^T W v is |W^T u|, which was known before;
        None where a vector is shorter than eps.
    """
    layout = layout_of(weight.shape, weight.strides, dim)
    u, v, length = kernels.pick("spectral_norm", weight).iterate(
        as_matrix(weight, layout), u, reordered(v, layout), steps, least_divisor(eps, weight.dtype)
    )
    return u, in_order(v, layout), length if length > eps else None


# A matrix may have its columns in any order if v has it, too. In that of the memory, nothing of the
# weight of a convolution has to be moved.


class Layout(NamedTuple):
    """How a weight is seen as a matrix, and back.

    Args:
        axes: of the weight: the outputs', then those of the columns, the largest steps first.
        shape: the weight's, in that order.
        back: the axes that bring the matrix, in that shape, back into the weight's order.
        others: the shape of v in the weight's order.
        places: the axes that bring it into that of the columns; None where it is in it.
        places_back: the way back.
    """

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    back: tuple[int, ...]
    others: tuple[int, ...]
    places: tuple[int, ...] | None
    places_back: tuple[int, ...]


@lru_cache(maxsize=256)
def layout_of(shape: tuple[int, ...], strides: tuple[int, ...], dim: int) -> Layout:
    """Kept for each weight: a layer asks at every call."""
    others = [axis for axis in range(len(shape)) if axis != dim]
    columns = sorted(others, key=lambda axis: -strides[axis])
    axes = (dim, *columns)
    places = tuple(others.index(axis) for axis in columns)
    return Layout(
        axes, tuple(shape[axis] for axis in axes), inverse(axes),
        tuple(shape[axis] for axis in others), None if columns == others else places,
        inverse(places),
    )  # fmt: skip


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(place) for place in np.argsort(axes))


def as_matrix(weight: Any, layout: Layout) -> Any:
    return weight.transpose(layout.axes).reshape(layout.shape[0], -1)


def as_weight(matrix: Any, layout: Layout) -> Any:
    """What as_matrix made a matrix of."""
    return matrix.reshape(layout.shape).transpose(layout.back)


def reordered(v: Any, layout: Layout) -> Any:
    """v for the columns of as_matrix."""
    if layout.places is None:
        return v
    return v.reshape(layout.others).transpose(layout.places).reshape(-1)


def in_order(v: Any, layout: Layout) -> Any:
    """The way back from `reordered`."""
    if layout.places is None:
        return v
    return v.reshape(layout.shape[1:]).transpose(layout.places_back).reshape(-1)


def check_weight(op: str, weight: Tensor, dim: int) -> int:
    """It can be a matrix; dim counted from the front."""
    check_tensor(op, weight=weight)
    check_floating(op, weight=weight)
    return check_matrix(op, weight, dim)


def check_matrix(op: str, weight: Tensor, dim: int) -> int:
    if weight.ndim < 2:
        raise ShapeError(op, "weight has at least two dimensions", {"weight": weight})
    if weight.data.size == 0:
        raise ArgumentError(op, "weight must not be empty", {"weight": weight})
    return normalize_dim(op, dim, weight.ndim)


def check_arguments(op: str, weight: Tensor, u: Tensor, v: Tensor, dim: int) -> int:
    """Shapes and dtypes fit each other; dim counted from the front."""
    check_floating(op, weight=weight, u=u, v=v)
    dim = check_matrix(op, weight, dim)
    h = weight.shape[dim]
    for name, vector, size in (("u", u, h), ("v", v, weight.data.size // h)):
        if vector.shape != (size,):
            raise ShapeError(
                op, f"{name} is ({size},) for this weight and dim={dim}",
                {"weight": weight, name: vector},
            )  # fmt: skip
    return dim
