"""Window search: the windows of a sample that look most like a window of a picture.

    e(q) = sum over the known pixels t of the window at place p of
               weight[t] (sample[q + t] - picture[p + t])^2
    candidates: all q with e(q) <= (1 + tolerance) min e

Efros and Leung 1999, "Texture synthesis by non-parametric sampling", section 2, with weights that
fall like a Gaussian; the patches of Efros and Freeman 2001, "Image quilting", section 2, with those
of the overlap alone. The errors that are returned are divided by the sum of the weights that
counted. There is no gradient: the result is a choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minidl import kernels
from minidl.checks import check_floating, check_ndim
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.shapes import is_number
from minidl.tensor import Tensor


class WindowSearch:
    """A sample that is searched for windows of pictures, again and again.

    Planes of a picture are its colours, and whatever else is to agree: a guide map, for instance.
    Their weights say how much.

    Args:
        sample: (P, H, W), P planes, finite.
        weights: (P, R, S), >= 0 and finite: how much each number of a window counts.
        allowed: (H, W), bool: which positions, of a window's first pixel, may be found. Those where
            the window would leave the sample never are. By default all others.
        tolerance: how much larger than the smallest error that of a candidate may be.

    Raises:
        ShapeError: the shapes do not fit, or the window is larger than the sample.
        ArgumentError: tolerance or a weight is negative or not finite, a number of the sample is
            not finite, or no position is left.
        DtypeError: of another type than the sample, or allowed is not bool.

    >>> sample = minidl.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    >>> search = WindowSearch(sample, minidl.ones(1, 2, 2))
    >>> known = np.array([[[True, True], [False, False]]])
    >>> search.candidates(np.full((1, 2, 2), 2.0, np.float32), known, [(0, 0)])
    [(array([0, 1]), array([0.5, 0.5], dtype=float32))]
    """

    def __init__(
        self,
        sample: Tensor,
        weights: Tensor,
        allowed: Tensor | None = None,
        tolerance: float = 0.1,
    ):
        op = "window_search"
        check_floating(op, input=sample, weights=weights)
        check_ndim(op, "sample", sample, 3, "(P, H, W)")
        check_ndim(op, "weights", weights, 3, "(P, R, S)")
        if not is_number(tolerance) or not 0 <= tolerance < math.inf:
            raise ArgumentError(op, "tolerance is a number of at least 0", {"tolerance": tolerance})
        (P, H, W), (planes, R, S) = sample.shape, weights.shape
        if P != planes or not 1 <= R <= H or not 1 <= S <= W:
            raise ShapeError(
                op,
                "the weights are those of a window of the sample, with as many planes",
                {"sample": sample, "weights": weights},
            )
        self.kernel = kernels.pick("window_search", sample.data)
        self.weights = np.ascontiguousarray(weights.data)
        self.allowed = usable_positions(op, allowed, (H, W), (R, S))
        self.sample = self.kernel.prepare(np.ascontiguousarray(sample.data))
        self.shape, self.tolerance = sample.shape, float(tolerance)
        finite = np.isfinite(self.weights).all() and np.isfinite(sample.data).all()
        if not finite or not (self.weights >= 0).all():
            raise ArgumentError(
                op, "weights are at least 0, they and the numbers of the sample finite",
                {"sample": sample, "weights": weights},
            )  # fmt: skip
        # The largest weights first, so that a bad position shows soon.
        falling = -self.weights.sum(axis=0).ravel()
        self.order = np.argsort(falling, kind="stable")

    def candidates(
        self, picture: np.ndarray, known: np.ndarray, places: Sequence
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """The windows of the sample that look like those of a picture.

        Args:
            picture: (P, h, w), contiguous, of the sample's dtype.
            known: (P, h, w), bool: which of its numbers count.
            places: N pairs of ints, y and x of the first pixel of each window.

        Returns:
            for each place (positions, errors): y W + x of the first pixel of each candidate,
            ascending, and its error. Where nothing is known, that is all allowed positions.

        Raises:
            ShapeError, DtypeError, ArgumentError: an argument is something else.
            ArgumentError: no allowed window has a finite error: a known number of the picture is
                not finite, or the squares overflow.
        """
        _, R, S = self.weights.shape
        if picture.shape != known.shape or len(picture) != self.shape[0]:
            raise ShapeError(
                "window_search",
                f"picture and known have {self.shape[0]} planes of the same size",
                {"picture": picture, "known": known},
            )
        if picture.dtype != self.weights.dtype or known.dtype != bool:
            raise DtypeError(
                "window_search",
                f"picture is {self.weights.dtype}, known is bool",
                {"picture": picture, "known": known},
            )
        bottom, right = picture.shape[1] - R, picture.shape[2] - S
        for y, x in places:
            if not is_index(y) or not is_index(x):
                raise ArgumentError(
                    "window_search", "places are pairs of ints", {"places": [*map(tuple, places)]}
                )
            if not 0 <= y <= bottom or not 0 <= x <= right:
                raise ArgumentError(
                    "window_search", "each window lies in the picture",
                    {"picture": picture, "places": [*map(tuple, places)], "window": (R, S)},
                )  # fmt: skip
        found = self.kernel.candidates(
            self.sample, self.allowed, np.ascontiguousarray(picture), np.ascontiguousarray(known),
            np.array(places, np.int64).reshape(-1, 2), self.weights, self.order, self.tolerance,
        )  # fmt: skip
        for (positions, _), place in zip(found, places):
            if not len(positions):
                raise ArgumentError(
                    "window_search", "numbers of the picture are finite, and so are their squares",
                    {"picture": picture, "place": tuple(place)},
                )  # fmt: skip
        return found


def is_index(value: object) -> bool:
    return type(value) is int or (
        isinstance(value, int | np.integer) and not isinstance(value, bool)
    )


def usable_positions(
    op: str, allowed: Tensor | None, size: tuple[int, int], window: tuple[int, int]
) -> np.ndarray:
    """The allowed positions at which the window fits into the sample."""
    if allowed is None:
        usable = np.ones(size, bool)
    elif allowed.dtype != bool or allowed.shape != size:
        raise ShapeError(op, f"allowed is bool {size}", {"allowed": allowed})
    else:
        usable = allowed.data.copy()
    usable[size[0] - window[0] + 1 :] = False
    usable[:, size[1] - window[1] + 1 :] = False
    if not usable.any():
        raise ArgumentError(
            op, "no window of the sample may be used", {"window": window, "sample": size},
            "a smaller window, or a larger sample",
        )  # fmt: skip
    return usable
