"""Pooling layers: nothing to learn, only the parameters of the functions kept together."""

from __future__ import annotations

from typing import Any

from minidl.nn.module import Module
from minidl.ops.adaptive_avg_pool2d import adaptive_avg_pool2d
from minidl.ops.avg_pool2d import avg_pool2d
from minidl.ops.max_pool2d import max_pool2d
from minidl.tensor import Tensor


class MaxPool2d(Module):
    """The largest value of each window; see minidl.nn.functional.max_pool2d.

    Args:
        kernel_size: height and width of the window; an int or (height, width).
        stride: pixels from one window to the next; None for the kernel size.
        padding, dilation: as in functional.max_pool2d.
        return_indices: return a pair: the maxima, and where they were found.
        ceil_mode: round the output size up.

    Shapes: (N, C, H, W) -> (N, C, OH, OW).

    >>> minidl.nn.MaxPool2d(3, stride=2)(minidl.ones(1, 6, 13, 13)).shape
    (1, 6, 6, 6)
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, x: Tensor) -> Any:
        return max_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The average of each window; see minidl.nn.functional.avg_pool2d.

    Args:
        kernel_size: height and width of the window; an int or (height, width).
        stride: pixels from one window to the next; None for the kernel size.
        padding, ceil_mode, count_include_pad, divisor_override: as in functional.avg_pool2d.

    Shapes: (N, C, H, W) -> (N, C, OH, OW).

    >>> minidl.nn.AvgPool2d(2)(minidl.ones(1, 6, 28, 28)).shape
    (1, 6, 14, 14)
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, x: Tensor) -> Tensor:
        return avg_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """Average to a given size; see minidl.nn.functional.adaptive_avg_pool2d.

    Args:
        output_size: OH = OW, or (OH, OW); None keeps that size of the input.

    Shapes: (N, C, H, W) -> (N, C, OH, OW).

    >>> minidl.nn.AdaptiveAvgPool2d(1)(minidl.ones(1, 512, 7, 9)).shape
    (1, 512, 1, 1)
    """

    def __init__(self, output_size: int | tuple[int | None, int | None]):
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        return adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
