"""Average pooling (LeCun et al. 1998, section II.B, calls it subsampling).

    y[n,c,oh,ow]  = sum of x[n,c,h,v] over the window (oh, ow) / count[oh,ow]
    gx[n,c,h,v]   = sum of gy[n,c,oh,ow] / count[oh,ow] over the windows that contain (h, v)

The window is rows oh sh - ph .. oh sh - ph + kh - 1, columns likewise. Pixels outside of the
picture add nothing to the sum. What they add to the count is PyTorch's convention: with
count_include_pad the padding counts, but never what sticks out behind the padding in ceil_mode;
without it only pixels count. divisor_override replaces the count.

LeCun's subsampling also multiplies by a learned coefficient and adds a bias; write these as layers
where they are meant.
"""

from __future__ import annotations

import numpy as np

from minidl import kernels
from minidl.errors import ArgumentError
from minidl.function import Function
from minidl.ops.pooling import check_pooling, pooled_size
from minidl.ops.receptive_field import Window
from minidl.shapes import check_flag
from minidl.tensor import Tensor


class AveragePool(Function):
    """Averages over windows rows[0][oh] <= h < rows[1][oh], columns[0][ow] <= v < columns[1][ow],
    divided by row_counts[oh] * column_counts[ow]."""

    def __init__(self, rows, columns, row_counts, column_counts):
        self.windows = (rows, columns, row_counts, column_counts)

    def forward(self, x):
        self.x_shape = x.shape
        return kernels.pick("avg_pool2d", x).forward(x, *self.windows)

    def backward(self, gy):
        return kernels.pick("avg_pool2d", gy).backward(gy, self.x_shape, *self.windows)

    @property
    def receptive_field(self):
        """The largest window, and the largest step from one to the next."""
        rows, columns = self.windows[:2]
        size = [int((end - first).max()) for first, end in (rows, columns)]
        stride = [int(max(first[1:] - first[:-1], default=1)) for first, _ in (rows, columns)]
        return Window(tuple(size), tuple(stride))


def avg_pool2d(
    input: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The average of each window.

    y[n,c,oh,ow] = sum of x[n,c,h,v] over the window (oh, ow) / count[oh,ow]

    LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.B.

    Args:
        input: (N, C, H, W).
        kernel_size: height and width of the window; an int or (height, width).
        stride: pixels from one window to the next, >= 1; None for the kernel size.
        padding: rows and columns of zeros added on each side, at most half the kernel.
        ceil_mode: round the output size up: a last window may stick out of the picture.
        count_include_pad: divide by the pixels and the padding in the window, not only the pixels.
        divisor_override: divide by this number instead, not 0.

    Returns:
        (N, C, OH, OW) with OH = floor((H + 2 padding - kernel) / stride) + 1, or ceil.

    Raises:
        ShapeError: the input is not 4-d, or the window does not fit.
        ArgumentError: kernel_size, stride, padding or divisor_override is out of range, or a flag
            is not a bool.
        DtypeError: not floating point.

    >>> x = minidl.tensor([[[[1.0, 5.0, 2.0, 0.0], [3.0, 3.0, 8.0, 6.0]]]])
    >>> minidl.nn.functional.avg_pool2d(x, 2)
    tensor([[[[3., 4.]]]])
    """
    op = "avg_pool2d"
    kernel, stride, padding = check_pooling(op, input, kernel_size, stride, padding)
    output_size = pooled_size(op, input, kernel, stride, padding, (1, 1), ceil_mode)
    check_flag(op, "count_include_pad", count_include_pad)
    axes = []
    for i in (0, 1):
        size = input.data.shape[2 + i]
        axes.append(windows(size, output_size[i], kernel[i], stride[i], padding[i]))
    (rows, row_counts), (columns, column_counts) = axes
    if divisor_override is not None:
        check_divisor(divisor_override)
        row_counts = np.full(len(row_counts), divisor_override)
        column_counts = np.ones(len(column_counts))
    elif not count_include_pad:
        row_counts, column_counts = rows[1] - rows[0], columns[1] - columns[0]
    return AveragePool(rows, columns, row_counts, column_counts).apply(input)


def windows(size: int, places: int, kernel: int, stride: int, padding: int):
    """The windows along one axis: ((first, end), length), arrays with an entry for each place.

    first .. end - 1 are the pixels; the length also counts the padding.
    """
    first = np.arange(places) * stride - padding
    end = np.minimum(first + kernel, size + padding)
    return (np.maximum(first, 0), np.minimum(end, size)), end - first


def check_divisor(divisor_override):
    if not isinstance(divisor_override, int | np.integer) or divisor_override == 0:
        raise ArgumentError(
            "avg_pool2d",
            "divisor_override is an int other than 0",
            {"divisor_override": divisor_override},
        )
