"""Receptive field: how many input pixels one output pixel can depend on.

Followed from operation to operation along the recorded graph (Araujo, Norris and Sim 2019,
"Computing receptive fields of convolutional neural networks"). A window of k taps, dilation d and
stride s turns (size, jump) into

    size' = size + (k - 1) d jump        jump' = jump s

where jump is the distance, in input pixels, between the fields of two neighbours. A transposed
convolution reads at most ceil(((k - 1) d + 1) / s) pixels per output pixel, and jump' = jump / s.
Where branches meet, the largest counts. Borders are ignored: a field may be larger than the
picture.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from minidl.function import Function
from minidl.ops.avg_pool2d import AveragePool
from minidl.ops.batch_norm import BatchNorm
from minidl.ops.conv2d import Conv2d
from minidl.ops.conv_transpose2d import ConvTranspose2d
from minidl.ops.indexing import GetItem
from minidl.ops.interpolate import InterpolateBilinear, InterpolateNearest
from minidl.ops.joining import Cat, Split
from minidl.ops.linear import Linear
from minidl.ops.max_pool2d import MaxPool2d
from minidl.ops.softmax import LogSoftmax, Softmax

# Files of minidl/ops whose functions give a pixel what was at the same place, and no other.
SAME_PLACE = {
    "arithmetic", "casting", "dropout", "elementary", "extremes", "leaky_relu", "lrn", "pad",
    "relu", "remainder", "sigmoid", "softplus", "tanh", "where",
}  # fmt: skip


class Field(NamedTuple):
    """A receptive field: pairs (height, width), in pixels of the input."""

    size: tuple[float, float] = (1, 1)
    jump: tuple[float, float] = (1, 1)

    def __str__(self) -> str:
        height, width = (math.ceil(size) for size in self.size)
        return str(height) if height == width else f"{height}x{width}"


WHOLE = "all"  # the field is the whole picture
UNKNOWN = "-"  # not a picture any more, or an operation that is not understood here


def field_of(function: Function, fields: list) -> Any:
    """The field of a function's output, from those of its inputs.

    Args:
        function: recorded, not freed.
        fields: for each input a Field, WHOLE, UNKNOWN, or None where it does not depend on a
            picture (weights, words).
    """
    fields = [field for field in fields if field is not None]
    if not fields:
        return None
    if isinstance(function, Linear):
        return WHOLE  # a row of features has met every pixel, or is about to
    for word in (WHOLE, UNKNOWN):
        if word in fields:
            return word
    field = Field(
        tuple(max(field.size[i] for field in fields) for i in (0, 1)),
        tuple(max(field.jump[i] for field in fields) for i in (0, 1)),
    )
    return through(function, field)


def through(function: Function, field: Field) -> Any:
    """What one operation makes of the field of its input."""
    if isinstance(function, Conv2d):
        stride, _, dilation, _ = function.geometry
        return window(field, function.w_shape[2:], stride, dilation)
    if isinstance(function, MaxPool2d):
        kernel, stride, _, dilation = function.geometry
        return window(field, kernel, stride, dilation)
    if isinstance(function, AveragePool):
        rows, columns = function.windows[:2]
        kernel = [int((last - first).max()) for first, last in (rows, columns)]
        stride = [int(max(first[1:] - first[:-1], default=1)) for first, _ in (rows, columns)]
        return window(field, kernel, stride, (1, 1))
    if isinstance(function, ConvTranspose2d):
        stride, _, dilation, _ = function.geometry
        spans = [dilation[i] * (function.w_shape[2 + i] - 1) + 1 for i in (0, 1)]
        seen = [-(-spans[i] // stride[i]) for i in (0, 1)]
        return window(field, seen, [1 / s for s in stride], (1, 1))
    if isinstance(function, InterpolateNearest | InterpolateBilinear):
        seen = 2 if isinstance(function, InterpolateBilinear) else 1
        sizes = [len(function.rows), len(function.columns)]
        if seen == 2:
            sizes = [len(function.rows[0]), len(function.columns[0])]
        scale = [function.x_shape[2 + i] / sizes[i] for i in (0, 1)]
        return window(field, (seen, seen), scale, (1, 1))
    if isinstance(function, BatchNorm):
        return WHOLE if function.training else field  # instance norm averages over the picture
    if isinstance(function, GetItem):
        return through_slices(function.index, field)
    return field if is_same_place(function) else UNKNOWN


def is_same_place(function: Function) -> bool:
    """Whether each pixel of the output depends on the pixel at the same place, and no other."""
    if isinstance(function, Cat | Split):
        return function.axis == 1
    if isinstance(function, Softmax | LogSoftmax):
        return function.dim == 1
    return type(function).__module__.rpartition(".")[2] in SAME_PLACE


def through_slices(index: Any, field: Field) -> Any:
    """x[:, :, ::2, ::2] takes every second pixel; other indices are not followed."""
    index = index if isinstance(index, tuple) else (index,)
    if index and index[-1] is Ellipsis:
        index = index[:-1]
    if not all(isinstance(part, slice) and (part.step or 1) > 0 for part in index):
        return UNKNOWN
    steps = [part.step or 1 for part in index[2:]] + [1, 1]
    return Field(field.size, tuple(field.jump[i] * steps[i] for i in (0, 1)))


def window(field: Field, kernel: Any, stride: Any, dilation: Any) -> Field:
    return Field(
        tuple(field.size[i] + (kernel[i] - 1) * dilation[i] * field.jump[i] for i in (0, 1)),
        tuple(field.jump[i] * stride[i] for i in (0, 1)),
    )
