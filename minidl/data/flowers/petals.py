"""The parts of a flower, painted onto a sheet: a crown of petals, and the center."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.data.flowers.outline import POINTED, ROUND, depth_inside
from minidl.data.flowers.sheet import Sheet

CENTER_RADIUS = 0.25  # of the flower's
ZONES = (0.0, 0.43, 0.67)  # where the colors of a petal begin, from the inside out


def directions(tilts: Any, count: int, turn: float = 0.0, spread: Any = None) -> Any:
    """Cosine and sine of the petals' axes, the first upwards.

    Args:
        tilts: degrees by which each flower is turned, (B,).
        count: of petals.
        turn: of all, in parts of the angle between two petals.
        spread: degrees by which each petal is out of line, (B, count), or None.

    Returns:
        float32 (B, count, 2).
    """
    axes = np.empty((len(tilts), count, 2), np.float32)
    for flower, tilt in enumerate(tilts):
        for petal in range(count):
            degrees = float(tilt) + (petal + turn) * 360 / count - 90
            if spread is not None:
                degrees += float(spread[flower, petal])
            # math's functions are not vectorised, and so the same on processors of one kind.
            axes[flower, petal] = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return axes


def nearest_axis(sheet: Sheet, axes: Any) -> tuple[Any, Any]:
    """Coordinates of each pixel along and across the axis that it is nearest to, in radii."""
    cos, sin = axes[:, :, 0, None, None], axes[:, :, 1, None, None]
    along = sheet.x * cos[:, 0] + sheet.y * sin[:, 0]
    across = sheet.y * cos[:, 0] - sheet.x * sin[:, 0]
    for petal in range(1, axes.shape[1]):
        other = sheet.x * cos[:, petal] + sheet.y * sin[:, petal]
        nearer = other > along
        np.copyto(along, other, where=nearer)
        np.subtract(sheet.y * cos[:, petal], sheet.x * sin[:, petal], out=other)
        np.copyto(across, other, where=nearer)
    return along, across


def folds(x: Any) -> Any:
    """A row of arches of period 1: 0 at whole numbers, 1 halfway between them, of parabolas."""
    off = 2 * (x - np.floor(x + 0.5))
    return off * off


def draw_crown(
    sheet: Sheet, axes: Any, shape: str, ruffled: bool = False,
    zones: tuple[str, ...] = ("petals",),
) -> tuple[Any, Any]:  # fmt: skip
    """Paint a crown of petals.

    Args:
        sheet: to paint on.
        axes: from `directions`.
        shape: "round" or "pointed".
        ruffled: with wavy edges.
        zones: paints from the inside out.

    Returns:
        coordinates of each pixel along and across its petal, in radii.
    """
    count = axes.shape[1]
    along, across = nearest_axis(sheet, axes)
    side = np.abs(across)
    width = petal_width(shape, count)
    edge = along
    if ruffled:
        width *= 1.25
        fold = folds(across * (1.5 / width))
        edge = along * (1 + 0.11 * fold)
        side = side * (1 + 0.10 * folds(along * 3.2))
    depth = depth_inside(shape, width, edge, side)
    seam = along * math.sin(math.pi / count) - side * math.cos(math.pi / count)
    np.minimum(depth, seam, out=seam)  # distance from the nearest edge, its own or its neighbour's

    light = np.clip(10 * seam, 0, 1)  # edges are in the shade,
    if len(zones) == 1:
        light *= np.clip(0.25 + 1.25 * along, 0, 1)  # and so is the inside,
        light *= 1 - 0.3 * np.clip(1 - side * 22, 0, 1) * np.clip(2 - 2.4 * along, 0, 1)  # a vein,
    light *= 0.9 - 0.14 * np.clip(across / width, -1, 1)  # and one side
    if ruffled:
        light *= 1 - 0.42 * fold * np.clip(2 * along - 0.6, 0, 1)
    part = sheet.cover(depth)
    for zone, start in zip(zones, ZONES):
        beyond = np.clip((along - start) * 12 + 0.5, 0, 1) if start else 1.0
        sheet.paint(zone, part * beyond, light)
    return along, across


def petal_width(shape: str, count: int) -> float:
    """The half-width W of one of `count` petals; see outline.py."""
    table = POINTED if shape == "pointed" else ROUND
    return table.get(count, 2.0 / count)


def draw_center(sheet: Sheet, name: str = "center", radius: float = CENTER_RADIUS) -> None:
    """Paint the round center, lit from the upper left."""
    depth = radius - sheet.r
    light = np.clip(depth / (0.35 * radius), 0, 1)
    light *= np.clip(0.86 - (sheet.x + sheet.y) * (0.34 / radius), 0, 1)
    sheet.paint(name, sheet.cover(depth), light)
