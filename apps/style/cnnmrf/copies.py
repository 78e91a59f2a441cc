"""Turned and scaled copies of a style, whose patches are candidates, too (Li and Wand 2016,
section 4: a style picture has few patches, and none for a line of another slope or width).

The copies are turned by multiples of pi / 24 and scaled by powers of 1.05, as in the authors' code.
A turned copy is the largest upright rectangle inside of the turned picture: no empty corners.
"""

from __future__ import annotations

import math

import numpy as np

from apps.shared.photo import Photo

TURN = math.pi / 24  # 7.5 degrees
GROWTH = 1.05


def copies_of(style: Photo, rotations: int = 1, scales: int = 1) -> list[Photo]:
    """The style itself, then every other combination of a rotation and a scale.

    Args:
        style: the picture, without transparency.
        rotations: how many, an odd number: half of those above 1 to the left, half to the right.
        scales: how many, an odd number: half of those above 1 smaller, half larger.
    """
    steps = [(turn, growth) for turn in both_sides(rotations) for growth in both_sides(scales)]
    return [scaled(turned(style, turn * TURN), GROWTH**growth) for turn, growth in steps]


def both_sides(count: int) -> list[int]:
    """0, -1, 1, -2, 2 for 5."""
    return sorted(range(-(count // 2), count // 2 + 1), key=abs)


def turned(photo: Photo, angle: float) -> Photo:
    """A picture turned to the left by an angle in radians, without corners."""
    if angle == 0:
        return photo
    from PIL import Image

    height, width = inner_size(*photo.size, angle)
    top, left = (photo.height - height) // 2, (photo.width - width) // 2
    channels = [
        Image.fromarray(np.ascontiguousarray(photo.pixels[..., c], np.float32))
        .rotate(math.degrees(angle), Image.Resampling.BICUBIC)
        .crop((left, top, left + width, top + height))
        for c in range(3)
    ]  # fmt: skip
    pixels = np.stack([np.asarray(channel, np.float32) for channel in channels], axis=2)
    return Photo(np.clip(pixels, 0, 1))


def inner_size(height: int, width: int, angle: float) -> tuple[int, int]:
    """Height and width of the largest upright rectangle inside of a turned one."""
    sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
    short, long = sorted((height, width))
    if short <= 2 * sine * cosine * long:  # two corners touch the long sides, the others nothing
        inner_long, inner_short = short / (2 * sine), short / (2 * cosine)
    else:  # each corner touches a side
        double = cosine**2 - sine**2
        inner_long = (long * cosine - short * sine) / double
        inner_short = (short * cosine - long * sine) / double
    inner = (inner_short, inner_long) if height <= width else (inner_long, inner_short)
    # A pixel less on each side: interpolation looks that far.
    inner_height, inner_width = (max(1, math.floor(side) - 2) for side in inner)
    return min(height, inner_height), min(width, inner_width)


def scaled(photo: Photo, factor: float) -> Photo:
    return photo.resized(*(max(1, round(side * factor)) for side in photo.size))
