"""Line charts as SVG: no script, no font, no file beside the page.

A chart is 320 units wide and shown at least 320 pixels wide, so 12 units of text stay 12 pixels.
Pointing at an epoch shows its values: each epoch has an invisible band with a text in it, and the
page's CSS makes the text visible under the pointer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 320, 200
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 24, 34  # margins around the plot


@dataclass
class Series:
    """One line: a name, and a value per epoch (None or not finite where there is none)."""

    name: str
    values: list[float | None]


def line_chart(title: str, epochs: list[int], series: list[Series], form: Callable) -> Markup:
    """A chart of values over epochs.

    Args:
        title: what is shown, for screen readers.
        epochs: the numbers on the x axis.
        series: up to two lines; the page styles them by their place.
        form: value -> text, for the axis and the values under the pointer.

    Returns:
        An <svg> element.
    """
    # Not "line": Python 3.12.1 then takes the function line() below for the variable.
    values = [v for s in series for v in s.values if is_number(v)]
    if not values:
        return Markup('<p class="note">No values.</p>')
    ticks = nice_ticks(min(values), highest(values))
    x_of, y_of = scales(epochs, ticks)
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            WIDTH, HEIGHT, describe(title, epochs, series, form)
        ),
        y_axis(ticks, y_of, form),
        x_axis(epochs, x_of),
    ]
    parts += [line(i, epochs, s.values, x_of, y_of) for i, s in enumerate(series)]
    parts += bands(epochs, series, x_of, y_of, form)
    return Markup("\n").join([*parts, Markup("</svg>")])


def is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def describe(title: str, epochs: list[int], series: list[Series], form: Callable) -> str:
    """The chart in words: where each line starts and ends."""
    texts = []
    for s in series:
        known = [(epoch, v) for epoch, v in zip(epochs, s.values) if is_number(v)]
        if known:
            (first, start), (last, end) = known[0], known[-1]
            texts.append(f"{s.name} {form(start)} at epoch {first}, {form(end)} at epoch {last}")
    return f"{title}: {'; '.join(texts)}"


def highest(values: list[float]) -> float:
    """The value that the axis reaches: the largest, unless it dwarfs nearly all of the others.

    Such values, often of the first epoch, are drawn at the upper edge; the pointer and the table
    beside the chart have them as they are.
    """
    ordered = sorted(values)
    usual = ordered[int(0.9 * (len(ordered) - 1))]
    if len(ordered) < 10 or usual <= 0:
        return ordered[-1]
    return max(value for value in ordered if value <= 5 * usual)


def nice_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """About `about` round numbers (1, 2 or 5 times a power of ten) that enclose low and high."""
    if high - low < 1e-12 * max(1.0, abs(high)):
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(12, 12 - math.floor(math.log10(step)))  # a tiny step has its digits further back
    return [round(i * step, digits) for i in range(first, last + 1)]


def scales(epochs: list[int], ticks: list[float]) -> tuple[Callable, Callable]:
    """Functions from epoch to x and from value to y."""
    first, last = epochs[0], epochs[-1]
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x_of(epoch: float) -> float:
        at = (epoch - first) / (last - first) if last > first else 0.5
        return round(LEFT + 4 + at * (width - 8), 2)

    def y_of(value: float) -> float:
        share = min((value - ticks[0]) / (ticks[-1] - ticks[0]), 1)
        return round(TOP + (1 - share) * height, 2)

    return x_of, y_of


def y_axis(ticks: list[float], y_of: Callable, form: Callable) -> Markup:
    """A thin line across the plot and a number beside it for each tick."""
    mark = Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>'
        '<text class="tick" x="{}" y="{y}" dy="4" text-anchor="end">{}</text>'
    )
    rows = [mark.format(LEFT, WIDTH - RIGHT, LEFT - 6, form(t), y=y_of(t)) for t in ticks]
    return Markup("").join(rows)


def x_axis(epochs: list[int], x_of: Callable) -> Markup:
    """At most six whole epochs, and the word."""
    span = epochs[-1] - epochs[0]
    step = max(1, int(nice_ticks(0, span)[1])) if span else 1
    shown = [e for e in epochs if e % step == 0 or span == 0]
    if epochs[0] not in shown and x_of(shown[0]) - x_of(epochs[0]) > 24:
        shown.insert(0, epochs[0])
    y = HEIGHT - BOTTOM + 16
    mark = Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>')
    texts = [mark.format(x_of(epoch), y, epoch) for epoch in shown]
    middle = (LEFT + WIDTH - RIGHT) / 2
    texts.append(mark.format(middle, HEIGHT - 2, "epoch"))
    return Markup("").join(texts)


def line(index: int, epochs: list, values: list, x_of: Callable, y_of: Callable) -> Markup:
    """A path through the finite values, lifted where one is missing; dots if there are few."""
    path, pen_down, dots = [], False, []
    for epoch, value in zip(epochs, values):
        if is_number(value):
            path.append(f"{'L' if pen_down else 'M'}{x_of(epoch)} {y_of(value)}")
            dots.append((x_of(epoch), y_of(value)))
        pen_down = is_number(value)
    text = Markup('<path class="line s{}" d="{}"/>').format(index, " ".join(path))
    if len(dots) <= 25:
        dot = Markup('<circle class="dot s{}" cx="{}" cy="{}" r="2.2"/>')
        text += Markup("").join(dot.format(index, x, y) for x, y in dots)
    return text


def bands(epochs: list, series: list[Series], x_of: Callable, y_of: Callable, form) -> list[Markup]:
    """For each epoch what the pointer shows: a vertical line, a ring per value, the values."""
    edges = [LEFT, *((x_of(a) + x_of(b)) / 2 for a, b in zip(epochs, epochs[1:])), WIDTH - RIGHT]
    result = []
    for i, epoch in enumerate(epochs):
        known = [(k, s) for k, s in enumerate(series) if is_number(s.values[i])]
        says = " · ".join([f"epoch {epoch}", *(f"{s.name} {form(s.values[i])}" for _, s in known)])
        rings = Markup("").join(
            Markup('<circle class="ring s{}" cx="{}" cy="{}" r="4"/>').format(
                k, x_of(epoch), y_of(s.values[i])
            )
            for k, s in known
        )
        result.append(
            Markup(
                '<g class="band"><rect x="{left}" y="0" width="{width}" height="{height}"/>'
                '<g class="tip"><line x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>{rings}'
                '<text x="{end}" y="13" text-anchor="end">{says}</text></g></g>'
            ).format(
                left=round(edges[i], 2),
                width=round(edges[i + 1] - edges[i], 2),
                height=HEIGHT - BOTTOM + 18,
                x=x_of(epoch),
                top=TOP,
                bottom=HEIGHT - BOTTOM,
                rings=rings,
                end=WIDTH - RIGHT,
                says=escape(says),
            )
        )
    return result
