"""The figures of `minidl draw score` for people."""

from __future__ import annotations

from typing import Any

from apps.shared.console import Console

PARTS = {"held_out": "held out", "seen": "seen"}


def show(console: Console, found: dict[str, Any]) -> None:
    """Print the figures as tables."""
    parts = {name: found[name] for name in PARTS if name in found}
    first = next(iter(parts.values()))
    if "attributes" in first:
        names = list(first["attributes"])
        rows = [
            [PARTS[name], *(percent(part["attributes"][n]) for n in names)]
            for name, part in parts.items()
        ]
        rows.append(["captions shuffled", *(percent(first["shuffled"][n]) for n in names)])
        columns = [("captions", "left"), *((name, "right") for name in names)]
        console.table("What is right in the drawn pictures, %", columns, rows)
    measures = [
        ("diversity, same caption", lambda part: f"{part['diversity']['same']:.2f}"),
        ("diversity, across captions", lambda part: f"{part['diversity']['across']:.2f}"),
        ("R-precision, %", lambda part: percent(part.get("r_precision"))),
        ("the same, shuffled", lambda part: percent(part.get("r_precision_shuffled"))),
        ("Frechet distance", lambda part: short(part.get("frechet"))),
    ]
    rows = [[what, *(form(part) for part in parts.values())] for what, form in measures]
    columns = [("", "left"), *((PARTS[name], "right") for name in parts)]
    console.table("Against real pictures", columns, rows)


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def short(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
