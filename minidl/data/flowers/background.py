"""What is behind a flower: leaves, sky or a gray wall, all of them out of focus."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.data.flowers.palette import BACKGROUNDS

F = np.float32
CELLS = 4  # of the texture, each way
TEXTURE_NUMBERS = (CELLS + 1) ** 2
# For each background, what is added to its color: where the texture is high, and from top to
# bottom.
TEXTURES = {
    "dark green": ((9, 18, 8), (-5, -10, -5)),
    "sky blue": ((18, 11, 4), (11, 8, 3)),
    "gray": ((10, 10, 10), (-9, -9, -9)),
}


def paint_background(kinds: Any, numbers: Any, size: int) -> Any:
    """Backgrounds with a soft texture.

    Args:
        kinds: numbers of BACKGROUNDS, (B,).
        numbers: uniform in [0, 1), float32 (B, TEXTURE_NUMBERS).
        size: pixels of a side.

    Returns:
        float32 (3, B, size, size).
    """
    grid = numbers.reshape(-1, CELLS + 1, CELLS + 1) * 2 - 1
    cell, within = np.divmod((np.arange(size, dtype=np.float64) + 0.5) * (CELLS / size), 1)
    cell = cell.astype(np.int64)
    smooth = (within * within * (3 - 2 * within)).astype(F)
    rows = grid[:, cell] * (1 - smooth)[:, None] + grid[:, cell + 1] * smooth[:, None]
    texture = rows[:, :, cell] * (1 - smooth) + rows[:, :, cell + 1] * smooth
    slope = np.linspace(-1, 1, size).astype(F)[:, None]
    names = list(BACKGROUNDS)
    result = np.empty((3, *texture.shape), F)
    for channel in range(3):
        color = np.array([BACKGROUNDS[name][channel] for name in names], F)[kinds]
        strength, lean = (
            np.array([TEXTURES[name][i][channel] for name in names], F)[kinds] for i in (0, 1)
        )
        np.multiply(texture, strength[:, None, None], out=result[channel])
        result[channel] += lean[:, None, None] * slope
        result[channel] += color[:, None, None]
    return result
