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
from collections.abc import Sequence
from typing import Any

import numpy as np

from apps.shared.photo import to_bytes
from apps.style.super_resolution.belief import best_choice
from apps.style.super_resolution.examples import LIGHT
from apps.style.super_resolution.patches import (
    FACTOR,
    HIGH,
    MIDDLE,
    STEP,
    Examples,
    back_projected,
    contrast_of,
    count_examples,
    interpolated,
    middle_band,
    middle_patches,
    resized,
)
from apps.style.super_resolution.search import chunk_for, nearest_examples
from apps.style.super_resolution.settings import Settings

TRIAL = 40  # pixels of the sides of the corner by which the time is estimated


class Enlargement:
    """A picture on its way to a larger one, some places at a step (apps/style/stepwise.py).

    Args:
        picture: (H, W, 3) in 0..1.
        examples: from examples.gather.
        settings: scale, candidates, agreement and back_projection.

    Attributes:
        done, total: places whose candidates are found, and all there are.
    """

    def __init__(self, picture: np.ndarray, examples: Examples, settings: Settings):
        self.examples, self.settings = examples, settings
        self.light, *self.colours = np.moveaxis(picture @ LIGHT.T.astype(np.float32), 2, 0)
        self.size = settings.scale * picture.shape[0], settings.scale * picture.shape[1]
        self.total, self.done = count_places(picture.shape[:2], settings.scale), 0
        self.start_doubling()

    def start_doubling(self) -> None:
        """To twice the height and width of what there is."""
        settings = self.settings
        self.doubling = Doubling(self.light, self.examples, settings.candidates, settings.agreement)

    def step(self) -> bool:
        """Find candidates for some places; behind the last one choose among them."""
        if self.done == self.total:
            return False
        self.done += self.doubling.search()
        if self.doubling.is_searched:
            larger = self.doubling.made()
            self.light = back_projected(larger, self.light, self.settings.back_projection)
            if self.light.shape != self.size:
                self.start_doubling()
        return True

    def picture(self, agreeing: bool = True) -> np.ndarray:
        """(scale H, scale W, 3), float32 in 0..1; without detail where none is found yet.

        Args:
            agreeing: whether candidates that were found are chosen by belief propagation.
        """
        light = self.light
        if self.done < self.total:
            light = resized(self.doubling.made(agreeing), self.size)
        planes = [light, *(resized(colour, self.size) for colour in self.colours)]
        return np.clip(np.stack(planes, axis=2) @ np.linalg.inv(LIGHT).T, 0, 1).astype(np.float32)

    def snapshot(self) -> np.ndarray:
        """The picture so far, uint8 (H, W, 3); of the places under way each takes its nearest."""
        return to_bytes(self.picture(agreeing=False))

    def state(self) -> dict[str, Any]:
        """Everything that decides how it goes on; arrays and JSON values."""
        doubling = self.doubling
        return {
            "done": self.done, "light": self.light, "found": doubling.found,
            "numbers": doubling.numbers[: doubling.found],
            "distances": doubling.distances[: doubling.found],
        }  # fmt: skip

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where state() was taken."""
        self.done, self.light, found = state["done"], state["light"], state["found"]
        if self.done == self.total:
            return
        self.start_doubling()
        self.doubling.found = found
        self.doubling.numbers[:found] = state["numbers"]
        self.doubling.distances[:found] = state["distances"]


class Doubling:
    """A picture of twice the height and width, under way.

    Args:
        light: (H, W) in 0..1.
        examples: from examples.gather.
        candidates: how many examples each place chooses from.
        agreement: how much neighbours have to agree; 0: each takes the nearest.

    Attributes:
        found: of how many places the candidates are found, row by row.
        numbers, distances: (places, K): these examples, and how far they are from what is seen.
    """

    def __init__(self, light: np.ndarray, examples: Examples, candidates: int, agreement: float):
        H, W = light.shape
        self.size, self.examples, self.agreement = (FACTOR * H, FACTOR * W), examples, agreement
        self.enlarged = interpolated(light, self.size)
        middle = middle_patches(middle_band(self.enlarged))
        self.contrast = contrast_of(middle)
        self.rows, self.columns, _ = middle.shape
        self.wanted = (middle / self.contrast).reshape(-1, MIDDLE**2)
        self.squares = (examples.middle**2).sum(axis=1)
        self.found, shape = 0, (len(self.wanted), min(candidates, len(examples.middle)))
        self.numbers, self.distances = np.zeros(shape, np.int32), np.zeros(shape, np.float32)

    @property
    def is_searched(self) -> bool:
        return self.found == len(self.wanted)

    def search(self) -> int:
        """Find the candidates of the next places; says of how many."""
        middle, k = self.examples.middle, self.numbers.shape[1]
        part = slice(self.found, self.found + chunk_for(len(middle)))
        self.numbers[part], self.distances[part] = nearest_examples(
            self.wanted[part], middle, self.squares, k
        )
        before, self.found = self.found, min(part.stop, len(self.wanted))
        return self.found - before

    def made(self, agreeing: bool = True) -> np.ndarray:
        """The larger picture, with detail in the rows of places whose candidates are found.

        Args:
            agreeing: whether they are chosen by belief propagation; else each takes its nearest.
        """
        rows, K = self.found // self.columns, self.numbers.shape[1]
        places, grid = rows * self.columns, (rows, self.columns, K)
        patches = np.zeros((self.rows, self.columns, HIGH, HIGH), np.float32)
        if rows and agreeing:
            contrast = self.contrast[:rows]
            high = self.examples.high[self.numbers[:places]].reshape(*grid, HIGH, HIGH)
            high = high * contrast[..., None, None]
            evidence = self.distances[:places].reshape(grid) * contrast**2 / MIDDLE**2
            beside, below = disagreement(high)
            choice = best_choice(evidence, self.agreement * beside, self.agreement * below)
            y, x = np.indices(choice.shape)
            patches[:rows] = high[y, x, choice]
        elif rows:
            nearest = self.examples.high[self.numbers[:places, 0]]
            patches[:rows] = nearest.reshape(rows, self.columns, HIGH, HIGH)
            patches[:rows] *= self.contrast[:rows, :, :, None]
        height, width = self.size
        return self.enlarged + put_together(patches)[:height, :width]


def enlarged(picture: np.ndarray, examples: Examples, settings: Settings) -> np.ndarray:
    """A picture, larger by settings.scale; arguments and result as of Enlargement."""
    enlargement = Enlargement(picture, examples, settings)
    while enlargement.step():
        pass
    return enlargement.picture()


def doubled(light: np.ndarray, examples: Examples, candidates: int, agreement: float) -> np.ndarray:
    """A picture of twice the height and width; arguments as of Doubling."""
    doubling = Doubling(light, examples, candidates, agreement)
    while not doubling.is_searched:
        doubling.search()
    return doubling.made()


# --- before -------------------------------------------------------------------------------------


def count_places(size: tuple[int, ...], scale: int) -> int:
    """How many patches a picture of this size is put together from until it is that much larger."""
    found = 0
    while scale > 1:
        size, scale = (FACTOR * size[0], FACTOR * size[1]), scale // FACTOR
        rows, columns = (max(1, -(-(side - HIGH) // STEP) + 1) for side in size)
        found += rows * columns
    return found


def expected_seconds(light: np.ndarray, examples: Examples, settings: Settings) -> float:
    """About how long a picture takes, whose light is given: a corner of it is timed."""
    corner = light[:TRIAL, :TRIAL]
    seconds = 0.0
    for _ in range(2):  # the first one wakes threads, and does not count
        start = time.perf_counter()
        doubled(corner, examples, settings.candidates, settings.agreement)
        seconds = time.perf_counter() - start
    places = count_places(light.shape, settings.scale)
    return seconds * places / count_places(corner.shape, FACTOR)


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


# --- patches ------------------------------------------------------------------------------------


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
