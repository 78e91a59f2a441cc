"""Interpolation: a picture in another size, by nearest or bilinear values.

Output pixel i of an axis lies at position s(i) of the input, with the step t:

    nearest                     y[i] = x[floor(s)]                 s = i t
    bilinear                    y[i] = (1 - f) x[floor(s)] + f x[floor(s) + 1]
      align_corners=False         s = max((i + 0.5) t - 0.5, 0)    pixels are squares: edges meet
      align_corners=True          s = i (n - 1) / (m - 1)          pixels are points: corners meet

n is the input size, m the output size, f the fraction of s; positions behind the last pixel read
the last pixel. The step t is PyTorch's, which matters where scale_factor does not hit a whole
number of pixels: 1 / scale_factor if that is given, else n / m; but 1 where the size stays the
same, and for "nearest" 1/2 where it doubles. Likewise "nearest" computes s in float32.

    gx[j] = sum of gy[i] times the weight with which y[i] read x[j]

Both axes are done alike; bilinear is linear along the rows, then along the columns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl import kernels
from minidl.checks import check_floating, check_ndim, check_tensor
from minidl.errors import ArgumentError, ShapeError, nearest
from minidl.function import Function
from minidl.ops.receptive_field import Window
from minidl.shapes import check_size, is_number, pair
from minidl.tensor import Tensor

MODES = ("nearest", "bilinear")


class InterpolateNearest(Function):
    """rows, columns: for each output row (column) the input row (column) that it copies."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns

    def forward(self, x):
        self.x_shape = x.shape
        return kernels.pick("interpolate", x).forward_nearest(x, self.rows, self.columns)

    def backward(self, gy):
        kernel = kernels.pick("interpolate", gy)
        return kernel.backward_nearest(gy, self.x_shape, self.rows, self.columns)

    @property
    def receptive_field(self):
        (H, W), OH, OW = self.x_shape[2:], len(self.rows), len(self.columns)
        return Window((1, 1), (H / OH, W / OW))


class InterpolateBilinear(Function):
    """rows, columns: (low, high, fraction) arrays as neighbours() makes them."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns

    def forward(self, x):
        self.x_shape = x.shape
        return kernels.pick("interpolate", x).forward_bilinear(x, self.rows, self.columns)

    def backward(self, gy):
        kernel = kernels.pick("interpolate", gy)
        return kernel.backward_bilinear(gy, self.x_shape, self.rows, self.columns)

    @property
    def receptive_field(self):
        (H, W), OH, OW = self.x_shape[2:], len(self.rows[0]), len(self.columns[0])
        return Window((2, 2), (H / OH, W / OW))


def interpolate(
    input: Tensor,
    size: int | tuple[int, int] | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Enlarge or shrink pictures. Nothing is averaged when they shrink.

    y[i] = x[floor(s)] ("nearest") or (1 - f) x[floor(s)] + f x[floor(s) + 1] ("bilinear"), along
    rows and columns, with s the position of i in the input and f its fraction

    Args:
        input: (N, C, H, W).
        size: of the output, in pixels: OH = OW, or (OH, OW). Give this or scale_factor.
        scale_factor: of the output over the input, > 0; one number or (height, width).
        mode: "nearest" or "bilinear".
        align_corners: corners of the pictures are the middle of pixels (True) or their edges
            (False, also None). For "bilinear" only.

    Returns:
        (N, C, OH, OW); with scale_factor OH = floor(H scale_factor).

    Raises:
        ShapeError: the input is not 4-d, or the output has no pixels or more than fit into memory.
        ArgumentError: both or none of size and scale_factor, or a value out of range.
        DtypeError: not floating point.

    >>> x = minidl.tensor([[[[1.0, 3.0]]]])
    >>> minidl.nn.functional.interpolate(x, size=(1, 4), mode="bilinear")
    tensor([[[[1. , 1.5, 2.5, 3. ]]]])
    """
    op = "interpolate"
    check_tensor(op, input=input)
    check_ndim(op, "input", input, 4, "(N, C, H, W)")
    check_floating(op, input=input)
    check_mode(mode, align_corners)
    sizes, scales = output_size(input, size, scale_factor)
    axes = []
    for n, m, scale in zip(input.data.shape[2:], sizes, scales):
        step = n / m if scale is None or n == m else 1 / scale
        if mode == "nearest":
            axes.append(sources(n, m, step))
        else:
            axes.append(neighbours(n, m, step, align_corners))
    if mode == "nearest":
        return InterpolateNearest(*axes).apply(input)
    return InterpolateBilinear(*axes).apply(input)


def sources(n: int, m: int, step: float) -> np.ndarray:
    """For each of m output pixels the input pixel, of n, that "nearest" copies."""
    step = 0.5 if m == 2 * n else step
    positions = np.arange(m, dtype=np.float32) * np.float32(step)
    return np.minimum(positions.astype(np.int64), n - 1)


def neighbours(n: int, m: int, step: float, align_corners: Any) -> tuple:
    """For each of m output pixels the two input pixels, of n, and how far to the second it is."""
    if align_corners:
        positions = np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0)
    else:
        positions = np.maximum((np.arange(m) + 0.5) * step - 0.5, 0)
    low = np.minimum(positions.astype(np.int64), n - 1)
    return low, np.minimum(low + 1, n - 1), np.minimum(positions - low, 1)


def check_mode(mode: str, align_corners: bool | None) -> None:
    """The mode exists, and align_corners goes with it."""
    if mode not in MODES:
        raise ArgumentError("interpolate", "no such mode", {"mode": mode}, nearest(mode, MODES))
    if mode == "nearest" and align_corners is not None:
        raise ArgumentError(
            "interpolate",
            'only mode="bilinear" takes align_corners',
            {"mode": mode, "align_corners": align_corners},
        )


def output_size(input: Tensor, size: Any, scale_factor: Any) -> tuple[tuple, tuple]:
    """(OH, OW), and the scale factors if these were given, else None for each axis."""
    op, given = "interpolate", {"size": size, "scale_factor": scale_factor}
    if (size is None) == (scale_factor is None):
        raise ArgumentError(op, "give either size or scale_factor", given)
    if size is not None:
        sizes, scales = pair(op, "size", size, minimum=1), (None, None)
    else:
        scales = scale_factor if isinstance(scale_factor, list | tuple) else (scale_factor,) * 2
        if len(scales) != 2 or not all(is_positive(scale) for scale in scales):
            raise ArgumentError(
                op, "scale_factor is a number > 0 or a pair (height, width) of them", given
            )
        scales = [float(scale) for scale in scales]
        sizes = tuple(math.floor(n * scale) for n, scale in zip(input.data.shape[2:], scales))
    if min(input.data.shape[2:]) == 0 or min(sizes) == 0:
        raise ShapeError(
            op,
            f"input and output have pixels; the output would be {tuple(sizes)}",
            {"input": input} | given,
        )
    check_size(op, (*input.data.shape[:2], *sizes), input.data.dtype, {"input": input} | given)
    return sizes, tuple(scales)


def is_positive(number: Any) -> bool:
    """A finite number above 0."""
    return is_number(number) and 0 < number < math.inf
