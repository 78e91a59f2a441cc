"""The loss over the learning rate, as SVG: a logarithmic axis, the loss of each step as a dot, the
smoothed loss as a line, and a mark at the suggested rate."""

from __future__ import annotations

import math

from markupsafe import Markup

from apps.classify.lr_find.sweep import Sweep
from apps.shared.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, nice_ticks, y_axis


def lr_chart(sweep: Sweep) -> Markup:
    """The chart of a range test.

    Args:
        sweep: what it saw.

    Returns:
        an <svg> element.
    """
    # Up to a little above where it began: an explosion would press all that matters flat.
    ticks = nice_ticks(min(sweep.smoothed), 1.2 * max(sweep.smoothed[: len(sweep.rates) // 4]))
    low, high = math.log10(sweep.rates[0]), math.log10(sweep.rates[-1])
    top = HEIGHT - TOP - BOTTOM

    def x_of(rate: float) -> float:
        at = (math.log10(rate) - low) / (high - low)
        return round(LEFT + 4 + at * (WIDTH - LEFT - RIGHT - 8), 2)

    def y_of(loss: float) -> float:
        at = (min(loss, ticks[-1]) - ticks[0]) / (ticks[-1] - ticks[0])
        return round(TOP + (1 - max(at, 0)) * top, 2)

    says = f"Loss over the learning rate, lowest at {sweep.lowest:.2g}"
    if sweep.steepest is not None:
        says += f", its steepest fall at {sweep.steepest:.2g}"
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    dot = Markup('<circle class="dot s1" cx="{}" cy="{}" r="1.1"/>')
    points = list(zip(sweep.rates, sweep.smoothed))
    path = " ".join(f"{'L' if i else 'M'}{x_of(r)} {y_of(s)}" for i, (r, s) in enumerate(points))
    parts = [
        head.format(WIDTH, HEIGHT, says),
        y_axis(ticks, y_of, lambda value: f"{value:.4g}"),
        powers_of_ten(low, high, x_of),
        *(dot.format(x_of(r), y_of(loss)) for r, loss in zip(sweep.rates, sweep.losses)),
        Markup('<path class="line s0" d="{}"/>').format(path),
    ]
    if sweep.steepest is not None:
        parts.append(mark(x_of(sweep.steepest), f"{sweep.steepest:.2g}"))
    parts.append(Markup("</svg>"))
    return Markup("\n").join(parts)


def powers_of_ten(low: float, high: float, x_of) -> Markup:
    """1e-5, 1e-4, ... below the axis, every second one where there are many."""
    powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    step = 1 if len(powers) <= 7 else 2
    text = Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">1e{}</text>')
    y = HEIGHT - BOTTOM + 16
    texts = [text.format(x_of(10.0**power), y, power) for power in powers[::step]]
    middle = (LEFT + WIDTH - RIGHT) / 2
    word = Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">learning rate</text>')
    return Markup("").join([*texts, word.format(middle, HEIGHT - 2)])


def mark(x: float, says: str) -> Markup:
    """A vertical line with a number above it."""
    anchor = "end" if x > WIDTH / 2 else "start"
    return Markup(
        '<line class="line s0" x1="{x}" x2="{x}" y1="{}" y2="{}"/>'
        '<text x="{x}" y="13" text-anchor="{anchor}">{says}</text>'
    ).format(TOP - 4, HEIGHT - BOTTOM, x=x, anchor=anchor, says=says)
