"""2-D convolution and the ReLU behind it, in one pass over memory.

    z   = conv2d(x, w, b)
    y   = z where z > 0, else a z             a: 0 for a ReLU, more for a leaky one
    gx, gw, gb = those of conv2d for gz = gy where y > 0, else a gy

The numbers are those of leaky_relu(conv2d(x, w, b), a). As operations of their own the ReLU and its
gradient read and write the largest arrays of a network once more each, and compute nearly nothing;
here both happen to numbers that are in a register. y has the sign of z, so that z need not be kept.
Where weights are frozen, as in a network that others learn from, the masked gy of a ReLU is never
in memory at all.
"""

from __future__ import annotations

from minidl import kernels
from minidl.errors import ArgumentError
from minidl.ops.conv2d import Conv2d, Padding, check_arguments, check_window, resolve_padding
from minidl.shapes import is_number, pair
from minidl.tensor import Tensor


class Conv2dReLU(Conv2d):
    makes_new = adds = True

    def __init__(self, stride, padding, dilation, groups, negative_slope):
        super().__init__(stride, padding, dilation, groups)
        self.negative_slope = negative_slope

    def forward(self, x, w, b=None):
        self.x = x if self.needs_grad[1] else None
        self.w = w if self.needs_grad[0] else None
        self.x_shape, self.w_shape = x.shape, w.shape
        y = kernels.pick("conv2d", x).forward(x, w, b, *self.geometry, slope=self.negative_slope)
        self.y = y if True in self.needs_grad else None
        return y

    def backward(self, gy, add_to=None):
        kernel, slope = kernels.pick("conv2d", gy), self.negative_slope
        if slope == 0 and self.needs_grad[0] and True not in self.needs_grad[1:]:
            gx = kernel.backward_input(
                gy, self.w, self.x_shape, *self.geometry, mask=self.y, add_to=add_to
            )
            return gx, None, None
        has_bias = len(self.needs_grad) > 2 and self.needs_grad[2]
        gz, gb = kernel.backward_activation(gy, self.y, slope, has_bias)
        gx = gw = None
        if self.needs_grad[0]:
            gx = kernel.backward_input(gz, self.w, self.x_shape, *self.geometry, add_to=add_to)
        if self.needs_grad[1]:
            gw = kernel.backward_weight(gz, self.x, self.w_shape, *self.geometry)
        return gx, gw, gb


def conv2d_relu(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: Padding = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    negative_slope: float = 0.0,
) -> Tensor:
    """relu or leaky_relu of conv2d(input, weight, bias, ...), without a trip through memory.

    LeCun et al. 1998, section II; Nair and Hinton 2010; Maas et al. 2013. PyTorch has the pair as
    torch.ao.nn.intrinsic.ConvReLU2d.

    Args:
        input, weight, bias, stride, padding, dilation, groups: as in functional.conv2d.
        negative_slope: of a leaky ReLU, from 0 to 1; 0 for a plain one.

    Returns:
        (N, K, OH, OW).

    Raises:
        ShapeError: the shapes do not fit, or the window is larger than the padded picture.
        ArgumentError: stride, padding, dilation, groups or negative_slope is out of range.
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
    if not is_number(negative_slope) or not 0 <= negative_slope <= 1:
        rule = "negative_slope is a number from 0 to 1"
        raise ArgumentError("conv2d_relu", rule, {"negative_slope": negative_slope})
    inputs = (input, weight) if bias is None else (input, weight, bias)
    return Conv2dReLU(stride, padding, dilation, groups, float(negative_slope)).apply(*inputs)
