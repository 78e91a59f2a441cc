"""What the pooling operations share: the size of the output and the checks of the window."""

from __future__ import annotations

from typing import Any

from minidl.checks import check_floating, check_ndim, check_tensor
from minidl.errors import ArgumentError, ShapeError
from minidl.shapes import check_flag, pair, window_output
from minidl.tensor import Tensor


def check_pooling(op: str, input: Tensor, kernel_size: Any, stride: Any, padding: Any) -> tuple:
    """Kernel, stride (the kernel where None) and padding as pairs that fit together.

    Raises:
        ArgumentError: one of them is out of range, or more than half the kernel is padding.
    """
    check_tensor(op, input=input)
    check_ndim(op, "input", input, 4, "(N, C, H, W)")
    check_floating(op, input=input)
    kernel = pair(op, "kernel_size", kernel_size, minimum=1)
    stride = kernel if stride is None else pair(op, "stride", stride, minimum=1)
    padding = pair(op, "padding", padding)
    if 2 * padding[0] > kernel[0] or 2 * padding[1] > kernel[1]:
        raise ArgumentError(
            op,
            "padding is at most half the kernel",
            {"kernel_size": kernel_size, "padding": padding},
            "pad with functional.pad first if so much is meant",
        )
    return kernel, stride, padding


def pooled_size(
    op: str, input: Tensor, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil: Any
) -> tuple[int, int]:
    """(OH, OW) of a pooling.

    Raises:
        ArgumentError: ceil_mode is not a bool.
        ShapeError: the window does not fit into the padded picture.
    """
    check_flag(op, "ceil_mode", ceil)
    sizes = []
    for i, axis in ((0, "height"), (1, "width")):
        size = input.data.shape[2 + i]
        places = pooled_places(size, kernel[i], stride[i], padding[i], dilation[i], ceil)
        if size == 0 or places < 1:
            window, padded = dilation[i] * (kernel[i] - 1) + 1, size + 2 * padding[i]
            raise ShapeError(
                op,
                f"the window is {window} pixels in {axis}, the padded input {padded}",
                {"input": input, "kernel_size": kernel, "padding": padding, "dilation": dilation},
                "use a larger picture or a smaller kernel",
            )
        sizes.append(places)
    return sizes[0], sizes[1]


def pooled_places(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: Any
) -> int:
    """How many places a pooling window has along one axis.

    Without ceil as a convolution. With ceil a last window may stick out at the end, if it starts
    inside the picture or the padding before it (PyTorch's rule; one that starts in the padding
    behind would see nothing).
    """
    if not ceil:
        return window_output(size, kernel, stride, padding, dilation)
    places = window_output(size + stride - 1, kernel, stride, padding, dilation)
    return places - 1 if (places - 1) * stride >= size + padding else places
