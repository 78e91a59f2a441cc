"""The parts of extended flowers: dark lines on petals, stamens, many small petals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl.data.flowers.petals import directions, draw_center, nearest_axis
from minidl.data.flowers.sheet import Sheet

F = np.float32
STAMENS = 7
# The length, number and turn of each crown of many small petals, from the outside in.
CROWNS = ((1.0, 12, 0.0), (0.76, 10, 0.5), (0.52, 7, 0.0), (0.26, 1, 0.0))


def draw_lines(sheet: Sheet, along: Any, across: Any, width: float) -> None:
    """Paint dark lines that run from the middle out into each petal."""
    spread = np.abs(across) / np.maximum(along, F(0.05))
    for direction, end in ((0.0, 0.74), (0.9 * width, 0.60)):
        off = np.abs(spread - F(direction)) * along
        part = sheet.cover(F(0.022) - off)
        part *= np.clip((F(end) - along) * F(10), 0, 1)
        sheet.paint("lines", part * F(0.9), 1.0)


def draw_many(sheet: Sheet, tilts: Any) -> None:
    """Paint crowns of many small round petals, the inner ones over the outer ones.

    Args:
        sheet: to paint on.
        tilts: degrees, (B,).
    """
    for length, count, turn in CROWNS:
        along, across = nearest_axis(sheet, directions(tilts, count, turn))
        sine = math.sin(math.pi / count) if count > 1 else 1.0
        radius = 1.1 * length * sine / (1 + sine) if count > 1 else length
        off = along - F(length - radius)
        depth = F(radius) - np.sqrt(off * off + across * across)
        light = np.clip(depth * F(2.2 / radius), 0, 1)
        light *= F(0.88) - F(0.30 / radius) * (off * F(-0.5) + across * F(0.5))
        np.maximum(depth, F(length - radius) - sheet.r, out=depth)
        sheet.paint("petals", sheet.cover(depth), np.clip(light, 0, 1))


def draw_stamens(sheet: Sheet, axes: Any, pistil: bool = True) -> None:
    """Paint anthers around the middle, on filaments, and the pistil in it."""
    for stamen in range(axes.shape[1]):
        cos, sin = axes[:, stamen, 0, None, None], axes[:, stamen, 1, None, None]
        along = sheet.x * cos + sheet.y * sin
        across = np.abs(sheet.y * cos - sheet.x * sin)
        thread = np.minimum(F(0.025) - across, np.minimum(along, F(0.42) - along))
        sheet.paint("anther", sheet.cover(thread) * F(0.6), 0.6)
        off = (along - F(0.44)) * (along - F(0.44)) + across * across
        depth = F(0.085) - np.sqrt(off)
        sheet.paint("anther", sheet.cover(depth), np.clip(depth * F(20), 0, 1))
    if pistil:
        draw_center(sheet, "pistil", 0.19)
