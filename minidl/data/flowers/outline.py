"""The outline of a petal: what the renderer fills and the oracle measures.

A petal lies along its axis, from the flower's middle (along = 0) to its tip (along = 1); `across`
is the distance from the axis. Its half-width is

    round     W (1 - 0.6 t^2), t = (0.62 - along) / 0.62     up to its widest place, at 0.62
              the half of an ellipse beyond, up to the tip
    pointed   W (1 - along) (1 + 2 along) / 1.125            widest at 0.25

with W such that neighbours do not quite touch at their widest. All is additions, products,
quotients and roots, which every machine rounds alike; sines are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Half-widths W by number of petals, for a flower of radius 1.
ROUND = {4: 0.40, 5: 0.36, 6: 0.315, 8: 0.235}
POINTED = {4: 0.33, 5: 0.29, 6: 0.25, 8: 0.195}
WIDEST = 0.62  # where a round petal is widest


def depth_inside(shape: str, width: float, along: Any, across: Any) -> Any:
    """About how far inside a petal a point lies: 0 on its outline, negative outside.

    Args:
        shape: "round" or "pointed".
        width: W.
        along: float32, any shape, from 0 to about 1.5.
        across: float32 of that shape, not negative.

    Returns:
        float32 of that shape, in parts of the petal's length.
    """
    if shape == "pointed":
        half = (1 - along) * (1 + 2 * along)
        half *= width / 1.125
        half -= across
        half *= 0.8  # the outline is steep, so the distance is shorter than that across
        return half
    before = np.maximum(WIDEST - along, 0)
    before *= 1 / WIDEST
    half = np.maximum(1 - 0.6 * before * before, 0.2)
    half *= width
    ellipse = across / half
    ellipse *= ellipse
    beyond = np.maximum(along - WIDEST, 0)
    beyond *= 1 / (1 - WIDEST)
    ellipse += beyond * beyond
    depth = 1 - np.sqrt(ellipse)
    depth *= width
    return depth
