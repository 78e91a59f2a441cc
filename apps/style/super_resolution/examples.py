"""The examples: which pictures they come from, and which of their patches are kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from apps.shared.options import OptionError
from apps.shared.photo import Photo, size_text
from apps.style.colors import LUMA
from apps.style.super_resolution.patches import (
    FACTOR,
    MIDDLE,
    Examples,
    count_examples,
    examples_of,
    resized,
)
from apps.style.super_resolution.settings import Settings

SMALLEST = 2 * MIDDLE  # pixels of the sides of an example

# Light and two differences of colour (ITU-R BT.601), as rows.
LIGHT = np.array([LUMA, [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def examples_for(picture: np.ndarray, settings: Settings) -> Examples:
    """The pairs of patches that a picture is enlarged by.

    Raises:
        OptionError: there is no example.
        DataError: one cannot be read.
    """
    pictures = example_pictures(settings.examples, light_of(picture))
    return gather(pictures, settings.most_examples, np.random.default_rng(settings.seed))


def light_of(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W): its light."""
    return picture @ LIGHT[0].astype(np.float32)


def example_pictures(files: Sequence[str], light: np.ndarray) -> list[np.ndarray]:
    """The light of the examples; without any, the picture's own and those of half its size."""
    if files:
        lights = [light_of(Photo.read(file).pixels) for file in files]
    else:
        lights = [light]
        while min(lights[-1].shape) >= 2 * SMALLEST:
            H, W = lights[-1].shape
            lights.append(resized(lights[-1], (H // FACTOR, W // FACTOR)))
    large = [one for one in lights if min(one.shape) >= SMALLEST]
    if not large:
        raise OptionError(
            f"an example has at least {SMALLEST} pixels on each side",
            {"sizes": [size_text(one.shape) for one in lights]},
            "larger pictures with --examples",
        )
    return large


def gather(pictures: Sequence[np.ndarray], most: int, random: np.random.Generator) -> Examples:
    """Pairs of patches of some pictures, (H, W) in 0..1: at most `most`, drawn from all.

    Where they lie is drawn first, and nothing but these is cut out.
    """
    counts = [count_examples(picture.shape) for picture in pictures]
    ends = np.cumsum(counts)
    chosen = np.arange(ends[-1])
    if ends[-1] > most:
        chosen = np.sort(random.choice(ends[-1], most, replace=False))
    parts = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    found = [
        examples_of(picture, part - (end - count))
        for picture, part, end, count in zip(pictures, parts, ends, counts)
        if len(part)
    ]
    return Examples(
        np.concatenate([one.middle for one in found]), np.concatenate([one.high for one in found])
    )
