"""Which class was taken for which: the confusion matrix, or with many classes the worst pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apps.classify.metrics import Evaluation
from apps.shared.page import percent

BESIDE = 10  # classes; a larger matrix gets the whole width of the page
MATRIX_CLASSES = 40  # with more the matrix is unreadable, and pairs are listed instead
PAIRS = 20
SHORT = 3  # characters of a name that fit above a column
FAINTEST, SPAN = 0.12, 0.78  # opacity of a cell's colour: of the smallest share, and up to all
STRONG = {"hit": 0.825, "miss": 0.71}  # from this opacity on text needs the other colour


@dataclass
class Cell:
    """A count, the kind ("hit" on the diagonal, "miss" beside it), the opacity of its colour,
    whether that is strong for the text in it, and the cell in words."""

    count: int
    kind: str
    depth: float
    strong: bool
    says: str


@dataclass
class Confusion:
    """The section.

    Args:
        rows: (class name, cells) of the matrix; empty where there are too many classes for one.
        pairs: true and predicted name and count of the most frequent confusions.
        n_classes: how many there are.
        wide: whether the section needs the whole width of the page.
        long_names: whether the names of columns stand upright.
    """

    rows: list[tuple[str, list[Cell]]]
    pairs: list[dict]
    n_classes: int
    wide: bool
    long_names: bool


def confusion_section(evaluation: Evaluation) -> Confusion:
    """The matrix of up to MATRIX_CLASSES classes, the most confused pairs of more."""
    n = len(evaluation.classes)
    return Confusion(
        rows=matrix(evaluation) if n <= MATRIX_CLASSES else [],
        pairs=evaluation.confused_pairs(PAIRS),
        n_classes=n,
        wide=n > BESIDE,
        long_names=max(map(len, evaluation.classes)) > SHORT,
    )


def matrix(evaluation: Evaluation) -> list[tuple[str, list[Cell]]]:
    """A row per true class, a cell per predicted class.

    Hits are coloured by their share of the row. Mistakes are scaled to the most frequent mistake:
    by their share they would all look white beside the hits.
    """
    counts = evaluation.confusion()
    totals = counts.sum(axis=1)
    most = max(int((counts - np.diag(counts.diagonal())).max()), 1)
    rows = []
    for t, name in enumerate(evaluation.classes):
        cells = []
        for p, count in enumerate(counts[t].tolist()):
            share = count / max(totals[t], 1)
            part = share if t == p else count / most
            depth = round(FAINTEST + SPAN * float(part), 3) if count else 0.0
            kind = "hit" if t == p else "miss"
            said = f"{name} taken for {evaluation.classes[p]}: {count} of {totals[t]}"
            strong = depth >= STRONG[kind]
            cells.append(Cell(count, kind, depth, strong, f"{said} ({percent(share)})"))
        rows.append((name, cells))
    return rows
