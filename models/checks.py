"""Checks and small numbers that the networks share."""

from __future__ import annotations

import math
from typing import Any

from minidl.checks import check_tensor
from minidl.errors import ArgumentError, Hint, ShapeError, nearest
from minidl.nn.checks import check_sizes
from minidl.tensor import Tensor


def check_pictures(
    op: str,
    x: Tensor,
    in_channels: int,
    smallest: int = 1,
    largest: int | None = None,
    hint: str = "",
) -> None:
    """x is a batch of pictures that a network can take, or the error says which it could.

    Args:
        op: name of the network.
        x: what it was called with.
        in_channels: colours it was made for.
        smallest, largest: height and width in pixels, the ends included; largest None for no end.
        hint: what to do about pictures of another size.

    Raises:
        DtypeError: x is not a Tensor.
        ShapeError: not (N, in_channels, H, W), or H or W is out of range.
    """
    check_tensor(op, input=x)
    fits = x.ndim == 4 and x.shape[1] == in_channels and min(x.shape[2:]) >= smallest
    if fits and (largest is None or max(x.shape[2:]) <= largest):
        return
    if x.ndim == 3:
        hint = "a single picture is a batch of one: x.reshape(1, *x.shape)"
    elif x.ndim != 4:
        hint = "four dimensions: pictures, colours, rows, columns"
    elif x.shape[1] != in_channels and x.shape[3] == in_channels:
        hint = "the colours come before rows and columns: x.permute(0, 3, 1, 2)"
    elif x.shape[1] != in_channels:
        hint = Hint("did you mean {in_channels=}?", in_channels=x.shape[1])
    elif not hint:
        side = smallest if min(x.shape[2:]) < smallest else largest
        hint = Hint("resize the pictures{in_preprocessing}: {size=}",
                    in_preprocessing=" in preprocessing", size=side)  # fmt: skip
    if smallest == largest:
        expected = f"(N, {in_channels}, {smallest}, {smallest})"
    else:
        sides = f"at least {smallest}" if largest is None else f"from {smallest} to {largest}"
        expected = f"(N, {in_channels}, H, W) with H and W {sides}"
    raise ShapeError(op, f"expects pictures as {expected}", {"x": x}, hint)


def choose(op: str, name: str, value: Any, choices: Any) -> Any:
    """What an option names in a dict, or the option itself of other choices.

    Raises:
        ArgumentError: it is none of the choices; the hint names the nearest.
    """
    known = isinstance(value, str | int | None) and not isinstance(value, bool)
    if not known or value not in choices:
        raise ArgumentError(op, f"no such {name}", {name: value}, nearest(value, choices))
    return choices[value] if isinstance(choices, dict) else value


def scaled(op: str, width: float, *channels: int) -> list[int]:
    """Numbers of channels, or of units, times a factor: a narrower net of the same form.

    Raises:
        ArgumentError: the factor is not a number above 0.
    """
    is_number = isinstance(width, int | float) and not isinstance(width, bool)
    if not is_number or not 0 < width < math.inf:
        raise ArgumentError(op, "width is a number above 0", {"width": width}, "1 is the paper's")
    return [max(1, round(n * width)) for n in channels]


def check_size(op: str, size: Any, smallest: int) -> None:
    """The picture size that a classifier is made for leaves it something to look at.

    Raises:
        ArgumentError
    """
    check_sizes(op, size=size)
    if size < smallest:
        hint = Hint("{size=}", size=smallest)
        raise ArgumentError(op, f"size is at least {smallest} pixels", {"size": size}, hint)
