"""Sheets: the planes on which a chunk of flowers is painted, from back to front."""

from __future__ import annotations

from typing import Any

import numpy as np


class Sheet:
    """The planes of B flowers, of side x side pixels each.

    A plane says how much of one color each pixel has. Each paint has two planes: for its color in
    the light, and in the shade.

    Args:
        middle_x, middle_y: middle of each flower in pixels of the plane, float32 (B,).
        radius: of each flower in these pixels, float32 (B,).
        side: pixels.

    Attributes:
        x, y: float32 (B, 1, side) and (B, side, 1), distances from the middle in radii, x to the
            right and y down.
        r: float32 (B, side, side), distance from the middle in radii.
        pixel: float32 (B, 1, 1), one pixel in radii.
        planes: name of a paint -> float32 (B, side, side).
    """

    def __init__(self, middle_x: Any, middle_y: Any, radius: Any, side: int):
        self.pixel = (1 / radius)[:, None, None]
        places = np.arange(side, dtype=np.float32) + 0.5
        self.x = (places[None, None, :] - middle_x[:, None, None]) * self.pixel
        self.y = (places[None, :, None] - middle_y[:, None, None]) * self.pixel
        self.r = np.sqrt(self.x * self.x + self.y * self.y)
        self.planes: dict[str, Any] = {"background": np.ones_like(self.r)}

    def cover(self, depth: Any) -> Any:
        """How much of each pixel a form covers, from how deep inside it the pixel's middle lies."""
        part = depth / self.pixel
        part += 0.5
        return np.clip(part, 0, 1, out=part)

    def paint(self, name: str, part: Any, light: Any) -> None:
        """Lay paint over what is there.

        Args:
            name: of the paint.
            part: float32 (B, side, side), how much of each pixel it covers.
            light: float32 of that shape or a number, from 0 (shade) to 1 (light).
        """
        left = 1 - part
        for plane in self.planes.values():
            plane *= left
        lit = part * light
        for plane_name, amount in ((name, lit), (name + " shade", part - lit)):
            if plane_name in self.planes:
                self.planes[plane_name] += amount
            else:
                self.planes[plane_name] = amount


def shrink(plane: Any, factor: int) -> Any:
    """The means of factor x factor pixels, float32 (B, side / factor, side / factor)."""
    total = None
    for row in range(factor):
        for column in range(factor):
            part = plane[:, row::factor, column::factor]
            total = part.copy() if total is None else np.add(total, part, out=total)
    return total / factor**2
