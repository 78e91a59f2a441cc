"""What can go wrong while a picture is optimised, and how that is noticed.

L-BFGS may stop long before its last iteration, without an error (jcjohnson/neural-style, issues 52,
53 and 254), and may leave parts of the picture as grey as they began (issues 179 and 428). Adam
diverges if its rate is too high for a loss. steps.py and loop.py see to the first and the last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK = 16  # pixels of the side of the blocks in which grey spots are looked for
FLAT = 2.0  # deviation in a block, of 255, up to which it is flat
GREY = 24.0  # distance from the middle of 0..255 up to which its colours are grey
SHARE = 0.01  # of the blocks; fewer grey ones are no fault


def grey_spots(picture: np.ndarray, reference: np.ndarray | None = None) -> np.ndarray:
    """Where a picture is flat and grey though the reference is not.

    Args:
        picture: (1, 3, H, W) from 0 to 255.
        reference: the same of the content picture, None where there is none.

    Returns:
        bool (H // 16, W // 16), a value for each block of 16x16 pixels.
    """
    spots = is_flat_grey(picture)
    return spots if reference is None else spots & ~is_flat_grey(reference)


def is_flat_grey(picture: np.ndarray) -> np.ndarray:
    _, C, H, W = picture.shape
    rows, columns = H // BLOCK, W // BLOCK
    whole = picture[0, :, : rows * BLOCK, : columns * BLOCK]
    blocks = whole.reshape(C, rows, BLOCK, columns, BLOCK)
    flat = blocks.std(axis=(2, 4)).max(axis=0) < FLAT
    return flat & (np.abs(blocks.mean(axis=(2, 4)) - 127.5).max(axis=0) < GREY)


def has_grey_spots(spots: np.ndarray) -> bool:
    return spots.size > 0 and spots.mean() > SHARE


def with_noise(picture: Any, spots: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture with noise in its grey spots, from which an optimizer finds its way."""
    filled = np.array(picture)
    mask = np.repeat(np.repeat(spots, BLOCK, axis=0), BLOCK, axis=1)
    H, W = mask.shape
    noise = rng.uniform(0, 255, (1, 3, H, W)).astype(filled.dtype)
    filled[..., :H, :W] = np.where(mask, noise, filled[..., :H, :W])
    return filled
