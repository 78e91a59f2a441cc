"""Precision, recall and F1 of each class."""

from __future__ import annotations

from dataclasses import dataclass

from apps.classify.metrics import Evaluation

LISTED_CLASSES = 40  # of more the hardest are listed, and all of them are folded away
HARDEST = 20


@dataclass
class Classes:
    """The section.

    Args:
        rows: name, precision, recall, f1 and count of each class, as Evaluation.per_class gives.
        hardest: the rows with the lowest F1, where there are too many to list; else None.
        mean: precision, recall and f1.
        count: pictures of all classes.
    """

    rows: list[dict]
    hardest: list[dict] | None
    mean: dict[str, float]
    count: int


def classes_section(evaluation: Evaluation) -> Classes:
    """All classes, the hardest of many, and the mean."""
    is_long = len(evaluation.classes) > LISTED_CLASSES
    return Classes(
        rows=evaluation.per_class(),
        hardest=evaluation.hardest(HARDEST) if is_long else None,
        mean=evaluation.macro(),
        count=len(evaluation.labels),
    )
