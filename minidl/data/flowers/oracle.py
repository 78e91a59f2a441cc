"""Reads the attributes of a flower from its pixels, without having learned anything.

    background  the color that is nearest to the median of the outermost pixels
    flower      how far each pixel is on the way from the background's color to the petals'
    color       nearest to the median of those pixels between center and tips that are least like
                the background
    center      nearest to the median of its innermost pixels
    count       which of 4, 5, 6 and 8 waves a turn around the flower has the most of (Fourier)
    shape, size how much of each ring around its middle the flower covers: the drawn outline, round
                or pointed, and its radius that explain this best in least squares

It judges what a network draws, and is judged by what draw() draws: tests/data/flowers.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from minidl.data.flowers.attributes import ATTRIBUTES, COUNTS, SHAPES
from minidl.data.flowers.outline import depth_inside
from minidl.data.flowers.palette import BACKGROUNDS, CENTERS, PETAL_SHADES, PETALS
from minidl.data.flowers.petals import petal_width
from minidl.data.flowers.render import RADIUS
from minidl.errors import ArgumentError

FLOWER = 45.0  # distance from the background's color from where on a pixel is the flower's
SMALLEST = 0.02  # part of the picture that a flower has at least
ANGLES = 180
RINGS = np.linspace(0.30, 1.20, 19)  # in radii
RADII = np.linspace(0.22, 0.50, 57)  # of flowers that are tried, in parts of the side
CHUNK = 512


def read(pictures: Any) -> np.ndarray:
    """The attributes that pictures of flowers show.

    Args:
        pictures: uint8 (N, S, S, 3); what it measures is meant for 32 and 64 pixels.

    Returns:
        int64 (N, 6), a row per picture as in attributes.py; -1 where there is nothing to see.

    Raises:
        ArgumentError: another dtype or shape.

    >>> from minidl.data.flowers import COMBINATIONS, draw, read
    >>> bool((read(draw(COMBINATIONS[::50])) == COMBINATIONS[::50]).all())
    True
    """
    pictures = np.asarray(pictures)
    if (
        pictures.dtype != np.uint8 or pictures.ndim != 4
        or not 8 <= pictures.shape[1] == pictures.shape[2] or pictures.shape[3] != 3
    ):  # fmt: skip
        raise ArgumentError(
            "read", "pictures are uint8 (N, S, S, 3), S >= 8", {"pictures": pictures}
        )
    found = np.full((len(pictures), len(ATTRIBUTES)), -1, np.int64)
    for start in range(0, len(pictures), CHUNK):
        part = slice(start, start + CHUNK)
        found[part] = read_chunk(pictures[part].astype(np.float32))
    return found


def read_chunk(pixels: np.ndarray) -> np.ndarray:
    """The attributes of some pictures, int64 (N, 6)."""
    side = pixels.shape[1]
    border = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], 1)
    behind = np.median(border, 1)
    away = distance(pixels, behind[:, None, None])
    inside = away > FLOWER
    seen = inside.mean((1, 2)) >= SMALLEST
    inside |= ~seen[:, None, None]  # any pixels will do where nothing is found
    x, y, r = from_middle(inside)
    reach = np.nanpercentile(np.where(inside, r, np.nan).reshape(len(r), -1), 97, axis=1)
    reach = np.maximum(reach, 2.0)[:, None, None]

    ring = inside & (r > 0.40 * reach) & (r < 0.90 * reach)
    ring = np.where(ring.any((1, 2))[:, None, None], ring, inside)
    half = np.nanmedian(np.where(ring, away, np.nan).reshape(len(r), -1), 1)  # farther: purer
    color = median_color(pixels, ring & (away >= half[:, None, None]))
    flower = np.clip(2 * along_way(pixels, behind, color) - 0.5, 0, 1)  # without the texture behind
    covered = turn_around(flower, x, y, RINGS[-1] * reach[:, 0, 0])
    count = strongest_wave(covered)
    shape, radius = explain(covered.mean(2), count, RINGS[-1] * reach[:, 0, 0] / side, side)
    center = median_color(pixels, r <= np.maximum(1.0, 0.15 * reach))
    limit = (RADIUS["small"] + RADIUS["large"]) / 2
    columns = [
        nearest_petal(color), count, shape, nearest_color(center, CENTERS),
        nearest_color(behind, BACKGROUNDS), (radius > limit).astype(np.int64),
    ]  # fmt: skip
    return np.where(seen[:, None], np.stack(columns, 1), -1)


# --- colors -----------------------------------------------------------------------------------


def distance(pixels: Any, color: Any) -> Any:
    """Distance of colors in red, green and blue."""
    return np.sqrt(((pixels - color) ** 2).sum(-1))


def nearest_color(colors: Any, names: dict[str, tuple]) -> np.ndarray:
    """The number of the name whose color is nearest to each of (N, 3)."""
    return distance(colors[:, None], np.array(list(names.values()), np.float32)).argmin(1)


def nearest_petal(colors: Any) -> np.ndarray:
    """The number of the petals' color nearest to each of (N, 3), anywhere from shade to light."""
    light = np.array(list(PETALS.values()), np.float32)
    shade = np.array(list(PETAL_SHADES.values()), np.float32)
    way = light - shade
    part = ((colors[:, None] - shade) * way).sum(-1) / (way * way).sum(-1)
    return distance(colors[:, None], shade + np.clip(part, 0, 1)[..., None] * way).argmin(1)


