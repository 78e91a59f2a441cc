"""2-D transposed convolution (Zeiler et al. 2010; Dumoulin and Visin 2016, chapter 4).

The adjoint of conv2d in its input: what conv2d's backward does to gy, done to x.

    y[n,k,h,v]    = b[k] + sum of w[c,k,r,s] x[n,c,ih,iw] over every (c,r,s,ih,iw) with
                    h = ih sh + r dh - ph,  v = iw sw + s dw - pw
    gx[n,c,ih,iw] = sum_{k,r,s} w[c,k,r,s] gy[n, k, ih sh + r dh - ph, iw sw + s dw - pw]
    gw[c,k,r,s]   = sum_{n,ih,iw} x[n,c,ih,iw] gy[n, k, ih sh + r dh - ph, iw sw + s dw - pw]
    gb[k]         = sum_{n,h,v} gy[n,k,h,v]

gy reads as 0 outside of the picture. So forward is conv2d's backward_input, gx is conv2d's forward
and gw its backward_weight with the roles of picture and gradient exchanged: the kernels are those
of conv2d, and there are none of this operation.

A convolution with stride reaches several input sizes the same output size; output_padding says
which of them is meant: as many rows and columns more at the end.
"""

from __future__ import annotations

import math

from minidl import kernels
from minidl.checks import check_floating, check_ndim, check_tensor
from minidl.errors import ArgumentError, ShapeError
from minidl.function import Function
from minidl.ops.receptive_field import Window
from minidl.shapes import check_size, is_int, pair
from minidl.tensor import Tensor


