"""Max pooling (Ranzato et al. 2007; overlapping windows: Krizhevsky et al. 2012, section 3.4).

    y[n,c,oh,ow]  = max over (r,s) of x[n, c, oh sh + r dh - ph, ow sw + s dw - pw]
    gx[n,c,h,v]   = sum of gy[n,c,oh,ow] over the windows whose maximum is (h, v)

Conventions, all PyTorch's: of equal values the first in row-major order wins and gets the whole
gradient; a NaN wins over everything (the last one); padding never wins, not even over -inf.
ceil_mode keeps a last window that sticks out at the end, if it starts inside the picture or the
padding before it.
"""

from __future__ import annotations

from typing import Any

from minidl import kernels
from minidl.errors import ShapeError
from minidl.function import Function
from minidl.ops.pooling import check_pooling, pooled_size
from minidl.ops.receptive_field import Window
from minidl.shapes import check_flag, pair
from minidl.tensor import Tensor


class MaxPool2d(Function):
    makes_new = adds = True

    def __init__(self, kernel_size, stride, padding, dilation, output_size, return_indices):
        self.geometry = (kernel_size, stride, padding, dilation)
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, x):
        kernel = kernels.pick("max_pool2d", x)
        y, indices = kernel.forward(x, *self.geometry, self.output_size)
        if self.needs_grad[0]:
            self.x_shape, self.indices = x.shape, indices
        return (y, indices.astype("int64")) if self.return_indices else y

    def backward(self, gy, _=None, add_to=None):
        kernel = kernels.pick("max_pool2d", gy)
        return kernel.backward(gy, self.indices, self.x_shape, *self.geometry, add_to)

    @property
    def receptive_field(self):
        kernel_size, stride, _, dilation = self.geometry
        return Window(kernel_size, stride, dilation)


def max_pool2d(
    input: Tensor,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window.

    y[n,c,oh,ow] = max over (r,s) of x[n, c, oh sh + r dh - ph, ow sw + s dw - pw]

    Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks",
    section 3.4.

    Args:
        input: (N, C, H, W).
        kernel_size: height and width of the window; an int or (height, width).
        stride: pixels from one window to the next, >= 1; None for the kernel size.
        padding: rows and columns added on each side, at most half the kernel; they never win.
        dilation: pixels from one row or column of the window to the next, >= 1.
        ceil_mode: round the output size up: a last window may stick out of the picture.
        return_indices: also return where each maximum was found.

    Returns:
        (N, C, OH, OW) with OH = floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1,
        or ceil; with return_indices a pair of it and int64 indices h W + w of the same shape.

    Raises:
        ShapeError: the input is not 4-d, or a window does not fit or sees nothing but padding.
        ArgumentError: kernel_size, stride, padding or dilation is out of range, or a flag is not
            a bool.
        DtypeError: not floating point.

    >>> x = minidl.tensor([[[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 8.0, 7.0]]]])
    >>> minidl.nn.functional.max_pool2d(x, 2)
    tensor([[[[5., 8.]]]])
    """
    op = "max_pool2d"
    kernel, stride, padding = check_pooling(op, input, kernel_size, stride, padding)
    dilation = pair(op, "dilation", dilation, minimum=1)
    output_size = pooled_size(op, input, kernel, stride, padding, dilation, ceil_mode)
    check_flag(op, "return_indices", return_indices)
    if padding != (0, 0) and dilation != (1, 1):
        check_sees_picture(input, stride, padding, dilation, output_size)
    return MaxPool2d(kernel, stride, padding, dilation, output_size, return_indices).apply(input)


def check_sees_picture(input: Tensor, stride, padding, dilation, output_size):
    """No window steps over a picture smaller than its dilation, from padding to padding.

    Only a window that starts in the padding can; its first tap behind that is row start mod
    dilation.
    """
    for i, axis in ((0, "height"), (1, "width")):
        starts = range(-padding[i], 0, stride[i])[: output_size[i]]
        if any(start % dilation[i] >= input.data.shape[2 + i] for start in starts):
            raise ShapeError(
                "max_pool2d",
                f"a window sees nothing but padding in {axis}",
                {"input": input, "padding": padding, "dilation": dilation},
                "use a larger picture, less padding or a smaller dilation",
            )
