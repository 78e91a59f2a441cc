"""The picture that grows: its pixels, which of them are there, and where each was copied from.

Around the picture lies a margin, so that a window about a pixel at the border reads inside the
array. In a picture that can be laid as tiles the margin shows the opposite side; else it is
unknown.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from apps.style.texture.material import Material


class Canvas:
    """A picture of a given size that is made of pixels of the material.

    Args:
        material: what is copied.
        size: (H, W).
        margin: pixels around it.
        tileable: whether the left side goes on at the right one, and the top at the bottom.
        guide: (H, W, G) in 0..1, which is known everywhere from the start.

    Attributes:
        picture: (P, H + 2 margin, W + 2 margin), float32: colours, then the guide.
        known: of the same shape, bool: what new pixels are compared with. Pixels of the material
            that are not known, those that are transparent beside a hole, stay so in the picture.
        source: (H, W): number of the pixel in the material that was copied; -1: none yet.
    """

    def __init__(
        self,
        material: Material,
        size: tuple[int, int],
        margin: int,
        tileable: bool = False,
        guide: np.ndarray | None = None,
    ):
        H, W = size
        self.material, self.size, self.margin = material, size, margin
        self.flat = material.planes.reshape(len(material.planes), -1)
        self.picture = np.zeros((len(self.flat), H + 2 * margin, W + 2 * margin), np.float32)
        self.known = np.zeros(self.picture.shape, bool)
        self.source = np.full(size, -1, np.int64)
        self.tileable = tileable
        self.rows = shown_at(H, margin, tileable)
        self.columns = shown_at(W, margin, tileable)
        if guide is not None:
            self.put_guide(guide)

    @property
    def filled(self) -> np.ndarray:
        """(H, W), bool: the pixels that are there."""
        return self.source >= 0

    @property
    def image(self) -> np.ndarray:
        """(H, W, C): the colours; black where there is no pixel yet."""
        return self.inside(self.picture).transpose(1, 2, 0)

    def put(self, y: int, x: int, source: int) -> None:
        """Copy a pixel of the material to y, x."""
        colours = self.material.colours
        values = self.flat[:colours, source]
        for row in self.rows[y]:
            for column in self.columns[x]:
                self.picture[:colours, row, column] = values
                self.known[:colours, row, column] = True
        self.source[y, x] = source

    def put_patch(self, y: int, x: int, sources: np.ndarray) -> None:
        """Copy pixels to a patch that begins at y, x; those whose source is -1 stay as they are.

        What reaches over the border goes to the opposite side of a tile, and is lost elsewhere.
        """
        (H, W), colours = self.size, self.material.colours
        down = [i for i in range(len(sources)) if self.tileable or y + i < H]
        right = [j for j in range(sources.shape[1]) if self.tileable or x + j < W]
        rows = [(i, row) for i in down for row in self.rows[(y + i) % H]]
        columns = [(j, column) for j in right for column in self.columns[(x + j) % W]]
        (i, to_row), (j, to_column) = zip(*rows), zip(*columns)
        copied = sources[np.ix_(i, j)]
        new, place = copied >= 0, np.ix_(to_row, to_column)
        for plane in range(colours):
            pixels = self.picture[plane]
            pixels[place] = np.where(new, self.flat[plane, copied], pixels[place])
            self.known[plane][place] |= new
        place = np.ix_([(y + i) % H for i in down], [(x + j) % W for j in right])
        copied = sources[np.ix_(down, right)]
        self.source[place] = np.where(copied >= 0, copied, self.source[place])

    def put_all(self, source: np.ndarray) -> None:
        """Copy every pixel that has a source: (H, W), -1 where it has none."""
        there = source >= 0
        self.source[there] = source[there]
        self.inside(self.picture)[:, there] = self.flat[: self.material.colours, source[there]]
        self.inside(self.known)[:, there] = self.material.known.flat[source[there]]
        if self.tileable:
            m, colours = self.margin, self.material.colours
            around = [(0, 0), (m, m), (m, m)]
            for array in (self.picture, self.known):
                array[:colours] = np.pad(self.inside(array), around, mode="wrap")

    def inside(self, array: np.ndarray) -> np.ndarray:
        """The colours of picture or known, without the margin: a view."""
        m, (H, W) = self.margin, self.size
        return array[: self.material.colours, m : m + H, m : m + W]

    def put_guide(self, guide: np.ndarray) -> None:
        """The guide's planes, in the margin of a tile as well."""
        m, colours = self.margin, self.material.colours
        how: Literal["wrap", "constant"] = "wrap" if self.tileable else "constant"
        for plane, values in enumerate(guide.transpose(2, 0, 1), start=colours):
            self.picture[plane] = np.pad(values, m, mode=how)
            self.known[plane] = np.pad(np.ones(self.size, bool), m, mode=how)


def shown_at(length: int, margin: int, tileable: bool) -> list[list[int]]:
    """For each row of a picture the rows of the array with the margin that show it."""
    if not tileable:
        return [[margin + y] for y in range(length)]
    places: list[list[int]] = [[] for _ in range(length)]
    for row in range(length + 2 * margin):
        places[(row - margin) % length].append(row)
    return places
