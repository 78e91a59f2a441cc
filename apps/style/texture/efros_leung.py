"""Texture synthesis pixel by pixel (Efros and Leung 1999, "Texture synthesis by non-parametric
sampling").

A texture is taken for a Markov random field: what a pixel is depends on the pixels in a window
about it, and on nothing else. So a new pixel gets the colour of one that has nearly the same window
in the sample, and the picture grows from a seed outwards:

    in passes:  the pixels that have a neighbour, in random order, those with most neighbours first
    each pixel: e(q) = sum over known pixels t of G(t) |sample(q + t) - picture(p + t)|^2 / sum G
                G a Gaussian with sigma = window / 6.4; |.|^2 summed over the colours, in 0..1
                one q drawn from those with e(q) <= 1.1 min e; copied if e(q) < 0.3
    a pass in which no pixel was copied raises 0.3 by a tenth

With a guide its planes are summed as well, with their weights: 0.3 then bounds the mean over
colours and guide.

The parameters are those of the paper's pseudo-code (graphics.cs.cmu.edu/people/efros/research).

Pixels that are further apart than half a window do not see each other. As many of them as follow
one another in a pass are searched for at once, by several threads; what is copied is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.shared.photo import to_bytes
from apps.style.texture.canvas import Canvas
from apps.style.texture.material import Material, all_in_window
from minidl import Tensor
from minidl.ops.window_search import WindowSearch

TOLERANCE = 0.1
LARGEST_ERROR = 0.3
GROWTH = 1.1
SEED = 3  # pixels of the side of the seed
GROUP = 8  # pixels searched for at once at most


def gaussian(window: int) -> np.ndarray:
    """(window, window): the weight of each pixel, 1 in the middle."""
    distance = np.arange(window) - window // 2
    sigma = window / 6.4
    return np.exp(-(distance[:, None] ** 2 + distance**2) / (2 * sigma**2))


def plane_weights(material: Material, window: np.ndarray, guide_weight: float) -> np.ndarray:
    """(P, R, S): the window's weights for each plane; all guides count as much as guide_weight
    times all colours."""
    weights = np.repeat(window[None], len(material.planes), axis=0)
    guides = len(material.planes) - material.colours
    if guides:
        weights[material.colours :] *= guide_weight * material.colours / guides
    return weights.astype(np.float32)


class EfrosLeung:
    """A picture that grows pixel by pixel.

    Args:
        material: what is copied.
        size: (H, W) of the picture.
        window: pixels of the side of the window, odd.
        seed: of the random numbers.
        tileable: whether the picture is to continue at its opposite side.
        guide: (H, W, G), to be compared with the guide planes of the material.
        guide_weight: how much guides count; 1: as much as the colours.
        source: (H, W): where pixels come from that are there already; -1: to be synthesised.
    """

    def __init__(
        self,
        material: Material,
        size: tuple[int, int],
        window: int,
        seed: int = 0,
        tileable: bool = False,
        guide: np.ndarray | None = None,
        guide_weight: float = 1.0,
        source: np.ndarray | None = None,
    ):
        self.half = window // 2
        self.random = np.random.default_rng(seed)
        self.canvas = Canvas(material, size, self.half, tileable, guide)
        if source is not None:
            self.canvas.put_all(source)
        self.threshold = LARGEST_ERROR
        self.todo: list[list[int]] = []  # the pixels of this pass, first one last
        self.copied = True  # whether this pass has copied any
        self.total = int(np.count_nonzero(~self.canvas.filled))
        self.done = self.searched = 0
        if self.total:  # with nothing to fill, there need be no window to copy from
            self.search = WindowSearch(
                Tensor(material.planes),
                Tensor(plane_weights(material, gaussian(window), guide_weight)),
                Tensor(may_be_centre(material, window)),
                TOLERANCE,
            )
            if not self.canvas.filled.any():
                self.sow()

    # --- one step -------------------------------------------------------------------------------

    def sow(self) -> None:
        """Begin in the middle: with SEED x SEED pixels of the sample, or by a guide with one."""
        (H, W), m = self.canvas.size, self.half
        y, x = H // 2, W // 2
        if self.canvas.known.any():
            ((positions, _),) = self.search.candidates(
                self.canvas.picture, self.canvas.known, [[y, x]]
            )
            self.copy(y, x, int(self.random.choice(positions)) + self.centre)
            return
        positions = np.flatnonzero(self.search.allowed)
        at = int(positions[self.random.integers(len(positions))]) + self.centre
        width = self.canvas.material.planes.shape[2]
        reach = min(SEED // 2, m)
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                source = at + dy * width + dx
                inside = 0 <= y + dy < H and 0 <= x + dx < W
                if inside and self.canvas.material.copied.flat[source]:
                    self.copy(y + dy, x + dx, source)

    def step(self) -> bool:
        """Synthesise the next few pixels; False if there is none left."""
        if self.done == self.total:
            return False
        if not self.todo:
            self.start_pass()
        self.choose(self.next_group())
        return True

    def start_pass(self) -> None:
        """The pixels that have a neighbour: shuffled, then those with most neighbours first.

        If none has one, in a hole among transparent pixels, any pixel will do.
        """
        if not self.copied:
            self.threshold *= GROWTH
        self.copied = False
        (H, W), m = self.canvas.size, self.half
        around = self.canvas.known[0, m - 1 : m + H + 1, m - 1 : m + W + 1].astype(np.int8)
        neighbours = sum(around[i : i + H, j : j + W] for i in range(3) for j in range(3))
        neighbours = np.where(self.canvas.filled, 0, neighbours)
        pixels = self.random.permutation(np.argwhere(neighbours))
        if not len(pixels):
            pixels = self.random.permutation(np.argwhere(~self.canvas.filled))[:1]
        order = np.argsort(-neighbours[tuple(pixels.T)], kind="stable")
        self.todo = pixels[order[::-1]].tolist()

    def next_group(self) -> list[list[int]]:
        """The next pixel, and those behind it as long as none sees another one of the group."""
        group = [self.todo.pop()]
        while self.todo and len(group) < GROUP and self.apart(self.todo[-1], group):
            group.append(self.todo.pop())
        return group

    def apart(self, pixel: list[int], group: list[list[int]]) -> bool:
        """Whether a pixel lies in no window of the group."""
        H, W = self.canvas.size
        for y, x in group:
            dy, dx = abs(pixel[0] - y), abs(pixel[1] - x)
            if self.canvas.tileable:
                dy, dx = min(dy, H - dy), min(dx, W - dx)
            if dy <= self.half and dx <= self.half:
                return False
        return True

    def choose(self, group: list[list[int]]) -> None:
        """Draw a candidate for each pixel, and copy it if it is near enough."""
        colours = self.canvas.material.colours
        # A window of the array with the margin begins where its middle is in the picture.
        found = self.search.candidates(self.canvas.picture, self.canvas.known, group)
        self.searched += len(group)
        for (y, x), (positions, errors) in zip(group, found):
            drawn = self.random.integers(len(positions))
            if errors[drawn] * colours < self.threshold:
                self.copy(y, x, int(positions[drawn]) + self.centre)

    def copy(self, y: int, x: int, source: int) -> None:
        self.canvas.put(y, x, source)
        self.copied = True
        self.done += 1

    def searches_left(self) -> float:
        """How many searches are to come, as far as is known: a pixel may need several."""
        return self.total - self.done

    @property
    def centre(self) -> int:
        """From the first pixel of a window of the material to its middle."""
        return self.half * (self.canvas.material.planes.shape[2] + 1)

    def skip_to_middle(self, source: np.ndarray) -> None:
        """Fill the first half of what is to be done from anywhere, to see how long steps take."""
        places = np.flatnonzero(~self.canvas.filled)
        places = places[: len(places) // 2]
        filled = np.full(self.canvas.size, -1)
        filled.flat[places] = source.flat[places]
        self.canvas.put_all(filled)
        self.todo, self.done = [], self.done + len(places)

    def snapshot(self) -> np.ndarray:
        """The picture so far, uint8 (H, W, C)."""
        return to_bytes(self.canvas.image)

    # --- the state, to go on later --------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that decides how it goes on; arrays and JSON values."""
        return {
            "source": self.canvas.source.copy(),
            "todo": np.array(self.todo, np.int32).reshape(-1, 2),
            "copied": self.copied,
            "threshold": self.threshold,
            "random": self.random.bit_generator.state,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where state() was taken."""
        self.canvas.put_all(state["source"])
        self.todo = state["todo"].tolist()
        self.copied, self.threshold = state["copied"], state["threshold"]
        self.random.bit_generator.state = state["random"]
        self.done = self.total - int(np.count_nonzero(~self.canvas.filled))


def may_be_centre(material: Material, window: int) -> np.ndarray:
    """(H, W), bool: the windows of known pixels whose middle may be copied, by first pixel."""
    half = window // 2
    found = all_in_window(material.known, window, window)
    H, W = found.shape
    found[: H - half, : W - half] &= material.copied[half:, half:]
    return found
