"""Line search for the strong Wolfe conditions (Nocedal and Wright 2006, algorithms 3.5 and 3.6).

Along a direction d from x, with f(t) = loss(x + t d), find a step t so that

    f(t) <= f(0) + c1 t f'(0)           the loss falls enough for the length of the step
    |f'(t)| <= c2 |f'(0)|               the slope has flattened: a longer step gains little

First the step grows until an interval surely holds such a t, then the interval shrinks. Trial
steps are minima of cubics through two values and slopes (equation 3.59). Safeguards are those of
minFunc and PyTorch: a step grows at most tenfold, a trial stays off the ends of the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Point(NamedTuple):
    """The loss f, its gradient g (flat array) and slope g . d at step length t."""

    t: float
    f: float
    g: Any
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    t: float,
    max_trials: int = 25,
    shortest: float = 1e-9,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> tuple[Point, int]:
    """Find a step length that satisfies both conditions, or the best found.

    Args:
        evaluate: t -> Point.
        start: the Point at t = 0, with a negative slope.
        t: the first step to try, > 0.
        max_trials: how many further steps may be tried.
        shortest: an interval shorter than this is not searched.
        c1: of the first condition.
        c2: of the second condition.

    Returns:
        (the Point, how often evaluate was called).
    """

    def too_high(point: Point) -> bool:
        return not point.f <= start.f + c1 * point.t * start.slope  # NaN is too high as well

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -c2 * start.slope

    # Grow, until the loss rises or its slope does.
    previous, point, trials = start, evaluate(t), 0
    while trials < max_trials:
        if too_high(point) or (trials > 1 and point.f >= previous.f):
            break
        if flat(point):
            return point, trials + 1
        if point.slope >= 0:
            break
        farther = cubic_minimum(
            previous, point, point.t + 0.01 * (point.t - previous.t), 10 * point.t
        )
        previous, point = point, evaluate(farther)
        trials += 1
    else:
        previous = start  # it never rose: take the better one of the last trial and no step

    # Shrink. `low` is the lowest point so far that meets the first condition; a good t lies
    # between it and `high`.
    falls = point.f < previous.f and not too_high(point)
    low, high = (point, previous) if falls else (previous, point)
    was_near_end = False
    while trials < max_trials and abs(high.t - low.t) >= shortest:
        t = cubic_minimum(low, high, min(low.t, high.t), max(low.t, high.t))
        t, was_near_end = off_the_ends(t, low.t, high.t, was_near_end)
        point = evaluate(t)
        trials += 1
        if too_high(point) or point.f >= low.f:
            high = point
            continue
        if flat(point):
            return point, trials + 1
        if point.slope * (high.t - low.t) >= 0:
            high = low
        low = point
    return low, trials + 1


def cubic_minimum(a: Point, b: Point, lowest: float, highest: float) -> float:
    """Where the cubic through the values and slopes of a and b is lowest, within bounds."""
    if a.t > b.t:
        a, b = b, a
    if a.t == b.t:
        return a.t
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:  # the cubic has no minimum, or something is NaN
        return (lowest + highest) / 2
    d2 = math.sqrt(square)
    denominator = b.slope - a.slope + 2 * d2
    if denominator == 0:
        return (lowest + highest) / 2
    t = b.t - (b.t - a.t) * (b.slope + d2 - d1) / denominator
    return min(max(t, lowest), highest)


def off_the_ends(t: float, a: float, b: float, was_near_end: bool) -> tuple[float, bool]:
    """Move a trial step away from the ends of the interval: the second time in a row it is
    within a tenth of one, or at once if it is on it. Also returns whether it was near."""
    low, high = min(a, b), max(a, b)
    tenth = 0.1 * (high - low)
    if min(high - t, t - low) >= tenth:
        return t, False
    if not was_near_end and low < t < high:
        return t, True
    return (high - tenth if high - t < t - low else low + tenth), False