class ConvTranspose2d(Function):
    def __init__(self, stride, padding, dilation, groups, output_size):
        self.geometry = (stride, padding, dilation, groups)
        self.output_size = output_size

    def forward(self, x, w, b=None):
        self.x = x if self.needs_grad[1] else None
        self.w = w if self.needs_grad[0] else None
        self.x_shape, self.w_shape = x.shape, w.shape
        groups = self.geometry[3]
        y_shape = (x.shape[0], w.shape[1] * groups, *self.output_size)
        kernel = kernels.pick("conv2d", x)
        y = kernel.backward_input(x, w, y_shape, *self.geometry)
        if b is not None:
            kernel.add_bias(y, b)
        return y

    def backward(self, gy):
        kernel = kernels.pick("conv2d", gy)
        gx = gw = gb = None
        if self.needs_grad[0]:
            gx = kernel.forward(gy, self.w, None, *self.geometry)
            H, W = self.x_shape[2:]
            gx = gx[:, :, :H, :W]  # output_padding may make room for a window more
        if self.needs_grad[1]:
            gw = kernel.backward_weight(self.x, gy, self.w_shape, *self.geometry)
        if len(self.needs_grad) > 2 and self.needs_grad[2]:
            gb = kernel.backward_bias(gy)
        return gx, gw, gb

    @property
    def receptive_field(self):
        """At most ceil(((R - 1) d + 1) / s) input pixels reach an output pixel."""
        stride, _, dilation, _ = self.geometry
        spans = [dilation[i] * (self.w_shape[2 + i] - 1) + 1 for i in (0, 1)]
        size = [-(-span // s) for span, s in zip(spans, stride)]
        return Window(tuple(size), tuple(1 / s for s in stride))

    def multiply_accumulates(self, y, x, w, b=None):
        return math.prod(x) * math.prod(w[1:])  # (K/groups) R S for each input element


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    output_padding: int | tuple[int, int] = 0,
    groups: int = 1,
    dilation: int | tuple[int, int] = 1,
) -> Tensor:
    """Spread every pixel over a window: the transpose of conv2d, which enlarges by its stride.

    y[n,k,h,v] = b[k] + sum of w[c,k,r,s] x[n,c,ih,iw] over h = ih sh + r dh - ph and the same for v

    Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", chapter 4.

    Args:
        input: (N, C, H, W).
        weight: (C, K / groups, R, S).
        bias: (K,) or None.
        stride: pixels of the output from one window to the next, >= 1; an int or (height, width).
        padding: rows and columns cut off the output on each side, >= 0.
        output_padding: rows and columns more at the end, below the stride or the dilation.
        groups: into how many separate convolutions the channels are split.
        dilation: pixels from one kernel tap to the next, >= 1.

    Returns:
        (N, K, OH, OW) with
        OH = (H - 1) stride - 2 padding + dilation (R - 1) + output_padding + 1.

    Raises:
        ShapeError: the shapes do not fit, or the output would be empty.
        ArgumentError: stride, padding, output_padding, dilation or groups is out of range.
        DtypeError: not floating point, or of different dtypes.

    >>> x, w = minidl.ones(1, 8, 5, 5), minidl.ones(8, 3, 4, 4)
    >>> minidl.nn.functional.conv_transpose2d(x, w, stride=2, padding=1).shape
    (1, 3, 10, 10)
    """
    op = "conv_transpose2d"
    stride = pair(op, "stride", stride, minimum=1)
    padding = pair(op, "padding", padding)
    output_padding = pair(op, "output_padding", output_padding)
    dilation = pair(op, "dilation", dilation, minimum=1)
    check_arguments(op, input, weight, bias, groups)
    output_size = resolve_output_size(input, weight, stride, padding, output_padding, dilation)
    function = ConvTranspose2d(stride, padding, dilation, groups, output_size)
    if bias is None:
        return function.apply(input, weight)
    return function.apply(input, weight, bias)


def check_arguments(op: str, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int):
    """Dimensions, channels and dtypes fit each other."""
    check_tensor(op, input=input, weight=weight, bias=bias)
    check_ndim(op, "input", input, 4, "(N, C, H, W)")
    check_ndim(op, "weight", weight, 4, "(C, K/groups, R, S)")
    check_floating(op, input=input, weight=weight, bias=bias)
    C, per_group, R, S = weight.data.shape
    received = {"input": input, "weight": weight}
    if input.data.shape[1] != C:
        raise ShapeError(
            op,
            f"weight expects {C} input channels, input has {input.data.shape[1]}",
            received,
            "the weight of a transposed convolution is (in_channels, out_channels/groups, R, S)",
        )
    if not is_int(groups) or groups < 1 or C % groups:
        raise ArgumentError(
            op,
            "groups is an int >= 1 that divides the input channels",
            received | {"groups": groups},
        )
    if min(C, per_group, R, S) == 0:
        raise ShapeError(op, "weight must not be empty", received)
    if bias is not None and bias.data.shape != (per_group * groups,):
        raise ShapeError(
            op,
            f"bias has one value per output channel, {per_group * groups}",
            received | {"bias": bias},
        )


def resolve_output_size(input, weight, stride, padding, output_padding, dilation):
    """(OH, OW), checked to be at least (1, 1)."""
    op, sizes = "conv_transpose2d", []
    for i, axis in ((0, "height"), (1, "width")):
        if output_padding[i] >= max(stride[i], dilation[i]):
            raise ArgumentError(
                op,
                f"output_padding must be smaller than the stride or the dilation in {axis}",
                {"output_padding": output_padding, "stride": stride, "dilation": dilation},
            )
        size, kernel = input.data.shape[2 + i], weight.data.shape[2 + i]
        window = dilation[i] * (kernel - 1) + 1
        output = (size - 1) * stride[i] - 2 * padding[i] + window + output_padding[i]
        if size == 0 or output < 1:
            raise ShapeError(
                op,
                f"the output would have {max(output, 0)} pixels in {axis}",
                {"input": input, "weight": weight, "stride": stride, "padding": padding},
                "use a larger picture, less padding or a larger kernel",
            )
        sizes.append(output)
    check_size(
        op, (input.data.shape[0], weight.data.shape[1], *sizes), input.data.dtype,
        {"input": input, "weight": weight, "stride": stride, "output_padding": output_padding},
    )  # fmt: skip
    return tuple(sizes)
