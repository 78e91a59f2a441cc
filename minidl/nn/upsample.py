"""Layers that resample pictures: Upsample, and Unfold into windows."""

from __future__ import annotations

from minidl.nn.module import Module
from minidl.ops.interpolate import interpolate
from minidl.ops.unfold import unfold
from minidl.tensor import Tensor


class Upsample(Module):
    """Pictures in another size; see minidl.nn.functional.interpolate.

    Args:
        size: of the output, in pixels: OH = OW, or (OH, OW). Give this or scale_factor.
        scale_factor: of the output over the input, > 0; one number or (height, width).
        mode: "nearest" or "bilinear".
        align_corners: as in functional.interpolate; for "bilinear" only.

    Shapes: (N, C, H, W) -> (N, C, OH, OW).

    >>> minidl.nn.Upsample(scale_factor=2)(minidl.ones(1, 3, 4, 5)).shape
    (1, 3, 8, 10)
    """

    def __init__(
        self,
        size: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ):
        super().__init__()
        self.size, self.scale_factor = size, scale_factor
        self.mode, self.align_corners = mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        return interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        given = "size" if self.size is not None else "scale_factor"
        return f"{given}={getattr(self, given)}, mode={self.mode!r}"


class Unfold(Module):
    """Every window of the picture as a column; see minidl.nn.functional.unfold.

    Args:
        kernel_size: height R and width S of the window; an int or (height, width).
        dilation, padding, stride: as in functional.unfold.

    Shapes: (N, C, H, W) -> (N, C R S, OH OW).

    >>> minidl.nn.Unfold(3, padding=1)(minidl.ones(1, 4, 5, 5)).shape
    (1, 36, 25)
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        dilation: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        stride: int | tuple[int, int] = 1,
    ):
        super().__init__()
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, x: Tensor) -> Tensor:
        return unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
