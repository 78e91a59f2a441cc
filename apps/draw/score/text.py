"""The figures of `minidl draw score` for people."""

from __future__ import annotations

from typing import Any

from apps.shared.console import Console
from apps.shared.tables import Column

PARTS = {"held_out": "held out", "test": "test pictures", "seen": "seen"}
COMPARED = {  # with what the oracle reads from drawn pictures; see attributes.py
    "real": "real pictures", "nearest_seen": "nearest seen flower", "shuffled": "captions shuffled",
    "chance": "chance",
}  # fmt: skip


def show(console: Console, found: dict[str, Any]) -> None:
    """Print the figures as tables."""
    parts = {name: found[name] for name in PARTS if name in found}
    first = next(iter(parts.values()))
    if "attributes" in first:
        names = list(first["attributes"])
        rows = [attribute_row(PARTS[name], "attributes", part) for name, part in parts.items()]
        rows += [
            attribute_row(what, name, first) for name, what in COMPARED.items() if name in first
        ]
        columns: list[Column] = [("captions", "left")]
        columns += ((name, "right") for name in [*names, "all six"])
        console.table("What is right in the drawn pictures, %", columns, rows)
    for part in parts.values():
        if "left_open" in part:
            varies = part["left_open"]
            console.table(
                "How much varies what captions leave open (real pictures: 1)",
                [(name, "right") for name in varies],
                [[f"{share:.2f}" for share in varies.values()]],
            )
    measures = [
        ("diversity, same caption", lambda part: f"{part['diversity']['same']:.2f}"),
        ("diversity, across captions", lambda part: f"{part['diversity']['across']:.2f}"),
        ("R-precision, %", lambda part: percent(part.get("r_precision"))),
        ("the same, shuffled", lambda part: percent(part.get("r_precision_shuffled"))),
        ("Frechet distance", lambda part: short(part.get("frechet"))),
    ]
    rows = [[what, *(form(part) for part in parts.values())] for what, form in measures]
    heads: list[Column] = [("", "left"), *((PARTS[name], "right") for name in parts)]
    console.table("Against real pictures", heads, rows)


def attribute_row(what: str, name: str, part: dict[str, Any]) -> list[str]:
    """What is right, of each attribute and of all at once."""
    return [
        what,
        *(percent(share) for share in part[name].values()),
        percent(part["all_six"][name]),
    ]


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def short(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
