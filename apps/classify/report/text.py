"""What `minidl evaluate` and `minidl predict` print: for people, and as JSON."""

from __future__ import annotations

from typing import Any

from apps.classify.metrics import Evaluation
from apps.shared.console import Console
from apps.shared.tables import filled, widest

CLASSES = 40  # with more classes only the hardest are listed; JSON has all
HARDEST = 20
MATRIX_CLASSES = 20  # a matrix of more is wider than a terminal
SHORT = 3  # characters of names that fit above the columns of a matrix
PAIRS = 10
MISTAKES = 24
BAR = 24  # characters for a probability of 1


def percent(value: float) -> str:
    return f"{100 * value:.2f} %"


# --- evaluate -----------------------------------------------------------------------------------


def show_evaluation(out: Console, found: Evaluation, split: str) -> None:
    """Per-class figures, the confusion matrix, the most confused pairs, and the summary."""
    show_classes(out, found)
    if len(found.classes) <= MATRIX_CLASSES:
        show_matrix(out, found)
    show_pairs(out, found)
    macro = found.macro()
    out.line()
    out.line(
        f"mean over classes: precision {percent(macro['precision'])}, recall "
        f"{percent(macro['recall'])}, F1 {percent(macro['f1'])}"
    )
    top5 = "" if found.top5 is None else f"top-5 {percent(found.top5)}, "
    out.line(
        f"{split} accuracy {percent(found.accuracy)} ({len(found.mistakes()):,} mistakes in "
        f"{len(found.labels):,}), {top5}loss {found.loss:.4f}",
        "bold",
    )


def show_classes(out: Console, found: Evaluation) -> None:
    """A row per class. Classes that the data lack and the network never named are left out."""
    predicted = found.confusion().sum(axis=0)
    rows = [row for row, n in zip(found.per_class(), predicted) if row["count"] or n]
    title = ""
    if len(rows) > CLASSES:
        title = f"the {HARDEST} classes of {len(rows):,} with the lowest F1 (--json has all)"
        rows = found.hardest(HARDEST)
    figures = [("precision", "right"), ("recall", "right"), ("F1", "right"), ("of", "right")]
    out.table(
        title,
        [("class", "right"), *figures],
        [
            [row["name"], *(percent(row[k]) for k in ("precision", "recall", "f1")),
             f"{row['count']:,}"]
            for row in rows
        ],
    )  # fmt: skip


def show_matrix(out: Console, found: Evaluation) -> None:
    """Counts: a row per true class, a column per predicted class, "." for none."""
    confusion, n = found.confusion(), len(found.classes)
    names, heads = found.classes, found.classes
    if max(map(len, names)) > SHORT:  # too long to stand above a column: numbers do
        names, heads = [f"{name} {i:>2}" for i, name in enumerate(names)], range(n)
    gap = 2 if n <= 10 else 1
    width = widest(map(str, (confusion.max(), *heads))) + gap
    label = widest(names)
    out.line()
    out.line("confusion matrix: a row per true class, a column per predicted class", "bold")
    cells = [filled(str(head), width, "right") for head in heads]
    out.line(" " * label + "".join(cells), "dim")
    for t, name in enumerate(names):
        counts = [str(count) if count else "." for count in confusion[t].tolist()]
        cells = [count.rjust(width) for count in counts]
        if not out.is_terminal:
            out.line(filled(name, label, "right") + "".join(cells))
            continue
        from rich.text import Text

        styles = ["bold" if p == t else "yellow" if confusion[t, p] else "dim" for p in range(n)]
        out.rich(Text.assemble(filled(name, label, "right"), *zip(cells, styles)))


def show_pairs(out: Console, found: Evaluation) -> None:
    """Which classes are taken for which."""
    pairs = found.confused_pairs(PAIRS)
    if not pairs:
        return
    out.line()
    out.table(
        "most confused",
        [("true", "right"), ("taken for", "left"), ("times", "right")],
        [[pair["true"], pair["predicted"], f"{pair['count']:,}"] for pair in pairs],
    )


def evaluation_json(found: Evaluation, split: str, names: list[str] | None) -> dict[str, Any]:
    """All that is known; `names` are those of the pictures."""
    return {
        f"{split}_accuracy": found.accuracy,
        f"{split}_top5_accuracy": found.top5,
        f"{split}_loss": found.loss,
        "images": len(found.labels),
        "seconds": round(found.seconds, 3),
        "images_per_second": round(len(found.labels) / found.seconds, 1),
        "classes": found.classes,
        "mean_over_classes": found.macro(),
        "per_class": found.per_class(),
        "confusion": found.confusion().tolist(),
        "most_confused": found.confused_pairs(2 * PAIRS),
        "worst_mistakes": [
            {
                "image": names[i] if names else int(i),
                "true": found.classes[found.labels[i]],
                "predicted": found.classes[found.predicted[i]],
                "probability_of_true": float(found.probabilities[i, found.labels[i]]),
                "probability_of_predicted": float(found.probabilities[i].max()),
            }
            for i in found.mistakes()[:MISTAKES].tolist()
        ],
    }


# --- predict ------------------------------------------------------------------------------------


def show_answer(
    out: Console, path: str, answer: list[dict[str, Any]], widths: tuple[int, int]
) -> None:
    """The classes of one picture: a line of text, on a terminal a line per class with a bar.

    Args:
        out: where to.
        path: of the picture.
        answer: from predict.
        widths: columns of the longest path and the longest class name.
    """
    if not out.is_terminal:
        classes = "  ".join(
            f"{filled(a['class'], widths[1])} {100 * a['probability']:5.1f} %" for a in answer
        )
        out.line(f"{filled(path + ':', widths[0] + 1)} {classes}")
        return
    from rich.text import Text

    out.line(path, "bold")
    for place, a in enumerate(answer):
        p = a["probability"]
        bar = "━" * round(BAR * p) if p == p else ""  # NaN has none
        style = "" if place == 0 else "dim"
        figures = f"  {filled(a['class'], widths[1])}  {100 * p:6.2f} %  "
        out.rich(Text.assemble((figures, style), (bar, "blue")))
