"""Curves of several runs in one SVG picture that a Markdown page can show.

Colours are those of Okabe and Ito (2008), which colour-blind people can tell apart; the page's
background may be light or dark, so the picture brings its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from markupsafe import escape

from apps.shared.charts import LEFT, WIDTH, Series, line, nice_ticks, scales, x_axis, y_axis

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
ROW = 16  # units of height of a line of the legend
STYLE = """\
svg { font-family: sans-serif; }
.background { fill: #ffffff; }
.title { font-size: 13px; fill: #222222; font-weight: bold; }
.tick, .legend { font-size: 12px; fill: #444444; }
.grid { stroke: #dddddd; stroke-width: 1; }
.line { fill: none; stroke-width: 1.8; }
"""


def write_curves(path: Path, title: str, series: Sequence[Series], form: Callable) -> None:
    """Draw values over epochs.

    Args:
        path: of the .svg file.
        title: what the values are.
        series: up to seven lines; they may have different numbers of epochs.
        form: value -> text, for the axis.
    """
    longest = max(len(s.values) for s in series)
    epochs = list(range(1, longest + 1))
    values = [value for s in series for value in s.values if value is not None]
    ticks = nice_ticks(min(values), max(values))
    x_of, y_of = scales(epochs, ticks)
    height = 200 + 8 + ROW * len(series)
    colours = "".join(f".s{i} {{ stroke: {c}; fill: none; }}\n" for i, c in enumerate(COLOURS))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' width="{2 * WIDTH}" height="{2 * height}" role="img">',
        f"<style>{STYLE}{colours}</style>",
        f'<rect class="background" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="{LEFT}" y="15">{escape(title)}</text>',
        y_axis(ticks, y_of, form),
        x_axis(epochs, x_of),
    ]
    for i, s in enumerate(series):
        parts.append(line(i, epochs[: len(s.values)], s.values, x_of, y_of))
        y = 200 + 12 + ROW * i
        parts.append(f'<line class="line s{i}" x1="{LEFT}" x2="{LEFT + 18}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="legend" x="{LEFT + 24}" y="{y + 4}">{escape(s.name)}</text>')
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*map(str, parts), "</svg>"]) + "\n")
