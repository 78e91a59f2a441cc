"""Patches of pictures in pairs: what a small picture shows of them, and what it has lost.

A picture is shrunk to half its size and enlarged again: by cubic interpolation, and so that it
becomes the small one when it is shrunk (back-projection). The high-pass part of the enlarged one is
the *middle* band, and what it lacks the *high* band. How the two go together
depends neither on the lowest frequencies nor much on contrast, so both are divided by the contrast
of the middle band (Freeman, Jones and Pasztor 2002, "Example-based super-resolution", figure 2).

A middle patch is 7 x 7 pixels; the high patch in its centre 5 x 5, which overlaps its neighbours by
one pixel (Freeman, Pasztor and Carmichael 2000, "Learning low-level vision", section 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FACTOR = 2  # of the sides, from a picture to the next larger one
MIDDLE, HIGH = 7, 5
STEP = HIGH - 1
BORDER = (MIDDLE - HIGH) // 2
BACK_PROJECTIONS = 4
BLUR = 2.0  # pixels, sigma: what is coarser is no part of the middle band
LEAST_CONTRAST = 0.01  # of pixels in 0..1: what is flatter is noise


@dataclass
class Examples:
    """Pairs of patches, divided by their contrast.

    Attributes:
        middle: (N, MIDDLE^2), float32.
        high: (N, HIGH^2), float32.
    """

    middle: np.ndarray
    high: np.ndarray


# --- pictures -----------------------------------------------------------------------------------


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) in 0..1 at another size (height, width), by cubic interpolation.

    A smaller one is smoothed first by as much as it shrinks, as Pillow does.
    """
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture, np.float32))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BICUBIC))


def back_projected(large: np.ndarray, small: np.ndarray, times: int) -> np.ndarray:
    """The large picture, changed so that it becomes the small one when it is shrunk.

    What is missing then is enlarged and added (Irani and Peleg 1991, "Improving resolution by image
    registration").
    """
    for _ in range(times):
        large = large + resized(small - resized(large, small.shape), large.shape)
    return large


def interpolated(small: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A small picture enlarged, without any detail that it does not have."""
    return back_projected(resized(small, size), small, BACK_PROJECTIONS)


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """(H, W) through a Gaussian, as if the picture went on in a mirror at its border."""
    reach = round(3 * sigma)
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (0, 1):
        around = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(picture, around, mode="symmetric")
        picture = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis) @ weights
    return picture


def middle_band(enlarged: np.ndarray) -> np.ndarray:
    """What an enlarged picture has above its coarsest frequencies."""
    return enlarged - blurred(enlarged, BLUR)


# --- patches ------------------------------------------------------------------------------------


def windows(band: np.ndarray, side: int, step: int) -> np.ndarray:
    """(rows, columns, side^2): the windows of a band, `step` pixels apart."""
    found = np.lib.stride_tricks.sliding_window_view(band, (side, side))[::step, ::step]
    return found.reshape(*found.shape[:2], side * side)


def contrast_of(middle: np.ndarray) -> np.ndarray:
    """(..., MIDDLE^2) -> (..., 1): the root mean square of middle patches, and a little more."""
    return np.sqrt((middle**2).mean(axis=-1, keepdims=True)) + np.float32(LEAST_CONTRAST)


def middle_patches(middle: np.ndarray) -> np.ndarray:
    """(rows, columns, MIDDLE^2): the patches of a picture to be computed, STEP pixels apart.

    The high patches in their centres cover the whole picture: it goes on in a mirror.
    """
    H, W = middle.shape
    beyond = [BORDER + max(HIGH - length, (HIGH - length) % STEP) for length in (H, W)]
    padded = np.pad(middle, [(BORDER, beyond[0]), (BORDER, beyond[1])], mode="symmetric")
    return windows(padded, MIDDLE, STEP)


def count_examples(size: tuple[int, ...]) -> int:
    """How many pairs of patches a picture of this size, (H, W), has."""
    H, W = (length // FACTOR * FACTOR - HIGH + 1 for length in size)
    return H * W


def examples_of(picture: np.ndarray, chosen: np.ndarray | None = None) -> Examples:
    """The pairs of patches of a picture.

    Args:
        picture: (H, W) in 0..1, both sides at least 2 * MIDDLE.
        chosen: which of them, row by row; None for all.
    """
    H, W = (length // FACTOR * FACTOR for length in picture.shape)
    picture = picture[:H, :W]
    enlarged = interpolated(resized(picture, (H // FACTOR, W // FACTOR)), (H, W))
    padded = np.pad(middle_band(enlarged), BORDER, mode="symmetric")
    if chosen is None:
        chosen = np.arange(count_examples(picture.shape))
    middle = windows_at(padded, MIDDLE, chosen)
    high = windows_at(picture - enlarged, HIGH, chosen)
    contrast = contrast_of(middle)
    return Examples(middle / contrast, high / contrast)


def windows_at(band: np.ndarray, side: int, chosen: np.ndarray) -> np.ndarray:
    """(N, side^2): some of the windows of a band, which are counted row by row."""
    found = np.lib.stride_tricks.sliding_window_view(band, (side, side))
    return found[np.divmod(chosen, found.shape[1])].reshape(len(chosen), side * side)
