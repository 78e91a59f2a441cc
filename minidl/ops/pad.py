"""Padding: the picture with a frame around it.

Along one axis of size n, with p pixels before and q behind, y[i] = x[m(i - p)] with

    constant   m(j) = j inside, elsewhere the given value
    reflect    m(j) = -j before, 2 (n - 1) - j behind: mirrored at the outermost pixel, which is
               not repeated
    replicate  m(j) = 0 before, n - 1 behind: the outermost pixel repeated

Several axes are padded one after the other, and so corners are reflections of reflections. The
gradient goes the way back: gx[j] = sum of gy[i] over all i with m(i - p) = j, axis by axis.

Names and the order of the widths, the last axis first, are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minidl.arrays import as_written
from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, ShapeError, nearest
from minidl.function import Function
from minidl.kernels.layout import channels_first
from minidl.kernels.sums import total
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.shapes import check_size
from minidl.tensor import Tensor

MODES = ("constant", "reflect", "replicate")


class ConstantPad(Function):
    """widths: (before, behind) of every axis. A negative one takes pixels away."""

    receptive_field = SAME_PIXEL

    def __init__(self, widths, value):
        self.widths = widths
        self.value = value

    def forward(self, x):
        self.x_shape = x.shape
        y = empty_padded(x, self.widths)
        y[...] = self.value
        inside, kept = self.common_part()
        y[inside] = x[kept]
        return y

    def backward(self, gy):
        gx = empty_padded(gy, [(-before, -behind) for before, behind in self.widths])
        gx[...] = 0
        inside, kept = self.common_part()
        gx[kept] = gy[inside]
        return gx

    def common_part(self):
        """What x and y have in common: its index in y, and in x."""
        inside, kept = [], []
        for size, (before, behind) in zip(self.x_shape, self.widths):
            inside.append(slice(max(before, 0), size + before + min(behind, 0)))
            kept.append(slice(max(-before, 0), size + min(behind, 0)))
        return tuple(inside), tuple(kept)


class BorderPad(Function):
    """Padding made of the picture: each border copies from a source (see borders)."""

    receptive_field = SAME_PIXEL

    def __init__(self, widths, mode):
        self.widths = widths
        self.mode = mode

    def forward(self, x):
        y = empty_padded(x, self.widths)
        self.center = tuple(
            slice(before, before + size) for size, (before, _) in zip(x.shape, self.widths)
        )
        y[self.center] = x
        for axis in range(x.ndim):
            for border, source in self.borders(axis):
                y[along(axis, border)] = y[along(axis, source)]
        return y

    def backward(self, gy):
        gy = gy.copy(order="K")
        for axis in reversed(range(gy.ndim)):
            for border, source in self.borders(axis):
                folded = gy[along(axis, border)]
                if self.mode == "replicate":
                    folded = total(folded, (axis,), keepdims=True)
                gy[along(axis, source)] += folded
        return gy[self.center]

    def borders(self, axis):
        """(border, source) for the padded ends of an axis, as slices of y."""
        before, behind = self.widths[axis]
        first, end = self.center[axis].start, self.center[axis].stop
        pairs = []
        if before and self.mode == "reflect":
            pairs.append((slice(first - 1, None, -1), slice(first + 1, first + 1 + before)))
        elif before:
            pairs.append((slice(0, first), slice(first, first + 1)))
        if behind and self.mode == "reflect":
            pairs.append((slice(end + behind - 1, end - 1, -1), slice(end - 1 - behind, end - 1)))
        elif behind:
            pairs.append((slice(end, end + behind), slice(end - 1, end)))
        return pairs


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Put a frame around the last axes.

    y[i] = x[m(i - before)] along each axis, m as the mode says: a constant, the picture mirrored
    at its outermost pixels ("reflect"), or these repeated ("replicate")

    Args:
        input: any shape, usually (N, C, H, W).
        pad: pixels (before, behind) the last axis, then the one before it, and so on: for
            pictures (left, right, top, bottom). Negative ones take pixels away ("constant" only).
        mode: "constant", "reflect" or "replicate".
        value: the constant, 0 where None.

    Returns:
        input's shape, each padded axis longer by before + behind.

    Raises:
        ShapeError: more axes than input has, a reflection as wide as the picture, nothing to
            repeat, or more taken away than there is.
        ArgumentError: pad is not an even number of ints, no such mode, or value is no number or
            without "constant".

    >>> x = minidl.tensor([[1.0, 2.0, 3.0]])
    >>> minidl.nn.functional.pad(x, (2, 1), mode="reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    """
    check_tensor("pad", input=input)
    if mode not in MODES:
        raise ArgumentError("pad", "no such mode", {"mode": mode}, nearest(mode, MODES))
    if mode != "constant" and value is not None:
        raise ArgumentError(
            "pad", 'only mode="constant" takes a value', {"mode": mode, "value": value}
        )
    check_value(input, value)
    widths = widths_of_axes(input, pad)
    for axis, (before, behind) in enumerate(widths):
        check_axis(input, axis, before, behind, mode, pad)
    padded = tuple(size + sum(both) for size, both in zip(input.data.shape, widths))
    check_size("pad", padded, input.data.dtype, {"input": input, "pad": pad})
    if mode == "constant":
        return ConstantPad(widths, 0 if value is None else value).apply(input)
    return BorderPad(widths, mode).apply(input)


