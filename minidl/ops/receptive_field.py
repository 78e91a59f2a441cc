"""What a pixel of an operation's output depends on: each Function states it as `receptive_field`.

    Window       the input pixels under a window that moves by a stride from pixel to pixel
    SAME_PIXEL   the input pixel at the same place: a window of 1x1
    WHOLE        all of the picture
    UNKNOWN      the output is no picture (a loss, a matrix) or its pixels have moved (a reshape, a
                 flip): the field is not followed through such an operation

Where the answer depends on the operation's parameters, it is a property. What a pixel of a whole
network depends on follows from these: minidl/debug/receptive_field.py.
"""

from __future__ import annotations

from typing import NamedTuple


class Window(NamedTuple):
    """A window, in pixels of the input: (height, width) each.

    Attributes:
        size: how many pixels (taps) an output pixel sees.
        stride: the distance between the windows of two neighbours; below 1 where the output is
            larger than the input.
        dilation: the distance between two taps.
    """

    size: tuple[int, int] = (1, 1)
    stride: tuple[float, float] = (1, 1)
    dilation: tuple[int, int] = (1, 1)


SAME_PIXEL = Window()
WHOLE = "all"
UNKNOWN = "-"


def along(*axes: int, keepdim: bool = True) -> Window | str:
    """The statement of an operation that combines the elements along some axes of (N, C, H, W)."""
    if {2, 3} <= {*axes}:
        return WHOLE
    return SAME_PIXEL if axes == (1,) and keepdim else UNKNOWN
