"""Convolution layers. The weight lies in memory as (R, S, C, K), seen as (K, C, R, S)."""

from __future__ import annotations

import math

from minidl.errors import ArgumentError
from minidl.nn import init
from minidl.nn.checks import check_flags, new_weight
from minidl.nn.module import Module, Parameter
from minidl.ops.conv2d import Padding, conv2d
from minidl.ops.conv2d_relu import conv2d_relu
from minidl.ops.conv_transpose2d import conv_transpose2d
from minidl.shapes import is_int, pair
from minidl.tensor import Tensor


class Conv2d(Module):
    """2-D convolution with a learned kernel and bias; see minidl.nn.functional.conv2d.

    Weight and bias start uniform in +-1/sqrt(fan_in), PyTorch's default
    (kaiming_uniform_ with a = sqrt(5)).

    Args:
        in_channels: C.
        out_channels: K.
        kernel_size: R = S, or (R, S).
        stride, padding, dilation, groups: as in functional.conv2d.
        bias: learn a bias.

    Shapes: (N, C, H, W) -> (N, K, OH, OW).

    >>> minidl.nn.Conv2d(3, 8, kernel_size=3, padding=1)(minidl.ones(1, 3, 5, 5)).shape
    (1, 8, 5, 5)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: Padding = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        R, S = pair("Conv2d", "kernel_size", kernel_size, minimum=1)
        check_channels("Conv2d", in_channels, out_channels, groups)
        check_flags("Conv2d", bias=bias)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = (R, S), stride, padding
        self.dilation, self.groups = dilation, groups
        memory = new_weight("Conv2d", R, S, in_channels // groups, out_channels)
        self.weight = Parameter(memory.transpose(3, 2, 0, 1))
        self.bias = Parameter(new_weight("Conv2d", out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias afresh."""
        reset_convolution(self.weight, self.bias)

    def forward(self, x: Tensor, negative_slope: float | None = None) -> Tensor:
        """Convolve x.

        Args:
            x: (N, C, H, W).
            negative_slope: of a leaky ReLU behind the convolution, 0 for a plain one, which then
                takes no pass over memory of its own (functional.conv2d_relu); None for none.
        """
        geometry = self.stride, self.padding, self.dilation, self.groups
        if negative_slope is not None:
            return conv2d_relu(x, self.weight, self.bias, *geometry, negative_slope=negative_slope)
        return conv2d(x, self.weight, self.bias, *geometry)

    def extra_repr(self) -> str:
        return describe_convolution(self)


class ConvTranspose2d(Module):
    """Transposed convolution, learned; see minidl.nn.functional.conv_transpose2d.

    Weight and bias start uniform in +-1/sqrt(out_channels / groups * R * S), PyTorch's default.

    Args:
        in_channels: C.
        out_channels: K.
        kernel_size: R = S, or (R, S).
        stride, padding, output_padding, groups, dilation: as in functional.conv_transpose2d.
        bias: learn a bias.

    Shapes: (N, C, H, W) -> (N, K, OH, OW).

    >>> minidl.nn.ConvTranspose2d(8, 3, kernel_size=4, stride=2, padding=1).weight.shape
    (8, 3, 4, 4)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
    ):
        super().__init__()
        R, S = pair("ConvTranspose2d", "kernel_size", kernel_size, minimum=1)
        check_channels("ConvTranspose2d", in_channels, out_channels, groups)
        check_flags("ConvTranspose2d", bias=bias)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = (R, S), stride, padding
        self.output_padding, self.groups, self.dilation = output_padding, groups, dilation
        memory = new_weight("ConvTranspose2d", R, S, out_channels // groups, in_channels)
        self.weight = Parameter(memory.transpose(3, 2, 0, 1))
        self.bias = Parameter(new_weight("ConvTranspose2d", out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias afresh."""
        reset_convolution(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding,
            self.groups, self.dilation,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return describe_convolution(self)


def reset_convolution(weight: Parameter, bias: Parameter | None) -> None:
    """PyTorch's default: both uniform in +-1/sqrt(fan_in)."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        bound = 1 / math.sqrt(init.fans(weight)[0])
        init.uniform_(bias, -bound, bound)


def describe_convolution(layer: Module) -> str:
    """Channels and kernel, and what differs from its default."""
    text = f"{layer.in_channels}, {layer.out_channels}, kernel_size={layer.kernel_size}"
    defaults = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
    for name, default in defaults.items():
        if (value := vars(layer).get(name, default)) != default:
            text += f", {name}={value}"
    return text if layer.bias is not None else text + ", bias=False"


def check_channels(op: str, in_channels: int, out_channels: int, groups: int) -> None:
    """Channels are positive and groups divides both."""
    ints = all(is_int(n) for n in (in_channels, out_channels, groups))
    if not ints or min(in_channels, out_channels, groups) < 1:
        raise ArgumentError(
            op,
            "in_channels, out_channels and groups are ints >= 1",
            {"in_channels": in_channels, "out_channels": out_channels, "groups": groups},
        )
    if in_channels % groups or out_channels % groups:
        raise ArgumentError(
            op,
            "groups divides in_channels and out_channels",
            {"in_channels": in_channels, "out_channels": out_channels, "groups": groups},
        )
