"""Adaptive average pooling: average pooling that is told its output size.

    y[n,c,oh,ow]  = mean of x[n,c,h,v] over floor(oh H / OH) <= h < ceil((oh + 1) H / OH)
                    and the same for columns
    gx[n,c,h,v]   = sum of gy[n,c,oh,ow] / (pixels in the window) over the windows with (h, v)

Where OH does not divide H, neighbouring windows overlap by a row (PyTorch's rule; He et al. 2014,
section 2.2, introduced such bins as spatial pyramid pooling). With output size 1 it is global
average pooling (Lin et al. 2014, section 3.2).

The kernel is that of avg_pool2d, which takes any windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.checks import check_floating, check_ndim, check_tensor
from minidl.errors import ArgumentError, ShapeError
from minidl.ops.avg_pool2d import AveragePool
from minidl.shapes import check_size
from minidl.tensor import Tensor


def adaptive_avg_pool2d(input: Tensor, output_size: int | tuple[int | None, int | None]) -> Tensor:
    """Average over as many windows as the output has pixels, whatever the size of the input.

    y[n,c,oh,ow] = mean of x[n,c,h,v] over floor(oh H / OH) <= h < ceil((oh + 1) H / OH), and the
    same for columns

    Lin et al. 2014, "Network in network", section 3.2 (output size 1).

    Args:
        input: (N, C, H, W).
        output_size: OH = OW, or (OH, OW), >= 1; None keeps that size of the input.

    Returns:
        (N, C, OH, OW).

    Raises:
        ShapeError: the input is not 4-d or has no pixels, or the output does not fit into memory.
        ArgumentError: output_size is not one or two ints >= 1.
        DtypeError: not floating point.

    >>> x = minidl.tensor([[[[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]]])
    >>> minidl.nn.functional.adaptive_avg_pool2d(x, (1, 2))
    tensor([[[[3.5, 4.5]]]])
    """
    op = "adaptive_avg_pool2d"
    check_tensor(op, input=input)
    check_ndim(op, "input", input, 4, "(N, C, H, W)")
    check_floating(op, input=input)
    H, W = input.data.shape[2:]
    if min(H, W) == 0:
        raise ShapeError(op, "the picture has no pixels", {"input": input})
    OH, OW = check_output_size(output_size, (H, W))
    check_size(
        op, (*input.data.shape[:2], OH, OW), input.data.dtype,
        {"input": input, "output_size": output_size},
    )  # fmt: skip
    rows, columns = bins(H, OH), bins(W, OW)
    return AveragePool(rows, columns, rows[1] - rows[0], columns[1] - columns[0]).apply(input)


def bins(size: int, places: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel of each window along one axis, and the pixel after its last."""
    place = np.arange(places)
    return place * size // places, -(-(place + 1) * size // places)


def check_output_size(output_size: Any, input_size: tuple[int, int]) -> tuple[int, int]:
    """(OH, OW), None filled in from the input."""
    sizes = output_size
    if sizes is None or isinstance(sizes, int | np.integer):
        sizes = (sizes, sizes)
    if isinstance(sizes, list | tuple) and len(sizes) == 2:
        sizes = [given if new is None else new for new, given in zip(sizes, input_size)]
        if all(type(size) is not bool and isinstance(size, int | np.integer) for size in sizes):
            if min(sizes) >= 1:
                return int(sizes[0]), int(sizes[1])
    raise ArgumentError(
        "adaptive_avg_pool2d",
        "output_size is an int >= 1 or a pair (height, width) of them or None",
        {"output_size": output_size},
    )
