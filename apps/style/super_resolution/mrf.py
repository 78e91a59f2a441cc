"""Super-resolution by examples (Freeman, Pasztor and Carmichael 2000; Freeman, Jones and Pasztor
2002; Freeman and Liu, "Markov random fields for super-resolution and texture synthesis").

A picture is enlarged by interpolation; what is missing, the high band, is put together from patches
of other pictures. For each place of a grid the K examples whose middle patches are nearest
are the candidates. Which of them are taken, belief propagation decides (belief.py): a candidate is
to look like what is seen, and to agree with its neighbours in the pixels where they overlap. The
light of the picture is computed so, a factor of 2 at a time; colours are interpolated.

At last the result is made to agree with the given picture by back-projection (patches.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from apps.shared.options import OptionError
from apps.shared.photo import Photo
from apps.style.super_resolution.belief import best_choice
from apps.style.super_resolution.patches import (
    FACTOR,
    HIGH,
    MIDDLE,
    STEP,
    Examples,
    back_projected,
    contrast_of,
    count_examples,
    examples_of,
    interpolated,
    middle_band,
    middle_patches,
    resized,
)
from apps.style.super_resolution.settings import Settings

CHUNK = 512  # places whose candidates are searched for at once, at most
DISTANCES = 2**25  # between places and examples, computed at once
GROUP = 32  # values whose smallest is found first
TRIAL = 40  # pixels of the sides of the corner by which the time is estimated
SMALLEST = 2 * MIDDLE  # pixels of the sides of an example

# Light and two differences of colour (ITU-R BT.601), as rows.
LIGHT = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])

Progress = Callable[[int, int], None]  # done, of how many
Show = Callable[[int], None]  # done


def enlarged(
    picture: np.ndarray, examples: Examples, settings: Settings, progress: Progress
) -> np.ndarray:
    """A picture, larger by settings.scale.

    Args:
        picture: (H, W, 3) in 0..1.
        examples: from examples_for.
        settings: scale, candidates, agreement and back_projection.
        progress: told of the places whose candidates are found.

    Returns:
        (scale H, scale W, 3), float32 in 0..1.
    """
    light, *colours = np.moveaxis(picture @ LIGHT.T.astype(np.float32), 2, 0)
    total, done = count_places(picture.shape[:2], settings.scale), 0
    while len(light) < settings.scale * len(picture):

        def show(places: int, before: int = done) -> None:
            progress(before + places, total)

        done += count_places(light.shape, FACTOR)
        larger = doubled(light, examples, settings.candidates, settings.agreement, show)
        light = back_projected(larger, light, settings.back_projection)
    planes = [light, *(resized(colour, light.shape) for colour in colours)]
    return np.clip(np.stack(planes, axis=2) @ np.linalg.inv(LIGHT).T, 0, 1).astype(np.float32)


def count_places(size: tuple[int, ...], scale: int) -> int:
    """How many patches a picture of this size is put together from until it is that much larger."""
    found = 0
    while scale > 1:
        size, scale = (FACTOR * size[0], FACTOR * size[1]), scale // FACTOR
        rows, columns = (max(1, -(-(side - HIGH) // STEP) + 1) for side in size)
        found += rows * columns
    return found


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


def expected_seconds(light: np.ndarray, examples: Examples, settings: Settings) -> float:
    """About how long a picture takes, whose light is given: a corner of it is timed."""
    corner = light[:TRIAL, :TRIAL]
    seconds = []
    for _ in range(2):  # the first one wakes threads
        start = time.perf_counter()
        doubled(corner, examples, settings.candidates, settings.agreement, lambda done: None)
        seconds.append(time.perf_counter() - start)
    places = count_places(light.shape, settings.scale)
    return min(seconds) * places / count_places(corner.shape, FACTOR)


def needed_megabytes(
    size: tuple[int, int], pictures: Sequence[np.ndarray], settings: Settings
) -> float:
    """The memory that it takes to enlarge a picture of this size, (H, W), by the patches of some.

    Per pixel of the result, as measured, 130 bytes and 1.5 for each pair of candidates. Of the
    examples their pictures and what is made of the largest one; the patches that are kept; and the
    distances of the places that are searched for at once.
    """
    result = size[0] * size[1] * settings.scale**2 * (130 + 1.5 * settings.candidates**2)
    examples = min(sum(count_examples(one.shape) for one in pictures), settings.most_examples)
    kept = examples * (MIDDLE**2 + HIGH**2) * 4 * 3
    searched = chunk_for(examples) * examples * 4 * 2
    bands = sum(one.nbytes for one in pictures) + 12 * max(one.nbytes for one in pictures)
    return (result + kept + searched + bands) / 1e6


def chunk_for(examples: int) -> int:
    """How many places are searched for at once: fewer if there are many examples."""
    return min(CHUNK, max(1, DISTANCES // examples))


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
            {"sizes": [f"{one.shape[1]}x{one.shape[0]}" for one in lights]},
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


def doubled(
    light: np.ndarray, examples: Examples, candidates: int, agreement: float, show: Show
) -> np.ndarray:
    """A picture of twice the height and width.

    Args:
        light: (H, W) in 0..1.
        examples: from gather.
        candidates: how many examples each place chooses from.
        agreement: how much neighbours have to agree; 0: each takes the nearest.
        show: told of how many places the candidates are found.
    """
    H, W = light.shape
    enlarged = interpolated(light, (FACTOR * H, FACTOR * W))
    middle = middle_patches(middle_band(enlarged))
    contrast = contrast_of(middle)
    rows, columns, _ = middle.shape
    K = min(candidates, len(examples.middle))
    nearest, distance = nearest_examples(
        (middle / contrast).reshape(-1, MIDDLE**2), examples.middle, K, show
    )
    high = examples.high[nearest].reshape(rows, columns, K, HIGH, HIGH) * contrast[..., None, None]
    evidence = distance.reshape(rows, columns, K) * contrast**2 / MIDDLE**2
    beside, below = disagreement(high)
    choice = best_choice(evidence, agreement * beside, agreement * below)
    y, x = np.indices(choice.shape)
    return enlarged + put_together(high[y, x, choice])[: FACTOR * H, : FACTOR * W]


def nearest_examples(
    wanted: np.ndarray, middle: np.ndarray, k: int, show: Show
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest examples of each patch, nearest first, and their squared distances.

    |a - b|^2 = |a|^2 - 2 a b + |b|^2: the products of all pairs are one matrix product.
    """
    numbers = np.empty((len(wanted), k), np.int64)
    distances = np.empty((len(wanted), k), np.float32)
    squares, columns = (middle**2).sum(axis=1), middle.T
    chunk = chunk_for(len(middle))
    for start in range(0, len(wanted), chunk):
        part = wanted[start : start + chunk]
        near, values = smallest(squares - 2 * (part @ columns), k)
        numbers[start : start + chunk] = near
        values = values + (part**2).sum(axis=1, keepdims=True)
        distances[start : start + chunk] = np.maximum(values, 0)
        show(min(start + chunk, len(wanted)))
    return numbers, distances


