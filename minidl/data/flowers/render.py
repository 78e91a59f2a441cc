"""Draws flowers from their attributes.

A picture is a sum of paints, each a plane that says how much of it a pixel has, times its color:

    picture = background * (1 - flower) + petals * color + petals' shade * deeper color + ...

Planes are drawn larger than the picture and averaged, which smooths edges; colors come in
afterwards. Flowers with the same number and shape of petals are drawn together.

Everything that varies (place, size, tilt, light, the background's texture) is drawn from a
generator before anything is painted, in the same order for each size: a seed gives the same flowers
in 32 and in 64 pixels, and the same bytes on every machine. For that, planes are made of sums,
products, quotients and roots alone, and the noise of the generator's raw bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.data.flowers import palette
from minidl.data.flowers.attributes import (
    ATTRIBUTES,
    COLUMN,
    COUNTS,
    EXTRAS,
    SHAPES,
    SIZES,
    check_flowers,
    check_generator,
)
from minidl.data.flowers.background import TEXTURE_NUMBERS, paint_background
from minidl.data.flowers.petals import directions, draw_center, draw_crown, petal_width
from minidl.data.flowers.petals_extended import draw_lines, draw_many, draw_stamens
from minidl.data.flowers.sheet import Sheet, shrink
from minidl.errors import ArgumentError
from minidl.shapes import is_number

F = np.float32
PICTURE_SIZES = (32, 64)
RADIUS = {"small": 0.30, "large": 0.435}  # of a flower, in parts of the picture's side
OFFSET = {"small": 0.08, "large": 0.03}  # how far its middle is from the picture's, at most
TILT = 12.0  # degrees by which a petal that points upwards may be out of the vertical, at most
OVERSAMPLED = {32: 3, 64: 2}  # pixels of a plane for one of the picture, each way
CHUNK = 1 << 16  # pixels of the planes painted at once: some planes fit into a core's cache
NOISE = 1.5  # standard deviation of a pixel's noise, of 255

SPREAD = 2.0  # degrees by which a petal is out of line, at most
LARGEST_COUNT = max(COUNTS)


def draw(flowers: Any, size: int = 32, rng: Any = None, tilt: float = TILT) -> np.ndarray:
    """Draw flowers, each at a place, in a size, tilt and light of its own.

    Args:
        flowers: attributes as in attributes.py, ints (N, 6), or (N, 13) with the extras.
        size: pixels of a side, 32 or 64.
        rng: a NumPy Generator; None for one of seed 0.
        tilt: a petal points upwards, give or take so many degrees; 180 for flowers turned by any
            angle.

    Returns:
        uint8 (N, size, size, 3).

    Raises:
        ArgumentError: an attribute without such a value, another size, tilt or rng.

    >>> from minidl.data.flowers import COMBINATIONS, draw
    >>> draw(COMBINATIONS[:3], 64).shape
    (3, 64, 64, 3)
    """
    rows = check_flowers("draw", flowers)
    if size not in PICTURE_SIZES:
        raise ArgumentError("draw", "size is 32 or 64", {"size": size})
    if not is_number(tilt) or not 0 <= tilt <= 180:
        raise ArgumentError("draw", "tilt lies between 0 and 180 degrees", {"tilt": tilt})
    rng = np.random.Generator(np.random.PCG64(0)) if rng is None else rng
    check_generator("draw", rng)
    chances = draw_chances(rng, len(rows), float(tilt))
    pictures = np.empty((len(rows), size, size, 3), np.uint8)
    factor = OVERSAMPLED[size]
    for members in alike(rows, CHUNK // (size * factor) ** 2):
        own = {name: values[members] for name, values in chances.items()}
        sheet = paint_flowers(rows[members], own, size * factor)
        planes = {name: shrink(plane, factor) for name, plane in sheet.planes.items()}
        noise = draw_noise(rng, (len(members), size, size, 3))
        for channel, light in enumerate(add_colors(planes, rows[members], own, size)):
            light += noise[..., channel]
            pictures[members, :, :, channel] = np.clip(light, 0, 255, out=light)
    return pictures


# --- chance -----------------------------------------------------------------------------------


def draw_chances(rng: Any, count: int, tilt: float) -> dict[str, Any]:
    """What varies from flower to flower, float32 (N,) or (N, numbers), uniform.

    Returns:
        "x", "y" and "radius" in [-1, 1), "tilt" and "spread" in degrees, "light" of the picture,
        "tint" of the petals, and "texture" in [0, 1).
    """
    widths = {
        "x": 1, "y": 1, "radius": 1, "tilt": 1, "light": 1, "tint": 3, "spread": LARGEST_COUNT,
        "texture": TEXTURE_NUMBERS,
    }  # fmt: skip
    numbers = rng.random((count, sum(widths.values())))
    chances, start = {}, 0
    for name, width in widths.items():
        part = numbers[:, start : start + width].astype(F)
        chances[name] = part if name == "texture" else part * 2 - 1
        start += width
    chances["tilt"] *= tilt
    chances["spread"] *= SPREAD
    return {name: part[:, 0] if widths[name] == 1 else part for name, part in chances.items()}


def draw_noise(rng: Any, shape: tuple) -> Any:
    """Noise as of a camera, float32: the sum of four bytes, nearly normal.

    Half a step of brightness is in it, so that cutting off the fraction rounds.
    """
    count = int(np.prod(shape))
    raw = np.frombuffer(rng.bytes(4 * count), np.uint8).reshape(4, *shape)
    total = raw[0].astype(F)
    for part in raw[1:]:
        total += part
    total -= 4 * 127.5
    total *= NOISE / (4 * (256**2 - 1) / 12) ** 0.5
    total += 0.5
    return total


# --- painting ---------------------------------------------------------------------------------


def alike(rows: np.ndarray, most: int) -> list[np.ndarray]:
    """Indices of flowers that are painted alike but for their colors, in chunks."""
    styles = rows[:, [COLUMN["count"], COLUMN["shape"], *range(len(ATTRIBUTES), rows.shape[1])]]
    styles = np.concatenate([styles[:, :2], styles[:, 2:] > 0], 1)
    order = np.lexsort(styles.T[::-1])
    chunks: list[np.ndarray] = []
    if not len(rows):
        return chunks
    new = np.flatnonzero((styles[order][1:] != styles[order][:-1]).any(1)) + 1
    for group in np.split(order, new):
        chunks += [group[i : i + most] for i in range(0, len(group), most)]
    return chunks


def paint_flowers(rows: np.ndarray, own: dict[str, Any], side: int) -> Sheet:
    """The planes of flowers of one style.

    Args:
        rows: (B, 13), which differ in colors, size and background alone.
        own: their chances.
        side: pixels of a plane.
    """
    radius, offset = (
        np.array([table[name] for name in SIZES], F)[rows[:, COLUMN["size"]]] * side
        for table in (RADIUS, OFFSET)
    )
    middle_x, middle_y = (side / 2 + offset * own[axis] for axis in "xy")
    sheet = Sheet(middle_x, middle_y, radius * (1 + 0.04 * own["radius"]), side)
    style = {name: int(rows[0, column]) for name, column in COLUMN.items()}
    shape, count = SHAPES[style["shape"]], COUNTS[style["count"]]
    if style["many"]:
        draw_many(sheet, own["tilt"])
        return sheet
    axes = directions(own["tilt"], count, spread=own["spread"])
    zones = ("petals", *(name for name in ("second", "third") if style[name]))
    along, across = draw_crown(sheet, axes, shape, bool(style["ruffled"]), zones)
    if style["lines"]:
        draw_lines(sheet, along, across, count, petal_width(shape, count))
    if style["pistil"]:
        draw_stamens(sheet, axes)
    else:
        draw_center(sheet)
    return sheet


# --- colors -----------------------------------------------------------------------------------


def add_colors(
    planes: dict[str, Any], rows: np.ndarray, own: dict[str, Any], size: int
) -> list[Any]:
    """The three channels of the pictures, float32 (B, size, size) each, from 0 to 255 or so."""
    channels = paint_background(rows[:, COLUMN["background"]], own["texture"], size)
    channels *= planes["background"]
    for name, plane in planes.items():
        if name == "background":
            continue
        colors = paint_colors(name, rows)  # (B, 3)
        if name.startswith("petals"):
            colors = colors * (1 + 0.04 * own["tint"])
        for channel in range(3):
            channels[channel] += plane * colors[:, channel, None, None]
    channels *= 1 + 0.06 * own["light"][:, None, None]
    return list(channels)


def paint_colors(name: str, rows: np.ndarray) -> np.ndarray:
    """The color of a paint for each flower, float32 (B, 3)."""
    paint, _, shade = name.partition(" ")
    if paint == "lines":
        return np.full((len(rows), 3), palette.LINES, F)
    column, light, deeper = PAINTS[paint]
    table = np.array(list((deeper if shade else light).values()), F)
    numbers = rows[:, COLUMN[column]]
    return table[numbers - 1 if column in EXTRAS else numbers]


def darker(colors: dict[str, tuple]) -> dict[str, tuple]:
    """The colors with about half as much light."""
    return {name: tuple(0.55 * part for part in color) for name, color in colors.items()}


# The paint -> the attribute that names its color, the colors in the light and in the shade.
PAINTS: dict[str, tuple[str, dict, dict]] = {
    "petals": ("color", palette.PETALS, palette.PETAL_SHADES),
    "second": ("second", palette.PETALS, palette.PETAL_SHADES),
    "third": ("third", palette.PETALS, palette.PETAL_SHADES),
    "center": ("center", palette.CENTERS, palette.CENTER_SHADES),
    "pistil": ("pistil", palette.PISTILS, darker(palette.PISTILS)),
    "anther": ("anther", palette.ANTHERS, darker(palette.ANTHERS)),
}
