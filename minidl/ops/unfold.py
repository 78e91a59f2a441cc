"""Unfold: every window of a picture as a column (im2col), overlapping pixels repeated.

    y[n, (c R + r) S + s, oh OW + ow] = x[n, c, oh sh + r dh - ph, ow sw + s dw - pw]
    gx[n,c,h,v] = sum of gy over all entries that are copies of x[n,c,h,v]

x reads as 0 outside of the picture. A convolution is a matrix product with y (Chellapilla et al.
2006); patches of neural style transfer are its columns (Li and Wand 2016).
"""

from __future__ import annotations

from minidl import kernels
from minidl.checks import check_floating, check_ndim, check_tensor
from minidl.errors import ShapeError
from minidl.function import Function
from minidl.ops.receptive_field import UNKNOWN
from minidl.shapes import check_size, pair, window_output
from minidl.tensor import Tensor


class Unfold(Function):
    receptive_field = UNKNOWN

    def __init__(self, kernel_size, dilation, padding, stride):
        self.geometry = (kernel_size, dilation, padding, stride)

    def forward(self, x):
        self.x_shape = x.shape
        return kernels.pick("unfold", x).forward(x, *self.geometry)

    def backward(self, gy):
        return kernels.pick("unfold", gy).backward(gy, self.x_shape, *self.geometry)


def unfold(
    input: Tensor,
    kernel_size: int | tuple[int, int],
    dilation: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    stride: int | tuple[int, int] = 1,
) -> Tensor:
    """Every window of the picture as a column.

    y[n, (c R + r) S + s, oh OW + ow] = x[n, c, oh sh + r dh - ph, ow sw + s dw - pw]

    Chellapilla et al. 2006, "High performance convolutional neural networks for document
    processing", section 2.2.

    Args:
        input: (N, C, H, W).
        kernel_size: height R and width S of the window; an int or (height, width).
        dilation: pixels from one row or column of the window to the next, >= 1.
        padding: rows and columns of zeros added on each side, >= 0.
        stride: pixels from one window to the next, >= 1.

    Returns:
        (N, C R S, OH OW), OH and OW as in conv2d.

    Raises:
        ShapeError: the input is not 4-d, or the window is larger than the padded picture.
        ArgumentError: kernel_size, dilation, padding or stride is out of range.
        DtypeError: not floating point.

    >>> x = minidl.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    >>> minidl.nn.functional.unfold(x, 2)[0, :, 0]
    tensor([1., 2., 4., 5.])
    """
    op = "unfold"
    check_tensor(op, input=input)
    check_ndim(op, "input", input, 4, "(N, C, H, W)")
    check_floating(op, input=input)
    kernel = pair(op, "kernel_size", kernel_size, minimum=1)
    dilation = pair(op, "dilation", dilation, minimum=1)
    padding = pair(op, "padding", padding)
    stride = pair(op, "stride", stride, minimum=1)
    places = 1
    for i, axis in ((0, "height"), (1, "width")):
        size = input.data.shape[2 + i]
        places *= window_output(size, kernel[i], stride[i], padding[i], dilation[i])
        if places < 1:
            window, padded = dilation[i] * (kernel[i] - 1) + 1, size + 2 * padding[i]
            raise ShapeError(
                op,
                f"the window is {window} pixels in {axis}, the padded input {padded}",
                {"input": input, "kernel_size": kernel_size, "dilation": dilation},
                "use a larger picture, more padding or a smaller kernel",
            )
    N, C = input.data.shape[:2]
    check_size(
        op, (N, C * kernel[0] * kernel[1], places), input.data.dtype,
        {"input": input, "kernel_size": kernel_size, "padding": padding},
    )  # fmt: skip
    return Unfold(kernel, dilation, padding, stride).apply(input)
