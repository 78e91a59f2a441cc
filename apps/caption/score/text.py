"""The figures of `minidl caption score` for people."""

from __future__ import annotations

from typing import Any

from apps.shared.console import Console
from apps.shared.tables import Column

COMPARED = {
    "said": "said", "nearest": "nearest training picture's", "most_frequent": "most frequent",
}  # fmt: skip
PICTURES = {"said": "the pictures", "shuffled": "other pictures", "blank": "a gray picture"}


def show(console: Console, found: dict[str, Any]) -> None:
    """Print the figures as tables."""
    columns: list[Column] = [("captions", "left")]
    names = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D", "different", "words")
    columns += [(name, "right") for name in names]
    rows = [[what, *cells(found[name])] for name, what in COMPARED.items() if name in found]
    console.table(f"{found['pictures']:,} pictures of {found['data']}", columns, rows)
    for name, value in (found["ceiling"] or {}).items():
        console.line(f"CIDEr-D of {CEILINGS[name]}: {value:.3f}")
    if "attributes" in found:
        parts = found["attributes"]
        kinds = list(parts["said"]["attributes"])
        columns = [("what it was shown", "left"), ("all six", "right"), ("no fault", "right")]
        columns += [(kind, "right") for kind in kinds]
        rows = [[what, *attribute_cells(parts[name])] for name, what in PICTURES.items()]
        console.table("What is right in the sentences, %", columns, rows)


CEILINGS = {
    "faultless": "the same sentences without their faults",
    "best": "the best template, filled in without fault",
    "mean": "all templates, on average",
    "agreement": "the first caption of each picture, with the others as references",
}


def cells(figures: dict[str, Any]) -> list[str]:
    """One line of the first table."""
    numbers = [*figures["bleu"], figures["rouge_l"], figures["cider_d"]]
    return [
        *(f"{value:.3f}" for value in numbers),
        f"{100 * figures['distinct']:.1f} %",
        f"{figures['words']:.1f}",
    ]


def attribute_cells(part: dict[str, Any]) -> list[str]:
    """One line of the second table."""
    shares = part["all_right"], part["nothing_wrong"], *part["attributes"].values()
    return [f"{100 * share:.1f}" for share in shares]
