"""Line charts as SVG: no script, no font, no file beside the page.

A chart is 320 units wide and shown at least 320 pixels wide, so 12 units of text stay 12 pixels.
Pointing at a place shows the values there: each place has an invisible band with a text in it, and
the page's CSS makes the text visible under the pointer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from markupsafe import Markup

WIDTH, HEIGHT = 320, 200
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 24, 34  # margins around the plot
COLOURS = 6  # of lines, .s0 to .s5 in the style; a seventh line gets the first colour again
DOTS = 25  # a line through more values shows none of them
BANDS = 100  # with more places the pointer finds only some of them: the page stays small
ONE_LINE = 48  # characters of a text above the plot; longer ones become a box inside it
ROW = 15  # units of height of a line in that box


@dataclass
class Series:
    """One line of a chart.

    Args:
        name: in the legend.
        values: one per place on the x axis; None or not finite where there is none.
        dashed: tells validation from training where both have a line.
        colour: which of the page's colours; by default the place among the lines of the chart.
    """

    name: str
    values: Sequence[float | None]
    dashed: bool = False
    colour: int | None = None


def line_chart(
    title: str, xs: list[int], series: list[Series], form: Callable, over: str = "epoch"
) -> Markup:
    """A chart of values over epochs, steps or the like.

    Args:
        title: what is shown, for screen readers.
        xs: the places on the x axis, rising.
        series: the lines.
        form: value -> text, for the axis and the values under the pointer.
        over: what the x axis counts.

    Returns:
        An <svg> element.
    """
    # Not "line": Python 3.12.1 then takes the function line() below for the variable.
    values = [v for s in series for v in s.values if is_number(v)]
    if not values:
        return Markup('<p class="note">No values.</p>')
    ticks = nice_ticks(min(values), highest(values))
    x_of, y_of = scales(xs, ticks)
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            WIDTH, HEIGHT, describe(title, xs, series, form, over)
        ),
        y_axis(ticks, y_of, form),
        x_axis(xs, x_of, over),
    ]
    colours = [colour_of(s, i) for i, s in enumerate(series)]
    parts += [line(c, xs, s.values, x_of, y_of, s.dashed) for c, s in zip(colours, series)]
    parts += bands(xs, series, x_of, y_of, form, over)
    return Markup("\n").join([*parts, Markup("</svg>")])


def is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def describe(title: str, xs: list[int], series: list[Series], form: Callable, over: str) -> str:
    """The chart in words: where each line starts and ends."""
    texts = []
    for s in series:
        known = [(x, v) for x, v in zip(xs, s.values) if is_number(v)]
        if known:
            (first, start), (last, end) = known[0], known[-1]
            texts.append(f"{s.name} {form(start)} at {over} {first}, {form(end)} at {over} {last}")
    return f"{title}: {'; '.join(texts)}"


# --- axes ---------------------------------------------------------------------------------------


def highest(values: list[float]) -> float:
    """The value that the axis reaches: the largest, unless it dwarfs nearly all of the others.

    Such outliers, often of the first epoch, are drawn at the upper edge; the text under the pointer
    and the table beside the chart have their true values.
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


def scales(xs: list[int], ticks: list[float]) -> tuple[Callable, Callable]:
    """Functions from a place to its x and from a value to its y, in units of the drawing."""
    first, last = xs[0], xs[-1]
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x_of(x: float) -> float:
        at = (x - first) / (last - first) if last > first else 0.5
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


def x_axis(xs: list[int], x_of: Callable, over: str = "epoch") -> Markup:
    """At most six whole numbers, and what they count."""
    first, last = xs[0], xs[-1]
    step = max(1, int(nice_ticks(0, last - first)[1])) if last > first else 1
    shown = list(range(math.ceil(first / step) * step, math.floor(last) + 1, step)) or [first]
    if first not in shown and x_of(shown[0]) - x_of(first) > 24:
        shown.insert(0, first)
    y = HEIGHT - BOTTOM + 16
    mark = Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>')
    texts = [mark.format(x_of(x), y, x) for x in shown]
    middle = (LEFT + WIDTH - RIGHT) / 2
    texts.append(mark.format(middle, HEIGHT - 2, over))
    return Markup("").join(texts)


