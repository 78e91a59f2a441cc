"""Checks that layers share."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.errors import ArgumentError
from minidl.shapes import check_flag, check_size


def check_sizes(op: str, **sizes: Any) -> None:
    """Each is an int >= 1 (True, which Python takes for 1, is none).

    Raises:
        ArgumentError
    """
    for n in sizes.values():
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            are = "is an int" if len(sizes) == 1 else "are ints"
            raise ArgumentError(op, f"{' and '.join(sizes)} {are} >= 1", sizes)


def check_flags(op: str, **flags: Any) -> None:
    """Each is a bool: the text "False" would count as true, a number is a slip of position.

    Raises:
        ArgumentError
    """
    for name, value in flags.items():
        check_flag(op, name, value)


def new_weight(op: str, *shape: int) -> np.ndarray:
    """Memory for a float32 parameter or buffer, whose values are still to be drawn.

    Raises:
        ShapeError: it would not fit into this machine.
    """
    check_size(op, shape, np.float32, {})
    return np.empty(shape, np.float32)
