"""Receptive field: how many input pixels one output pixel can depend on.

Followed from operation to operation (Araujo, Norris and Sim 2019, "Computing receptive fields of
convolutional neural networks"). A window of k taps, dilation d and stride s turns (size, jump) into

    size' = size + (k - 1) d jump        jump' = jump s

where jump is the distance, in input pixels, between the fields of two neighbours. Where branches
meet, the largest counts. Borders are ignored: a field may be larger than the picture. Each
operation states what it does to a field: see minidl/ops/receptive_field.py.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from minidl.function import Function
from minidl.ops.receptive_field import UNKNOWN, WHOLE


class Field(NamedTuple):
    """A receptive field: pairs (height, width), in pixels of the network's input."""

    size: tuple[float, float] = (1, 1)
    jump: tuple[float, float] = (1, 1)

    def __str__(self) -> str:
        height, width = (math.ceil(size) for size in self.size)
        return str(height) if height == width else f"{height}x{width}"


def field_of(function: Function, fields: list) -> Any:
    """The field of a function's output, from those of its inputs.

    Args:
        function: one that was applied.
        fields: for each input a Field, WHOLE, UNKNOWN, or None where it does not depend on a
            picture (weights, words).

    Returns:
        Likewise one of the four.
    """
    fields = [field for field in fields if field is not None]
    if not fields:
        return None
    window = function.receptive_field
    for word in (WHOLE, UNKNOWN):
        if word == window or (word in fields and window != WHOLE):
            return word
    size = [max(field.size[i] for field in fields) for i in (0, 1)]
    jump = [max(field.jump[i] for field in fields) for i in (0, 1)]
    return Field(
        tuple(size[i] + (window.size[i] - 1) * window.dilation[i] * jump[i] for i in (0, 1)),
        tuple(jump[i] * window.stride[i] for i in (0, 1)),
    )
