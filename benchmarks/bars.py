"""Ratios as bars in one SVG picture that a Markdown page can show (colours as in curves.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import escape

COLOURS = ("#0072b2", "#56b4e9", "#009e73")
WIDTH, LEFT, RIGHT = 640, 120, 50  # of the picture, of the names, behind the longest bar
TOP, BAR, GAP = 48, 13, 12  # heights: title and legend, a bar, between two groups
STYLE = """\
svg { font-family: sans-serif; font-size: 12px; }
.background { fill: #ffffff; }
.title { font-size: 14px; fill: #222222; font-weight: bold; }
.name, .value, .legend { fill: #444444; }
.value { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; }
.one { stroke: #222222; stroke-width: 1; stroke-dasharray: 3 3; }
"""


@dataclass(frozen=True)
class Group:
    """What is shown under one name: a bar for each value."""

    name: str
    values: Sequence[float]


def write_bars(path: Path, title: str, legend: Sequence[str], groups: Sequence[Group]) -> None:
    """Draw ratios from zero, and a line at one.

    Args:
        path: of the .svg file.
        title: what the ratios are.
        legend: what the bars of a group are, up to three.
        groups: from the top to the bottom.
    """
    bottom = TOP + sum(BAR * len(group.values) + GAP for group in groups)
    scale = (WIDTH - LEFT - RIGHT) / max(1.0, *(value for g in groups for value in g.values))
    colours = "".join(f".s{i} {{ fill: {colour}; }}\n" for i, colour in enumerate(COLOURS))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom}"'
        f' width="{WIDTH}" height="{bottom}" role="img">',
        f"<style>{STYLE}{colours}</style>",
        f'<rect class="background" width="{WIDTH}" height="{bottom}"/>',
        f'<text class="title" x="{LEFT}" y="18">{escape(title)}</text>',
    ]
    x = LEFT
    for i, name in enumerate(legend):
        parts.append(f'<rect class="s{i}" x="{x}" y="28" width="10" height="10"/>')
        parts.append(f'<text class="legend" x="{x + 15}" y="37">{escape(name)}</text>')
        x += 40 + 7 * len(name)
    one, y = LEFT + scale, TOP
    parts.append(
        f'<line class="one" x1="{one:.1f}" x2="{one:.1f}" y1="{TOP - 6}" y2="{bottom - 6}"/>'
    )
    for group in groups:
        middle = y + BAR * len(group.values) / 2 + 4
        parts.append(
            f'<text class="name" x="{LEFT - 8}" y="{middle:g}" text-anchor="end">'
            f"{escape(group.name)}</text>"
        )
        for i, value in enumerate(group.values):
            length = scale * value
            parts.append(
                f'<rect class="s{i}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 1}"/>'
                f'<text class="value" x="{LEFT + length + 5:.1f}" y="{y + 10}">{value:.2f}</text>'
            )
            y += BAR
        y += GAP
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")
