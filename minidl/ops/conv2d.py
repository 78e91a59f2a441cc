"""2-D convolution (LeCun et al. 1998, section II; as in the field, it is a cross-correlation).

    y[n,k,oh,ow]  = b[k] + sum_{c,r,s} w[k,c,r,s] x[n, c, oh sh + r dh - ph, ow sw + s dw - pw]
    gx[n,c,h,v]   = sum of w[k,c,r,s] gy[n,k,oh,ow] over every (k,r,s,oh,ow) that read x[n,c,h,v]
    gw[k,c,r,s]   = sum_{n,oh,ow} gy[n,k,oh,ow] x[n, c, oh sh + r dh - ph, ow sw + s dw - pw]
    gb[k]         = sum_{n,oh,ow} gy[n,k,oh,ow]

(ph, pw) are the rows of padding at the top and its columns on the left; those at the bottom and on
the right make room for more windows. x reads as 0 outside of the picture. The kernel is not
flipped, as in PyTorch, Caffe and ONNX.
With groups, output channels k of group g see only the input channels of group g (Krizhevsky et
al. 2012, section 3.5, split AlexNet over two GPUs so).
"""

from __future__ import annotations

import math
from typing import Any

from minidl import kernels
from minidl.checks import check_floating, check_ndim
from minidl.errors import ArgumentError, ShapeError
from minidl.function import Function
from minidl.ops.receptive_field import Window
from minidl.shapes import check_size, is_int, pair, window_output
from minidl.tensor import Tensor

Padding = int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]] | str