# --- lines --------------------------------------------------------------------------------------


def colour_of(series: Series, place: int) -> int:
    """The number of the line's colour."""
    return place if series.colour is None else series.colour


def style_of(colour: int, dashed: bool = False) -> str:
    """The classes of a line in the page's style."""
    return f"s{colour % COLOURS}{' dashed' if dashed else ''}"


def line(
    colour: int, xs: list, values: Sequence, x_of: Callable, y_of: Callable, dashed: bool = False
) -> Markup:
    """A path through the finite values, lifted where one is missing; dots if there are few."""
    path, pen_down, dots = [], False, []
    for x, value in zip(xs, values):
        if is_number(value):
            path.append(f"{'L' if pen_down else 'M'}{x_of(x)} {y_of(value)}")
            dots.append((x_of(x), y_of(value)))
        pen_down = is_number(value)
    text = Markup('<path class="line {}" d="{}"/>').format(style_of(colour, dashed), " ".join(path))
    if len(dots) <= DOTS:
        dot = Markup('<circle class="dot {}" cx="{}" cy="{}" r="2.2"/>')
        text += Markup("").join(dot.format(style_of(colour), x, y) for x, y in dots)
    return text


# --- under the pointer --------------------------------------------------------------------------


def bands(
    xs: list, series: list[Series], x_of: Callable, y_of: Callable, form: Callable, over: str
) -> list[Markup]:
    """For each place what the pointer shows: a vertical line, a ring per value, the values."""
    places = list(range(len(xs)))
    if len(xs) > BANDS:
        places = [round(i * (len(xs) - 1) / (BANDS - 1)) for i in range(BANDS)]
    middles = [x_of(xs[i]) for i in places]
    edges = [LEFT, *((a + b) / 2 for a, b in zip(middles, middles[1:])), WIDTH - RIGHT]
    ring = Markup('<circle class="ring {}" cx="{}" cy="{}" r="4"/>')
    band = Markup(
        '<g class="band"><rect x="{left}" y="0" width="{width}" height="{height}"/>'
        '<g class="tip"><line x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>{rings}{says}</g></g>'
    )
    found = []
    for left, right, x, i in zip(edges, edges[1:], middles, places):
        known = [(k, s) for k, s in enumerate(series) if is_number(s.values[i])]
        rings = [ring.format(style_of(colour_of(s, k)), x, y_of(s.values[i])) for k, s in known]
        says = [f"{over} {xs[i]}", *(f"{s.name} {form(s.values[i])}" for _, s in known)]
        found.append(
            band.format(
                left=round(left, 2),
                width=round(right - left, 2),
                height=HEIGHT - BOTTOM + 18,
                x=x,
                top=TOP,
                bottom=HEIGHT - BOTTOM,
                rings=Markup("").join(rings),
                says=tip(says, x),
            )
        )
    return found


def tip(says: list[str], x: float) -> Markup:
    """A line of text above the plot, or a box of lines in it, on the side where the pointer is not.

    Args:
        says: the place and the value of each line there.
        x: where the pointer is.
    """
    text = " · ".join(says)
    if len(text) <= ONE_LINE:
        return Markup('<text x="{}" y="13" text-anchor="end">{}</text>').format(WIDTH - RIGHT, text)
    width = min(14 + 6.2 * max(map(len, says)), WIDTH - RIGHT - LEFT)
    left = x + 8 if x + 8 + width <= WIDTH - RIGHT else max(x - 8 - width, LEFT)
    row = Markup('<tspan x="{}" dy="{}">{}</tspan>')
    rows = [row.format(round(left + 7, 2), ROW, text) for text in says]
    return Markup(
        '<rect class="box" x="{}" y="{}" width="{}" height="{}" rx="3"/><text y="{}">{}</text>'
    ).format(
        round(left, 2), TOP, round(width, 2), ROW * len(says) + 9, TOP + 3, Markup("").join(rows)
    )