def median_color(pixels: Any, chosen: Any) -> np.ndarray:
    """The median of each picture's chosen pixels, channel by channel; black without any."""
    colors = np.zeros((len(pixels), 3), np.float32)
    for i in range(len(pixels)):
        if chosen[i].any():
            colors[i] = np.median(pixels[i][chosen[i]], 0)
    return colors


def along_way(pixels: Any, behind: Any, color: Any) -> Any:
    """How far pixels are on the way from one color (0) to another (1), (N, H, W)."""
    way = (color - behind)[:, None, None]
    length = np.maximum((way * way).sum(-1), 1.0)
    return np.clip(((pixels - behind[:, None, None]) * way).sum(-1) / length, 0, 1)


# --- form -------------------------------------------------------------------------------------


def from_middle(inside: Any) -> tuple[Any, Any, Any]:
    """Where the middle of the chosen pixels is, x and y (N,), and each pixel's distance from it."""
    side = inside.shape[1]
    place = np.arange(side, dtype=np.float32)
    total = inside.sum((1, 2))
    x = (inside.sum(1) * place).sum(1) / total
    y = (inside.sum(2) * place).sum(1) / total
    r = np.hypot(place[None, :, None] - y[:, None, None], place[None, None] - x[:, None, None])
    return x, y, r


def turn_around(flower: Any, x: Any, y: Any, largest: Any) -> Any:
    """The flower on rings around its middle, between pixels: (N, rings, angles).

    Args:
        flower: (N, H, W).
        x, y: the middle, (N,).
        largest: radius of the outermost ring in pixels, (N,).
    """
    side = flower.shape[1]
    angle = np.arange(ANGLES) * (2 * math.pi / ANGLES)
    radii = largest[:, None, None] * (RINGS / RINGS[-1])[None, :, None]
    across, down = (
        x[:, None, None] + radii * np.cos(angle),
        y[:, None, None] + radii * np.sin(angle),
    )
    across, down = np.clip(across, 0, side - 1.001), np.clip(down, 0, side - 1.001)
    left, top = across.astype(np.int64), down.astype(np.int64)
    right_part, lower_part = across - left, down - top
    number = np.arange(len(flower))[:, None, None]
    upper = flower[number, top, left] * (1 - right_part)
    upper += flower[number, top, left + 1] * right_part
    lower = flower[number, top + 1, left] * (1 - right_part)
    lower += flower[number, top + 1, left + 1] * right_part
    return upper * (1 - lower_part) + lower * lower_part


def strongest_wave(covered: Any) -> np.ndarray:
    """Which of COUNTS has the strongest wave around the flower, its place in COUNTS."""
    profile = covered[:, (RINGS >= 0.45) & (RINGS <= 1.05)].sum(1)
    waves = np.abs(np.fft.rfft(profile, axis=1))
    return waves[:, COUNTS].argmax(1)


def explain(measured: Any, count: Any, largest: Any, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The outline and radius that explain the covered parts of the rings best.

    Args:
        measured: (N, rings).
        count: places in COUNTS, (N,).
        largest: radius of the outermost ring in parts of the side, (N,).
        side: of the picture in pixels.

    Returns:
        (places in SHAPES, radii in parts of the side), both (N,).
    """
    shape, radius = np.zeros(len(measured), np.int64), np.zeros(len(measured))
    for i in range(len(measured)):
        tried = RINGS / RINGS[-1] * largest[i] / RADII[:, None]  # (radii, rings), in flower radii
        profiles = outline_profiles(COUNTS[count[i]], side)
        errors = np.stack([np.interp(tried, FINE, profile) - measured[i] for profile in profiles])
        best = int((errors**2).sum(2).argmin())
        shape[i], radius[i] = best // len(RADII), RADII[best % len(RADII)]
    return shape, radius


FINE = np.linspace(0, 2, 401)


@functools.cache
def outline_profiles(count: int, side: int) -> np.ndarray:
    """How much of a ring a flower covers, by the ring's radius (FINE): (shapes, 401)."""
    angle = (np.arange(90) + 0.5) * (math.pi / count / 90)
    along, across = (FINE[:, None] * f(angle) for f in (np.cos, np.sin))
    profiles = []
    for shape in SHAPES:
        width = petal_width(shape, count)
        depth = depth_inside(shape, width, along.astype(np.float32), across.astype(np.float32))
        profiles.append((depth > 0).mean(1))
    return np.stack(profiles)
