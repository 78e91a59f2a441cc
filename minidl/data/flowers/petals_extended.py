"""The parts of extended flowers: dark lines on petals, stamens, many small petals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.data.flowers.petals import directions, draw_center, nearest_axis
from minidl.data.flowers.sheet import Sheet

# The length, number and turn of each crown of many small petals, from the outside in.
CROWNS = ((1.0, 12, 0.0), (0.76, 10, 0.5), (0.52, 7, 0.0), (0.26, 1, 0.0))


def draw_lines(sheet: Sheet, along: Any, across: Any, count: int, width: float) -> None:
    """Paint dark lines that run from the middle out into each petal.

    Args:
        sheet: to paint on.
        along, across: coordinates in the petals, from draw_crown.
        count, width: of the petals.
    """
    spread = np.abs(across) / np.maximum(along, 0.05)
    lines = ((0.0, 0.76), (0.95 * width, 0.62)) if count < 8 else ((0.0, 0.70),)
    for direction, end in lines:
        part = sheet.cover(0.02 - np.abs(spread - direction) * along)
        part *= np.clip(10 * (end - along), 0, 1)
        sheet.paint("lines", 0.9 * part, 1.0)


def draw_many(sheet: Sheet, tilts: Any) -> None:
    """Paint crowns of many small round petals, the inner ones over the outer ones.

    Args:
        sheet: to paint on.
        tilts: degrees, (B,).
    """
    for length, count, turn in CROWNS:
        along, across = nearest_axis(sheet, directions(tilts, count, turn))
        # Circles whose neighbours overlap a little; the innermost crown is a single one.
        sine = math.sin(math.pi / count)
        radius = 1.1 * length * sine / (1 + sine) if count > 1 else length
        off = along - (length - radius)
        depth = radius - np.sqrt(off * off + across * across)
        light = np.clip(depth * (2.2 / radius), 0, 1)
        light *= 0.88 + (off - across) * (0.15 / radius)
        np.maximum(depth, (length - radius) - sheet.r, out=depth)
        sheet.paint("petals", sheet.cover(depth), np.clip(light, 0, 1))


def draw_stamens(sheet: Sheet, axes: Any) -> None:
    """Paint the pistil in the middle, and an anther on a filament before each petal.

    Args:
        sheet: to paint on.
        axes: of the petals.
    """
    for stamen in range(axes.shape[1]):
        cos, sin = axes[:, stamen, 0, None, None], axes[:, stamen, 1, None, None]
        along = sheet.x * cos + sheet.y * sin
        across = np.abs(sheet.y * cos - sheet.x * sin)
        filament = np.minimum(0.025 - across, np.minimum(along, 0.4 - along))
        sheet.paint("anther", 0.6 * sheet.cover(filament), 0.6)
        off = (along - 0.43) * (along - 0.43) + across * across
        depth = 0.095 - np.sqrt(off)
        sheet.paint("anther", sheet.cover(depth), np.clip(0.5 + 12 * depth, 0, 1))
    draw_center(sheet, "pistil", 0.19)
