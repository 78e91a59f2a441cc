"""Random changes of pictures before the discriminator sees them: of real and of drawn ones alike.

A discriminator that sees a thousand photographs again and again knows them by heart: it then calls
everything else drawn, and the generator learns no more, or draws the same for any noise. Pictures
that differ each time cannot be learned by heart. If only the real ones were changed, the generator
would learn to draw the changes. So drawn ones are changed in the same way, in both networks' steps,
and the generator's gradient passes back through the change (DiffAugment: Zhao et al. 2020,
"Differentiable augmentation for data-efficient GAN training", section 3.2).

    translation   moved by up to an eighth of the size, each way; what comes in is 0, gray
    cutout        a square of half the size is 0; its middle is anywhere in the picture

The paper's third, of colors, is left out: captions are of colors. A change is drawn with the batch
(batches.py), so a step stays a function of its batch and the weights.
"""

from __future__ import annotations

import numpy as np

from minidl.nn.functional import shift
from minidl.tensor import Tensor

CHANGES = ("none", "translation", "translation-cutout")
ROOM, HOLE = 1 / 8, 1 / 2  # of the size


def some_changes(
    kind: str, which: str, n: int, size: int, random: np.random.Generator
) -> dict[str, Tensor]:
    """Random numbers for n pictures: how far each moves, and what is left beside its hole.

    Args:
        kind: one of CHANGES.
        which: which pictures they are, such as "real": the first word of the names below.
        n: how many pictures.
        size: their height and width.
        random: where the numbers come from.

    Returns:
        With translation, `which`_moves: int64 (n, 2), down and right; with cutout, `which`_kept:
        float32 (n, 1, size, size), 0 in the hole, else 1. Nothing for "none".
    """
    found: dict[str, Tensor] = {}
    if "translation" in kind:
        room = round(size * ROOM)
        found[f"{which}_moves"] = Tensor(random.integers(-room, room + 1, (n, 2)))
    if "cutout" in kind:
        starts = random.integers(0, size, (n, 2)) - round(size * HOLE / 2)
        found[f"{which}_kept"] = Tensor(outside_of_holes(starts, size))
    return found


def outside_of_holes(starts: np.ndarray, size: int) -> np.ndarray:
    """1 but for a square of each picture: float32 (N, 1, size, size).

    Args:
        starts: the square's first row and column, ints (N, 2); parts of it may lie outside.
        size: of the pictures.
    """
    places = np.arange(size) - starts[:, :, None]
    rows, columns = np.moveaxis((places >= 0) & (places < round(size * HOLE)), 1, 0)
    return 1 - (rows[:, :, None] & columns[:, None, :])[:, None].astype(np.float32)


def changed(pictures: Tensor, batch: dict[str, Tensor], which: str) -> Tensor:
    """Pictures as the discriminator sees them.

    Args:
        pictures: (N, C, size, size).
        batch: has what some_changes gave, for as many pictures.
        which: as there.
    """
    moves, kept = batch.get(f"{which}_moves"), batch.get(f"{which}_kept")
    if moves is not None:
        pictures = shift(pictures, moves)
    return pictures if kept is None else pictures * kept
