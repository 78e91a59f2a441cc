"""Patch matching: for each patch of one picture, the most similar patch of another.

    match(i)       = argmax over j of <p_i, q_j> / (|p_i| |q_j|)            (the first, of equals)
    correlation(i) = the largest of these, between -1 and 1 but for rounding

p_i are the patches of the input and q_j those of the source, C R S numbers each (Li and Wand 2016,
"Combining Markov random fields and convolutional neural networks for image synthesis", equation 3:
normalised cross-correlation; the length |p_i| is the same for all j and does not decide). A patch
of length 0 correlates with none: its value is 0. NaN is never the largest; a patch that has only
NaN for its correlations gets number 0, and what is not a correlation: -inf or NaN.

Patches begin every `stride` pixels, and a last one ends at the edge wherever the stride does not
lead there, as in the authors' code: no pixel is without a patch.

The paper computes this as a convolution whose kernels are the patches q_j. Nothing of it has a
gradient: the matches are constants of the energy that is made of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minidl import kernels
from minidl.checks import check_floating, check_ndim, check_tensor
from minidl.errors import ArgumentError, DeviceError, DtypeError, ShapeError
from minidl.function import Function
from minidl.ops.receptive_field import WHOLE
from minidl.shapes import pair
from minidl.tensor import Tensor


class Matches(NamedTuple):
    """What match_patches returns."""

    indices: Tensor
    correlations: Tensor


class MatchPatches(Function):
    receptive_field = WHOLE

    def __init__(self, size, places, source_places):
        self.size, self.places, self.source_places = size, places, source_places

    def forward(self, x, source):
        self.needs_grad = [False, False]  # for apply: both results are constants
        kernel = kernels.pick("match_patches", x)
        return kernel.forward(x, source, self.size, self.places, self.source_places)


def match_patches(
    input: Tensor,
    source: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    source_stride: int | tuple[int, int] | None = None,
) -> Matches:
    """For each patch of the input, the most similar patch of the source, and how similar it is.

    match(i) = argmax over j of <p_i, q_j> / (|p_i| |q_j|)

    Li and Wand 2016, "Combining Markov random fields and convolutional neural networks for image
    synthesis", equation 3.

    Args:
        input: (N, C, H, W).
        source: (M, C, H', W'), at least one picture.
        kernel_size: height R and width S of a patch; an int or (height, width).
        stride: pixels from one patch of the input to the next, >= 1.
        source_stride: the same for the source; by default the stride of the input.

    Returns:
        indices, int64 (N, OH, OW): patch (m, a, b) of the source is number (m OH' + a) OW' + b,
        where OH' and OW' count its rows and columns of patches (see patch_places); correlations,
        of the input's dtype and the same shape. Neither has a gradient.

    Raises:
        ShapeError: the shapes do not fit, or a patch is larger than a picture.
        ArgumentError: kernel_size or a stride is out of range.
        DtypeError: not floating point, or of different dtypes.

    >>> x = minidl.arange(25, dtype="float32").reshape(1, 1, 5, 5)
    >>> minidl.nn.functional.match_patches(x[:, :, 1:4, 2:5], x, 3).indices
    tensor([[[5]]])
    """
    op = "match_patches"
    received = {"input": input, "source": source}
    check_pictures(op, received)
    size = pair(op, "kernel_size", kernel_size, minimum=1)
    stride = pair(op, "stride", stride, minimum=1)
    of_source = stride if source_stride is None else pair(op, "source_stride", source_stride, 1)
    for name, x in received.items():
        if x.shape[2] < size[0] or x.shape[3] < size[1]:
            raise ShapeError(
                op, f"a patch is larger than the pictures of {name}",
                {**received, "kernel_size": kernel_size}, "use larger pictures or smaller patches",
            )  # fmt: skip
    places, source_places = (
        [patch_places(x.shape[2 + i], size[i], step[i]) for i in (0, 1)]
        for x, step in ((input, stride), (source, of_source))
    )
    return Matches(*MatchPatches(size, places, source_places).apply(input, source))


def check_pictures(op: str, received: dict[str, Tensor]) -> None:
    """Input and source are pictures that can be compared."""
    check_tensor(op, **received)
    check_floating(op, **received)
    for name, x in received.items():
        check_ndim(op, name, x, 4, "(N, C, H, W)")
    input, source = received.values()
    if input.data.dtype != source.data.dtype:
        raise DtypeError(op, "expects tensors of one dtype", received)
    if type(input.data) is not type(source.data):
        raise DeviceError(op, "expects tensors on one device", received)
    if input.shape[1] != source.shape[1] or 0 in (source.shape[0], source.shape[1]):
        raise ShapeError(op, "both have the same channels, and source at least a picture", received)


def patch_places(size: int, patch: int, stride: int) -> np.ndarray:
    """Where patches begin along an axis: every `stride` pixels, and the last ends at the edge.

    Args:
        size: pixels of the picture along the axis.
        patch: pixels of a patch, at most `size`.
        stride: >= 1.

    Raises:
        ArgumentError: the patch is larger.

    >>> from minidl.ops.match_patches import patch_places
    >>> patch_places(8, 3, 2)
    array([0, 2, 4, 5])
    """
    last = size - patch
    if last < 0:
        raise ArgumentError("match_patches", "a patch is larger than the picture",
                            {"size": size, "patch": patch})  # fmt: skip
    return np.unique(np.append(np.arange(0, last + 1, stride), last))
