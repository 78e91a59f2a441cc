"""Drawn frames that do not flicker.

A network that sees each frame for itself flickers: a pixel that hardly changes in the video may
well change in the drawing. So a drawn frame is blended with the one drawn before, where the video
stays the same:

    drawn[t] = (1 - w) net(frame[t]) + w drawn[t - 1]
    w        = smooth exp(-(d / TOLERANCE)^2)

with d the distance of the two frames at the pixel, in the mean over its neighbourhood. Where
something moves, w is 0 and nothing is smeared.
"""

from __future__ import annotations

import numpy as np

TOLERANCE = 0.04  # of the range of a colour: noise of the camera is below, movement above
AROUND = 4  # pixels to each side that belong to a neighbourhood


class Smoother:
    """Drawn frames with those before, as the module's text says.

    Args:
        smooth: the most that the frame before counts, from 0 (not at all) to below 1.
    """

    def __init__(self, smooth: float):
        self.smooth = np.float32(smooth)
        self.frame: np.ndarray | None = None
        self.drawn: np.ndarray | None = None

    def __call__(self, frame: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """The drawn frame, blended; both float32 (H, W, 3) from 0 to 1."""
        if self.frame is not None and self.smooth > 0:
            weight = self.smooth * np.exp(-np.square(self.change(frame) / TOLERANCE))
            drawn = drawn + weight[..., None] * (self.drawn - drawn)
        self.frame, self.drawn = frame, drawn
        return drawn

    def change(self, frame: np.ndarray) -> np.ndarray:
        """(H, W): how far a frame's neighbourhood of each pixel is from the frame before's."""
        return box_mean(np.abs(frame - self.frame).mean(axis=2), AROUND)


def box_mean(values: np.ndarray, around: int) -> np.ndarray:
    """The mean over (2 around + 1)^2 pixels; edges are repeated."""
    for axis in (0, 1):
        widths = [(0, 0), (0, 0)]
        widths[axis] = around + 1, around
        sums = np.cumsum(np.pad(values, widths, "edge"), axis=axis, dtype=np.float64)
        span = 2 * around + 1
        values = np.take(sums, range(span, sums.shape[axis]), axis) - np.take(
            sums, range(sums.shape[axis] - span), axis
        )
        values = values / span
    return values.astype(np.float32)
