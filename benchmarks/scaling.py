"""How a job grows with its workers, in one SVG picture that a Markdown page can show.

On the left lines, on the right what the time of a step is made of. Both axes of the lines are
logarithmic, so what grows with the workers is a straight line. Colours as in curves.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import escape

from benchmarks.curves import COLOURS

WIDTH, HEIGHT = 820, 330
TOP, BOTTOM = 56, 292  # of both plots
LINES, AREAS = (44, 384), (514, 730)  # left and right edge of a plot
ROW = 15  # least distance of two names
# Parts of a step's time: what is useful is dark, what is waited for is light; the colours of lines
# mean something else.
PART_COLOURS = {
    "compute": "#4c5c6b", "stragglers": "#f2c14e", "cores": "#bcbcbc", "worker": "#9fc5e8",
    "network": "#8fcfb0", "server": "#e8976b", "coordinator": "#d9a5c7", "timers": "#e6e6e6",
}  # fmt: skip
STYLE = """\
svg { font-family: sans-serif; font-size: 12px; }
.background { fill: #ffffff; }
.title { font-size: 13px; fill: #222222; font-weight: bold; }
.tick { fill: #666666; }
.part { fill: #333333; }
.grid { stroke: #e4e4e4; stroke-width: 1; }
.ideal { stroke: #999999; stroke-width: 1.2; stroke-dasharray: 4 3; fill: none; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.area { stroke: #ffffff; stroke-width: 0.8; }
"""


@dataclass(frozen=True)
class Line:
    """Values at some numbers of workers, rising."""

    name: str
    points: Sequence[tuple[int, float]]


def write_scaling(
    path: Path,
    titles: tuple[str, str],
    lines: Sequence[Line],
    parts: Sequence[tuple[int, dict[str, float]]],
) -> None:
    """Draw speed-ups, and shares of the time of a step.

    Args:
        path: of the .svg file.
        titles: of both plots.
        lines: speed-ups, up to seven.
        parts: at some numbers of workers, rising, the share of each part.
    """
    ends = parts[0][0], parts[-1][0]
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' width="{WIDTH}" height="{HEIGHT}" role="img">',
        f"<style>{STYLE}</style>",
        f'<rect class="background" width="{WIDTH}" height="{HEIGHT}"/>',
        *(text(x, 20, title, "title") for x, title in zip((LINES[0], AREAS[0]), titles)),
        *draw_lines(ends, lines), *draw_areas(ends, parts), "</svg>",
    ]  # fmt: skip
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(drawn) + "\n")


def text(x: float, y: float, words: str, kind: str, anchor: str = "start", fill: str = "") -> str:
    colour = f' fill="{fill}"' if fill else ""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{colour}>'
        f"{escape(words)}</text>"
    )


def along(edges: tuple[int, int], low: float, high: float, value: float) -> float:
    """Where a value is on a logarithmic axis."""
    share = math.log(value / low) / math.log(high / low) if high > low else 0.5
    return edges[0] + share * (edges[1] - edges[0])


def decades(low: float, high: float) -> list[float]:
    """Powers of ten from low to high."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = [10.0**n for n in range(first, last + 1)]
    return [p for p in powers if low * 0.999 <= p <= high * 1.001]


def below(edges: tuple[int, int], ends: tuple[int, int]) -> list[str]:
    """The axis of workers."""
    marks = [
        text(along(edges, *ends, tick), BOTTOM + 17, f"{tick:,.0f}", "tick", "middle")
        for tick in decades(*ends)
    ]
    return [*marks, text((edges[0] + edges[1]) / 2, BOTTOM + 34, "workers", "tick", "middle")]


# --- lines --------------------------------------------------------------------------------------


def draw_lines(ends: tuple[int, int], lines: Sequence[Line]) -> list[str]:
    values = [value for line in lines for _, value in line.points]
    low, high = min(1.0, *values), max(float(ends[1]), *values)

    def x(n: float) -> float:
        return along(LINES, *ends, n)

    def y(value: float) -> float:
        return along((BOTTOM, TOP), low, high, value)

    drawn = below(LINES, ends)
    for tick in decades(low, high):
        drawn.append(
            f'<line class="grid" x1="{LINES[0]}" x2="{LINES[1]}" y1="{y(tick):.1f}"'
            f' y2="{y(tick):.1f}"/>'
        )
        drawn.append(text(LINES[0] - 6, y(tick) + 4, f"{tick:,.6g}", "tick", "end"))
    drawn.append(f'<path class="ideal" d="M{"L".join(f"{x(n):.1f} {y(n):.1f}" for n in ends)}"/>')
    names = [(y(ends[1]), "ideal", "#777777")]
    for line, colour in zip(lines, COLOURS):
        points = "L".join(f"{x(n):.1f} {y(v):.1f}" for n, v in line.points)
        drawn.append(f'<path class="line" stroke="{colour}" d="M{points}"/>')
        names.append((y(line.points[-1][1]), line.name, colour))
    for place, name, colour in beside(names):
        drawn.append(text(LINES[1] + 6, place + 4, name, "name", fill=colour))
    return drawn


def beside(names: list[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Names (place, text, colour) as they stand at the right edge of a plot."""
    names = sorted(names)
    places = spread([place for place, _, _ in names])
    return [(place, name, colour) for place, (_, name, colour) in zip(places, names)]


def spread(places: Sequence[float]) -> list[float]:
    """Where names stand beside places, from the top: as near as can be, and none on another.

    >>> spread([10.0, 12.0, 100.0])
    [3.5, 18.5, 100.0]
    """
    groups: list[list[float]] = []  # of names without a gap: [how many, sum of their places]
    for place in places:
        groups.append([1, place])
        while len(groups) > 1:
            (n, a), (k, b) = groups[-2:]
            if b / k - a / n >= ROW * (n + k) / 2:
                break
            groups[-2:] = [[n + k, a + b]]
    return [
        total / n + ROW * (i - (n - 1) / 2) for n, total in groups for i in range(int(n))
    ]  # fmt: skip


# --- areas --------------------------------------------------------------------------------------


def draw_areas(ends: tuple[int, int], parts: Sequence[tuple[int, dict[str, float]]]) -> list[str]:
    def x(n: float) -> float:
        return along(AREAS, *ends, n)

    def y(share: float) -> float:
        return BOTTOM - share * (BOTTOM - TOP)

    workers = [n for n, _ in parts]
    drawn, names = below(AREAS, ends), []
    floor = [0.0] * len(parts)
    for name, colour in PART_COLOURS.items():
        shares = [max(one.get(name, 0.0), 0.0) for _, one in parts]
        if max(shares) < 0.01:
            continue
        ceiling = [a + b for a, b in zip(floor, shares)]
        points = [*zip(workers, ceiling), *zip(reversed(workers), reversed(floor))]
        outline = " ".join(f"{x(n):.1f},{y(share):.1f}" for n, share in points)
        drawn.append(f'<polygon class="area" fill="{colour}" points="{outline}"/>')
        names.append((y((floor[-1] + ceiling[-1]) / 2), name, colour))
        floor = ceiling
    for share in (0.0, 0.5, 1.0):
        drawn.append(text(AREAS[0] - 6, y(share) + 4, f"{share:.0%}", "tick", "end"))
    for place, name, colour in beside(names):
        drawn.append(
            f'<rect fill="{colour}" x="{AREAS[1] + 6}" y="{place - 5:.1f}" width="9" height="9"/>'
        )
        drawn.append(text(AREAS[1] + 20, place + 4, name, "part"))
    return drawn
