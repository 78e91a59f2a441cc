"""How far the patches of a picture are from those of a style (Li and Wand 2016, equations 2 and 3).

    E(x) = sum over patches i of |p_i(x) - q_i|^2        q_i: the style patch that matches p_i best

p_i are patches of feature maps, and q_i has the largest normalised cross-correlation with p_i
(minidl/ops/match_patches.py). Each position of the maps lies in several patches, n of them, and
each of these wants it to be something, t_1 ... t_n. With m their mean,

    sum over k of (x - t_k)^2 = n (x - m)^2 + sum over k of (t_k - m)^2

So the energy is a weighted distance to one target m, plus a constant that says how much the patches
disagree, and its gradient is 2 n (x - m). Nothing of the size of all patches is made on the way.

The authors' code has another gradient, w (x - m), in which every position counts alike, however
many patches it lies in, and reports a loss of 0. It is the gradient "reference" here, times the
mean of 2 n, so that both go with the same weight; what is reported is always the energy.

The energy is divided by what it would be for features of 0, on average: the number of patches times
the mean of |q|^2. So it is of the order of 1 for any layer, network, size and stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from minidl.device import array_module
from minidl.function import Function
from minidl.kernels.sums import total
from minidl.nn import functional as F
from minidl.ops.match_patches import patch_places
from minidl.tensor import Tensor

GRADIENTS = ("energy", "reference")


@dataclass
class Target:
    """What the matched patches want of the features of a picture.

    Args:
        mean: m, (1, C, H, W).
        coverage: n, in how many patches a position lies, (1, 1, H, W).
        disagreement: sum of (t - m)^2 over all positions and patches.
        correlation: mean over the patches of the correlation with their match.
    """

    mean: Any
    coverage: Any
    disagreement: float
    correlation: float


class StylePatches:
    """The patches of a layer's features of a style, and of turned and scaled copies of it.

    Args:
        features: of each copy, (1, C, H, W).
        patch: height and width of a patch.
        stride: from patch to patch, in the style and in the picture.

    Attributes:
        size: the mean of |q|^2 over all patches.
    """

    def __init__(self, features: Sequence[Tensor], patch: int, stride: int):
        self.patch, self.stride = patch, stride
        self.xp = array_module(features[0].data)
        # Pixels of all copies one behind the other, (pixels, C), and where each copy begins.
        self.pixels = self.xp.concatenate([pixels_of(f.data) for f in features])
        self.starts, self.features = [0], []
        for f in features:
            begin, (H, W) = self.starts[-1], f.shape[2:]
            self.starts.append(begin + H * W)
            maps = self.pixels[begin : begin + H * W].reshape(1, H, W, -1)
            self.features.append(Tensor(maps.transpose(0, 3, 1, 2)))  # the same memory
        features = self.features
        sums = [self.patch_sizes(f) for f in features]
        self.size = sum(float(s.sum()) for s in sums) / sum(s.size for s in sums)

    def patch_sizes(self, features: Tensor) -> Any:
        """|q|^2 of the patches of one copy."""
        squares = (features.data.astype("float64") ** 2).sum(axis=1)[0]
        rows, columns = self.places(features)
        result = 0
        for r in range(self.patch):
            for s in range(self.patch):
                result = result + squares[self.xp.ix_(rows + r, columns + s)]
        return result

    def places(self, features: Tensor) -> tuple[Any, Any]:
        """First rows and first columns of patches."""
        places = (patch_places(size, self.patch, self.stride) for size in features.shape[2:])
        rows, columns = (self.xp.asarray(at) for at in places)
        return rows, columns

    def match(self, x: Tensor) -> Target:
        """Find the best match of every patch of x, (1, C, H, W), and blend the matches."""
        xp, (rows, columns) = self.xp, self.places(x)
        firsts, widths, best = self.best(x)
        C, H, W = x.shape[1:]
        wanted = xp.zeros((H, W, C), x.data.dtype)
        coverage, squares = xp.zeros((H, W, 1), x.data.dtype), 0.0
        for r in range(self.patch):
            for s in range(self.patch):
                pixels, at = self.pixels[firsts + r * widths + s], xp.ix_(rows + r, columns + s)
                wanted[at] += pixels
                coverage[at] += 1
                squares += float(total(pixels * pixels, (0, 1, 2)))
        mean = wanted / xp.maximum(coverage, 1)
        kept = float(total(coverage * mean * mean, (0, 1, 2)))
        return Target(
            mean.transpose(2, 0, 1)[None], coverage.transpose(2, 0, 1)[None],
            max(squares - kept, 0.0), float(best.mean()),
        )  # fmt: skip

    def best(self, x: Tensor) -> tuple[Any, Any, Any]:
        """Of each patch of x: the first pixel of its match, the width of that copy in pixels, and
        the correlation."""
        xp = self.xp
        found: tuple[Any, ...] = ()
        for start, copy in zip(self.starts, self.features):
            indices, correlations = F.match_patches(x, copy, self.patch, self.stride)
            rows, columns = self.places(copy)
            row, column = xp.divmod(indices.data[0], len(columns))
            width = copy.shape[3]
            first, score = start + rows[row] * width + columns[column], correlations.data[0]
            if not found:
                found = first, xp.full_like(first, width), score
            else:  # of equals, the first copy wins
                better = score > found[2]
                new = (first, width, score)
                found = tuple(xp.where(better, a, b) for a, b in zip(new, found))
        first, width, score = found
        return first, width, score


def pixels_of(x: Any) -> Any:
    """(1, C, H, W) as (H W, C)."""
    return x[0].transpose(1, 2, 0).reshape(-1, x.shape[1])


class PatchEnergy(Function):
    """n (x - m)^2 summed up, plus the disagreement; see the top of this file."""

    def __init__(self, target: Target, gradient: str):
        self.target, self.gradient = target, gradient

    def forward(self, x: Any) -> Any:
        self.difference = x - self.target.mean
        self.weighted = self.difference * self.target.coverage
        energy = total(self.weighted * self.difference, (0, 1, 2, 3))
        return energy + x.dtype.type(self.target.disagreement)

    def backward(self, gy: Any) -> Any:
        if self.gradient == "energy":
            return self.weighted * (2 * gy)
        covered = self.target.coverage > 0
        return self.difference * covered * (2 * gy * self.target.coverage.mean())


def patch_energy(
    x: Tensor, patches: StylePatches, target: Target, gradient: str = "energy"
) -> Tensor:
    """The energy of features, divided by that of features of 0.

    Args:
        x: (1, C, H, W).
        patches: of the style.
        target: from patches.match(x), or from earlier features of the picture.
        gradient: "energy" or "reference".

    Returns:
        A number, 0 where every patch of x is a patch of the style and all agree.
    """
    rows, columns = patches.places(x)
    scale = len(rows) * len(columns) * patches.size
    return PatchEnergy(target, gradient).apply(x) / (scale or 1.0)
