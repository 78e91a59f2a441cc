"""2-D convolution and the ReLU behind it, in one pass over memory.

    y   = max(conv2d(x, w, b), 0)
    gx, gw, gb = those of conv2d for gy where y is not 0

The numbers are those of relu(conv2d(x, w, b)). As operations of their own the ReLU and its gradient
read and write the largest arrays of a network once more each, and compute nearly nothing; here both
happen to numbers that are in a register. Where weights are frozen, as in a network that others
learn from, the masked gy is never in memory at all.
"""

from __future__ import annotations

from minidl import kernels
from minidl.ops.conv2d import Conv2d, Padding, check_arguments, check_window, resolve_padding
from minidl.shapes import pair
from minidl.tensor import Tensor


class Conv2dReLU(Conv2d):
    makes_new = adds = True

    def forward(self, x, w, b=None):
        self.x = x if self.needs_grad[1] else None
        self.w = w if self.needs_grad[0] else None
        self.x_shape, self.w_shape = x.shape, w.shape
        y = kernels.pick("conv2d", x).forward(x, w, b, *self.geometry, relu=True)
        self.y = y if True in self.needs_grad else None
        return y

    def backward(self, gy, add_to=None):
        if self.needs_grad[0] and True not in self.needs_grad[1:]:
            kernel = kernels.pick("conv2d", gy)
            gx = kernel.backward_input(
                gy, self.w, self.x_shape, *self.geometry, mask=self.y, add_to=add_to
            )
            return gx, None, None
        gx, gw, gb = super().backward(kernels.pick("relu", gy).backward(gy, self.y))
        if add_to is not None:
            gx += add_to
        return gx, gw, gb


def conv2d_relu(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: Padding = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """relu(conv2d(input, weight, bias, ...)), without a trip through memory in between.

    LeCun et al. 1998, section II; Nair and Hinton 2010. PyTorch has the pair as
    torch.ao.nn.intrinsic.ConvReLU2d.

    Args:
        input, weight, bias, stride, padding, dilation, groups: as in functional.conv2d.

    Returns:
        (N, K, OH, OW), at least 0.

    Raises:
        ShapeError: the shapes do not fit, or the window is larger than the padded picture.
        ArgumentError: stride, padding, dilation or groups is out of range.
        DtypeError: not floating point, or of different dtypes.

    >>> x, w = minidl.ones(1, 3, 5, 5), -minidl.ones(8, 3, 3, 3)
    >>> minidl.nn.functional.conv2d_relu(x, w).max()
    tensor(0.)
    """
    stride = pair("conv2d_relu", "stride", stride, minimum=1)
    dilation = pair("conv2d_relu", "dilation", dilation, minimum=1)
    check_arguments("conv2d_relu", input, weight, bias, groups)
    padding = resolve_padding(padding, input.data.shape, weight.data.shape, stride, dilation)
    check_window(input, weight, stride, padding, dilation)
    inputs = (input, weight) if bias is None else (input, weight, bias)
    return Conv2dReLU(stride, padding, dilation, groups).apply(*inputs)
