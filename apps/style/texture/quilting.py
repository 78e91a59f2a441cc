"""Image quilting: a texture patch by patch (Efros and Freeman 2001, "Image quilting for texture
synthesis and transfer").

    patches of B x B pixels in rows, each overlapping the ones before by B / 6
    one drawn from those whose error in the overlap is at most 1.1 times the smallest
    cut from what is there along the path of the smallest error (cut.py)

Texture transfer (section 3): patches are also to agree with a guide, the picture that the texture
is to show. In passes i = 1 .. N, with patches that become smaller by a third,

    e = a (overlap + what the pass before put there) + (1 - a) guide,   a = 0.8 (i-1)/(N-1) + 0.1

For a picture that can be laid as tiles the last patch of a row overlaps the first one as well, and
so does the last row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.shared.photo import to_bytes
from apps.style.texture.canvas import Canvas
from apps.style.texture.cut import old_pixels
from apps.style.texture.material import Material, all_in_window
from apps.style.texture.settings import SMALLEST_PATCH
from minidl import Tensor
from minidl.ops.window_search import WindowSearch

TOLERANCE = 0.1
OVERLAP = 6  # a patch overlaps the one before by a sixth of its side


class Quilting:
    """A picture that grows patch by patch.

    Args:
        material, size, seed, tileable, guide: as of EfrosLeung.
        window: pixels of the side of a patch, in the first pass.
        passes: how many; without a guide one.
    """

    def __init__(
        self,
        material: Material,
        size: tuple[int, int],
        window: int,
        seed: int = 0,
        tileable: bool = False,
        guide: np.ndarray | None = None,
        passes: int = 1,
    ):
        self.material, self.size, self.tileable, self.guide = material, size, tileable, guide
        self.random = np.random.default_rng(seed)
        self.sides = [max(SMALLEST_PATCH, round(window * (2 / 3) ** i)) for i in range(passes)]
        self.grids = [self.grid(side) for side in self.sides]
        self.total = sum(len(rows) * len(columns) for rows, columns in self.grids)
        self.done = 0
        self.pass_, self.patch = 0, 0  # which one is next
        self.before: np.ndarray | None = None  # (H, W): sources of the pass before
        self.start_pass()

    # --- a pass ---------------------------------------------------------------------------------

    def grid(self, side: int) -> tuple[list[int], list[int]]:
        """Rows and columns at which patches begin."""
        return starts(self.size[0], side, self.tileable), starts(self.size[1], side, self.tileable)

    def start_pass(self) -> None:
        """An empty canvas, and the search for patches of this pass."""
        side, colours = self.sides[self.pass_], self.material.colours
        share = 0.1 + 0.8 * self.pass_ / max(1, len(self.sides) - 1)
        planes, guides = self.material.planes, len(self.material.planes) - colours
        material, guide = self.material, self.guide
        weights = [share if guides else 1.0] * colours
        weights += [(1 - share) * colours / guides] * guides if guides else []
        if self.before is not None:
            flat = planes[:colours].reshape(colours, -1)
            older = flat[:, self.before].transpose(1, 2, 0)
            guide = np.concatenate([guide, older], axis=2)
            planes = np.concatenate([planes, planes[:colours]])
            material = Material(planes, colours, material.known, material.copied, material.tops)
            weights += [share] * colours
        self.canvas = Canvas(material, self.size, side, self.tileable, guide)
        window = np.ones((1, side, side), np.float32)
        self.search = WindowSearch(
            Tensor(planes),
            Tensor(np.array(weights, np.float32)[:, None, None] * window),
            Tensor(all_in_window(material.copied, side, side)),
            TOLERANCE,
        )

    def step(self) -> bool:
        """Put the next patch; False if there is none left."""
        if self.done == self.total:
            return False
        rows, columns = self.grids[self.pass_]
        if self.patch == len(rows) * len(columns):
            self.pass_, self.patch, self.before = self.pass_ + 1, 0, self.canvas.source
            self.start_pass()
            rows, columns = self.grids[self.pass_]
        i, j = divmod(self.patch, len(columns))
        self.put_patch(rows[i], columns[j], self.overlaps(i, j))
        self.patch, self.done = self.patch + 1, self.done + 1
        return True

    def overlaps(self, i: int, j: int) -> tuple[int, int, int, int]:
        """How far patch i, j reaches over those that are there: left, top, right, bottom."""
        (rows, columns), side = self.grids[self.pass_], self.sides[self.pass_]
        H, W = self.size
        left = columns[j - 1] + side - columns[j] if j else 0
        top = rows[i - 1] + side - rows[i] if i else 0
        closes_row = self.tileable and j and j == len(columns) - 1
        closes_column = self.tileable and i and i == len(rows) - 1
        right = columns[j] + side - W if closes_row else 0
        bottom = rows[i] + side - H if closes_column else 0
        return left, top, right, bottom

    def put_patch(self, y: int, x: int, overlaps: tuple[int, int, int, int]) -> None:
        """Draw a patch, and copy the pixels on the new side of its cuts."""
        canvas, side, colours = self.canvas, self.sides[self.pass_], self.material.colours
        at = y + canvas.margin, x + canvas.margin
        ((positions, _),) = self.search.candidates(canvas.picture, canvas.known, [at])
        source = int(positions[self.random.integers(len(positions))])
        width = self.material.planes.shape[2]
        sources = source + np.arange(side)[:, None] * width + np.arange(side)
        place = (slice(colours), slice(at[0], at[0] + side), slice(at[1], at[1] + side))
        old, known = canvas.picture[place], canvas.known[place][0]
        cost = ((old - canvas.flat[:colours, sources]) ** 2).sum(axis=0) * known
        new = ~(old_pixels(cost, overlaps) & known)
        canvas.put_patch(y, x, np.where(new, sources, -1))

    def searches_left(self) -> float:
        """How many searches are to come; those of later passes count by the size of their patches,
        which are compared with those of the pass before as well."""
        rows, columns = self.grids[self.pass_]
        found, planes = float(len(rows) * len(columns) - self.patch), len(self.canvas.picture)
        for i in range(self.pass_ + 1, len(self.sides)):
            work = len(self.material.planes) + self.material.colours
            size = (self.sides[i] / self.sides[self.pass_]) ** 2 * work / planes
            found += len(self.grids[i][0]) * len(self.grids[i][1]) * size
        return found

    @property
    def searched(self) -> int:
        """How many searches there have been."""
        return self.done

    def skip_to_middle(self, source: np.ndarray) -> None:
        """Fill the first half of this pass from anywhere, to see how long patches take."""
        rows, columns = self.grids[self.pass_]
        i = len(rows) // 2
        if i:
            below = np.arange(self.size[0])[:, None] >= rows[i - 1] + self.sides[self.pass_]
            self.canvas.put_all(np.where(below, -1, source))
        self.patch = self.done = i * len(columns)

    def snapshot(self) -> np.ndarray:
        """The picture so far, uint8 (H, W, C)."""
        return to_bytes(self.canvas.image)

    # --- the state, to go on later --------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that decides how it goes on; arrays and JSON values."""
        return {
            "source": self.canvas.source.copy(),
            "before": self.before if self.before is not None else np.empty((0, 0), np.int64),
            "pass": self.pass_, "patch": self.patch, "done": self.done,
            "random": self.random.bit_generator.state,
        }  # fmt: skip

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where state() was taken."""
        self.pass_, self.patch, self.done = state["pass"], state["patch"], state["done"]
        self.before = state["before"] if state["before"].size else None
        self.start_pass()
        self.canvas.put_all(state["source"])
        self.random.bit_generator.state = state["random"]


def starts(length: int, side: int, tileable: bool) -> list[int]:
    """Where patches of a row begin: a sixth of a patch before the one ahead ends.

    Those of a tile are spread evenly, which can be up to half a patch in one that is small.
    """
    step = side - max(1, round(side / OVERLAP))
    n = -(-length // step)
    if tileable:
        return [i * length // n for i in range(n)]
    return [i * step for i in range(n) if i == 0 or (i - 1) * step + side < length]