class Conv2d(Function):
    makes_new = True

    def __init__(self, stride, padding, dilation, groups):
        self.geometry = (stride, padding, dilation, groups)

    def forward(self, x, w, b=None):
        self.x = x if self.needs_grad[1] else None
        self.w = w if self.needs_grad[0] else None
        self.x_shape, self.w_shape = x.shape, w.shape
        return kernels.pick("conv2d", x).forward(x, w, b, *self.geometry)

    def backward(self, gy):
        kernel = kernels.pick("conv2d", gy)
        gx = gw = gb = None
        if self.needs_grad[0]:
            gx = kernel.backward_input(gy, self.w, self.x_shape, *self.geometry)
        if self.needs_grad[1]:
            gw = kernel.backward_weight(gy, self.x, self.w_shape, *self.geometry)
        if len(self.needs_grad) > 2 and self.needs_grad[2]:
            gb = kernel.backward_bias(gy)
        return gx, gw, gb

    @property
    def receptive_field(self):
        stride, _, dilation, _ = self.geometry
        return Window(self.w_shape[2:], stride, dilation)

    def multiply_accumulates(self, y, x, w, b=None):
        return math.prod(y) * math.prod(w[1:])  # (C/groups) R S for each output element


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: Padding = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve pictures with a bank of kernels.

    y[n,k,oh,ow] = b[k] + sum_{c,r,s} w[k,c,r,s] x[n, c, oh sh + r dh - ph, ow sw + s dw - pw]

    NaN and infinity reach the outputs whose windows see them, and in a 3x3 or 5x5 convolution that
    Winograd's algorithm computes, those of their tile, 4 x 4 or 2 x 2 outputs, as well;
    minidl.use_exact_conv(True) avoids that.

    LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.

    Args:
        input: (N, C, H, W).
        weight: (K, C / groups, R, S).
        bias: (K,) or None.
        stride: pixels from one window to the next, >= 1; an int or (height, width).
        padding: rows and columns of zeros added on each side, >= 0: an int, (height, width) or
            ((top, bottom), (left, right)); "valid" for none; "same" for as many as keep the size,
            stride 1 only; "same_upper" for OH = ceil(H / stride), TensorFlow's SAME. Of an odd
            number, these two have the one more at the bottom and on the right.
        dilation: pixels from one kernel tap to the next, >= 1.
        groups: into how many separate convolutions the channels are split.

    Returns:
        (N, K, OH, OW) with OH = floor((H + top + bottom - dilation (R - 1) - 1) / stride) + 1.

    Raises:
        ShapeError: the shapes do not fit, or the window is larger than the padded picture.
        ArgumentError: stride, padding, dilation or groups is out of range.
        DtypeError: not floating point, or of different dtypes.

    >>> x, w = minidl.ones(1, 3, 5, 5), minidl.ones(8, 3, 3, 3)
    >>> minidl.nn.functional.conv2d(x, w, stride=2, padding=1).shape
    (1, 8, 3, 3)
    >>> minidl.nn.functional.conv2d(minidl.ones(1, 3, 6, 6), w, None, 2, "same_upper").shape
    (1, 8, 3, 3)
    """
    stride = pair("conv2d", "stride", stride, minimum=1)
    dilation = pair("conv2d", "dilation", dilation, minimum=1)
    check_arguments("conv2d", input, weight, bias, groups)
    padding = resolve_padding(padding, input.data.shape, weight.data.shape, stride, dilation)
    check_window(input, weight, stride, padding, dilation)
    inputs = (input, weight) if bias is None else (input, weight, bias)
    return Conv2d(stride, padding, dilation, groups).apply(*inputs)


def check_arguments(op: str, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int):
    """Dimensions, channels and dtypes of a convolution fit each other."""
    check_floating(op, input=input, weight=weight, bias=bias)
    check_ndim(op, "input", input, 4, "(N, C, H, W)")
    check_ndim(op, "weight", weight, 4, "(K, C/groups, R, S)")
    channels, (K, per_group, R, S) = input.data.shape[1], weight.data.shape
    if not (type(groups) is int or is_int(groups)) or groups < 1 or K % groups or channels % groups:
        raise ArgumentError(
            op,
            "groups is an int >= 1 that divides the input channels and the output channels",
            {"input": input, "weight": weight, "groups": groups},
        )
    if per_group * groups != channels:
        raise ShapeError(
            op,
            f"weight expects {per_group} input channels per group, input has {channels // groups}",
            {"input": input, "weight": weight},
            f"groups={groups}; did you mean in_channels={channels}?",
        )
    if min(K, per_group, R, S) == 0:
        raise ShapeError(op, "weight must not be empty", {"input": input, "weight": weight})
    if bias is not None and bias.data.shape != (K,):
        raise ShapeError(
            op,
            f"bias has one value per output channel, {K}",
            {"input": input, "weight": weight, "bias": bias},
        )


def resolve_padding(padding: Any, x_shape: tuple, w_shape: tuple, stride: tuple, dilation: tuple):
    """Rows and columns of zeros, as the kernels take them.

    Returns:
        (height, width) where opposite sides have as many, else (top, left, bottom, right) as in
        ONNX. Either way [0] and [1] are those in front, [-2] and [-1] those behind.
    """
    if isinstance(padding, int):  # the usual case, first
        return pair("conv2d", "padding", padding)
    if isinstance(padding, str):
        sides = named_padding(padding, x_shape, w_shape, stride, dilation)
    elif isinstance(padding, list | tuple) and any(isinstance(n, list | tuple) for n in padding):
        sides = check_sides(padding)
    else:
        return pair("conv2d", "padding", padding)
    (top, bottom), (left, right) = sides
    return (top, left) if (top, left) == (bottom, right) else (top, left, bottom, right)


def named_padding(name: str, x_shape: tuple, w_shape: tuple, stride: tuple, dilation: tuple):
    """((top, bottom), (left, right)) under a name; of an odd number, the one more goes behind."""
    if name == "valid":
        return (0, 0), (0, 0)
    if name not in ("same", "same_upper"):
        raise ArgumentError(
            "conv2d", 'padding is "same", "same_upper", "valid" or numbers', {"padding": name}
        )
    if name == "same" and stride != (1, 1):
        raise ArgumentError(
            "conv2d", 'padding="same" needs stride 1', {"stride": stride},
            'padding="same_upper" gives ceil(size / stride) outputs, as TensorFlow\'s SAME',
        )  # fmt: skip
    sides = []
    for size, taps, step, gap in zip(x_shape[2:], w_shape[2:], stride, dilation):
        window, places = gap * (taps - 1) + 1, -(-size // step)
        # PyTorch's "same" looks at the window alone, which with stride 1 is the same number.
        total = max((places - 1) * step + window - size, 0)
        sides.append((total // 2, total - total // 2))
    return sides


def check_sides(padding: Any):
    """((top, bottom), (left, right)), ints >= 0."""
    numbers = [n for side in padding for n in (side if isinstance(side, list | tuple) else [side])]
    pairs = len(padding) == 2 and all(
        isinstance(side, list | tuple) and len(side) == 2 for side in padding
    )
    if not pairs or not all(is_int(n) and n >= 0 for n in numbers):
        raise ArgumentError(
            "conv2d",
            "padding is an int >= 0, a pair (height, width) or ((top, bottom), (left, right))",
            {"padding": padding},
        )
    return [(int(before), int(behind)) for before, behind in padding]


def check_window(input: Tensor, weight: Tensor, stride: tuple, padding: tuple, dilation: tuple):
    """The window fits into the padded picture at least once, and that into memory."""
    (H, W), (R, S) = input.data.shape[2:], weight.data.shape[2:]
    OH = window_output(H + padding[0] + padding[-2], R, stride[0], 0, dilation[0])
    OW = window_output(W + padding[1] + padding[-1], S, stride[1], 0, dilation[1])
    if OH < 1 or OW < 1:
        i, axis, size, kernel = (0, "height", H, R) if OH < 1 else (1, "width", W, S)
        window, size = dilation[i] * (kernel - 1) + 1, size + padding[i] + padding[i - 2]
        raise ShapeError(
            "conv2d",
            f"the window is {window} pixels in {axis}, the padded input {size}",
            {"input": input, "weight": weight, "padding": padding, "dilation": dilation},
            "use a larger picture, more padding or a smaller kernel",
        )
    if max(padding) > max(H, W):
        H, W = H + padding[0] + padding[-2], W + padding[1] + padding[-1]
        padded = (*input.data.shape[:2], H, W)
        check_size("conv2d", padded, input.data.dtype, {"input": input, "padding": padding})