def check_value(input: Tensor, value: float | None) -> None:
    """value is None or a number that fits into input's dtype."""
    if value is None:
        return
    if not isinstance(value, int | float | np.number):
        raise ArgumentError("pad", "value is a number", {"value": value})
    as_written("pad", value, input.data.dtype)


def widths_of_axes(input: Tensor, pad: Sequence[int]) -> list[tuple[int, int]]:
    """(before, behind) for every axis of input, the first axis first."""
    ints = isinstance(pad, list | tuple) and all(isinstance(n, int | np.integer) for n in pad)
    if not ints or len(pad) % 2:
        raise ArgumentError("pad", "pad is an even number of ints, two for each axis", {"pad": pad})
    n_axes = len(pad) // 2
    if n_axes > input.data.ndim:
        raise ShapeError("pad", f"pad is for {n_axes} axes", {"input": input, "pad": pad})
    pairs = [(int(pad[2 * i]), int(pad[2 * i + 1])) for i in range(n_axes)]
    return [(0, 0)] * (input.data.ndim - n_axes) + pairs[::-1]


def check_axis(input: Tensor, axis: int, before: int, behind: int, mode: str, pad) -> None:
    """The widths of one axis suit its size and the mode."""
    size = input.data.shape[axis]
    received = {"input": input, "pad": pad, "mode": mode}
    if mode == "constant":
        if size + min(before, 0) + min(behind, 0) < 0:
            raise ShapeError(
                "pad", f"takes away more than the {size} pixels of axis {axis}", received
            )
    elif min(before, behind) < 0:
        raise ArgumentError("pad", f"{mode} padding is >= 0", received, "slice the input instead")
    elif mode == "reflect" and max(before, behind) >= max(size, 1):
        raise ShapeError(
            "pad",
            f"reflect padding is smaller than axis {axis}, which has {size} pixels",
            received,
            'use mode="replicate" or a larger picture',
        )
    elif mode == "replicate" and size == 0 and max(before, behind) > 0:
        raise ShapeError("pad", f"axis {axis} has no pixel to repeat", received)


def empty_padded(x, widths):
    """An array like x, longer by the widths; channels last in memory if it is a picture."""
    shape = [size + before + behind for size, (before, behind) in zip(x.shape, widths)]
    empty = array_module(x).empty
    if len(shape) != 4:
        return empty(shape, x.dtype)
    N, C, H, W = shape
    return channels_first(empty((N, H, W, C), x.dtype))


def along(axis: int, part: slice) -> tuple:
    """The index that takes a part of one axis and all of the others."""
    return (slice(None),) * axis + (part,)
