"""Padding layers. Widths are (left, right, top, bottom), or one int for all four sides."""

from __future__ import annotations

from minidl.errors import ArgumentError
from minidl.nn.module import Module
from minidl.ops.pad import pad
from minidl.tensor import Tensor


class ConstantPad2d(Module):
    """A frame of one value; see minidl.nn.functional.pad.

    Args:
        padding: pixels on each side: an int or (left, right, top, bottom).
        value: of the frame.

    Shapes: (N, C, H, W) -> (N, C, top + H + bottom, left + W + right).

    >>> minidl.nn.ConstantPad2d((2, 0, 1, 1), value=0.5)(minidl.ones(1, 3, 4, 4)).shape
    (1, 3, 6, 6)
    """

    def __init__(self, padding: int | tuple[int, int, int, int], value: float = 0.0):
        super().__init__()
        self.padding = four_sides(type(self).__name__, padding)
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return pad(x, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ZeroPad2d(ConstantPad2d):
    """A frame of zeros; see minidl.nn.functional.pad.

    Args:
        padding: pixels on each side: an int or (left, right, top, bottom).

    Shapes: (N, C, H, W) -> (N, C, top + H + bottom, left + W + right).

    >>> minidl.nn.ZeroPad2d(1)(minidl.ones(1, 3, 4, 4)).shape
    (1, 3, 6, 6)
    """

    def __init__(self, padding: int | tuple[int, int, int, int]):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"padding={self.padding}"


class ReflectionPad2d(Module):
    """The picture mirrored at its outermost pixels; see minidl.nn.functional.pad.

    Args:
        padding: pixels on each side: an int or (left, right, top, bottom), less than the picture's.

    Shapes: (N, C, H, W) -> (N, C, top + H + bottom, left + W + right).

    >>> minidl.nn.ReflectionPad2d(1)(minidl.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))[0, 0, 0]
    tensor([4., 3., 4., 3.])
    """

    mode = "reflect"

    def __init__(self, padding: int | tuple[int, int, int, int]):
        super().__init__()
        self.padding = four_sides(type(self).__name__, padding)

    def forward(self, x: Tensor) -> Tensor:
        return pad(x, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"padding={self.padding}"


class ReplicationPad2d(ReflectionPad2d):
    """The outermost pixels of the picture repeated; see minidl.nn.functional.pad.

    Args:
        padding: pixels on each side: an int or (left, right, top, bottom).

    Shapes: (N, C, H, W) -> (N, C, top + H + bottom, left + W + right).

    >>> minidl.nn.ReplicationPad2d(1)(minidl.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))[0, 0, 0]
    tensor([1., 1., 2., 2.])
    """

    mode = "replicate"


def four_sides(op: str, padding: int | tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) from one int or four."""
    sides = (padding,) * 4 if isinstance(padding, int) else padding
    if not isinstance(sides, list | tuple) or len(sides) != 4:
        raise ArgumentError(
            op, "padding is an int or (left, right, top, bottom)", {"padding": padding}
        )
    return tuple(sides)