def smallest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns of the k smallest values of each row, ascending, and these values.

    Columns j, j + n, j + 2 n, ... are a group. The k smallest values lie in the k groups with the
    smallest minima, and those are found eight times as fast as the values among all.
    """
    rows, columns = values.shape
    n = columns // GROUP
    if n < k:
        return sorted_columns(values, np.argpartition(values, k - 1, axis=1)[:, :k])
    grouped = values[:, : n * GROUP].reshape(rows, GROUP, n)
    groups = np.argpartition(grouped.min(axis=1), k - 1, axis=1)[:, :k]
    members = (groups[:, None, :] + n * np.arange(GROUP)[:, None]).reshape(rows, -1)
    rest = np.broadcast_to(np.arange(n * GROUP, columns), (rows, columns - n * GROUP))
    members = np.concatenate([members, rest], axis=1)
    few = np.take_along_axis(values, members, axis=1)
    near = np.argpartition(few, k - 1, axis=1)[:, :k]
    return sorted_columns(values, np.take_along_axis(members, near, axis=1))


def sorted_columns(values: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of each row in the order of their values, and the values."""
    found = np.take_along_axis(values, columns, axis=1)
    order = np.argsort(found, axis=1, kind="stable")
    return np.take_along_axis(columns, order, 1), np.take_along_axis(found, order, 1)


def disagreement(high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean squared difference of the pixels that neighbouring candidates have in common.

    Args:
        high: (Y, X, K, HIGH, HIGH).

    Returns:
        beside (Y, X - 1, K, K) and below (Y - 1, X, K, K), as best_choice takes them.
    """
    left, right = high[:, :-1, :, :, STEP], high[:, 1:, :, :, 0]
    upper, lower = high[:-1, :, :, STEP, :], high[1:, :, :, 0, :]
    return squared(left, right), squared(upper, lower)


def squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., K, n) twice -> (..., K, K): mean squared differences of all pairs."""
    total = sum((a[..., :, None, i] - b[..., None, :, i]) ** 2 for i in range(a.shape[-1]))
    return total / np.float32(a.shape[-1])


def put_together(patches: np.ndarray) -> np.ndarray:
    """(Y, X, HIGH, HIGH) as one picture; where patches overlap, their mean."""
    rows, columns = patches.shape[:2]
    total = np.zeros((STEP * rows + 1, STEP * columns + 1), np.float32)
    count = np.zeros_like(total)
    for i in range(HIGH):
        for j in range(HIGH):
            place = slice(i, i + STEP * rows, STEP), slice(j, j + STEP * columns, STEP)
            total[place] += patches[:, :, i, j]
            count[place] += 1
    return total / count
