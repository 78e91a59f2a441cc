"""The curves of a run: from its history to charts and a table, whatever its metrics are.

A metric and its twin with "val_" before the name are two lines of one chart, and so are metrics of
one kind: the losses of the two networks of a GAN, or the parts of a style loss.

    loss, val_loss, lr                     "Loss" (training, validation), "Learning rate"
    generator_loss, discriminator_loss     "Loss" (generator, discriminator)
    lr_generator, lr_discriminator         "Learning rate" (generator, discriminator)
    accuracy, top5_accuracy                "Accuracy" (accuracy, top5)
    cider, val_cider                       "Cider" (training, validation)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from markupsafe import Markup

from apps.shared.charts import Series, colour_of, is_number, line_chart, style_of

VALIDATION = "val_"
KINDS = ("loss", "accuracy", "lr")  # metrics of one of these kinds share a chart
SHARES = ("accuracy", "precision", "recall", "f1", "share")  # shown in percent
NO_METRICS = ("epoch", "step", "iteration", "seconds", "images_per_second")
WORDS = {"lr": "learning rate", "images_per_second": "pictures per second"}
SMALLEST, LARGEST = 1e-2, 1e5  # values between them are readable with four decimals


@dataclass
class Chart:
    """A chart with what stands above it.

    Args:
        title: "Loss".
        legend: (name, classes of the line in the page's style); empty for a single line.
        svg: the drawing.
    """

    title: str
    legend: list[tuple[str, str]]
    svg: Markup


@dataclass
class Curves:
    """The charts of a run and all of its values.

    Args:
        charts: one per group of metrics.
        columns: headings of the table, the first of them what the rows count.
        rows: the values as texts.
    """

    charts: list[Chart]
    columns: list[str]
    rows: list[list[str]]


def curves(
    history: list[dict[str, Any]],
    over: str = "epoch",
    groups: Mapping[str, Mapping[str, str]] | None = None,
) -> Curves:
    """Charts and table of a history.

    Args:
        history: one dict per epoch or step. What is no number has neither a line nor a column.
        over: the name of the number that counts them.
        groups: title of a chart -> {name of a line: name of its metric}, for metrics that belong
            together in another way than that described above. The others are grouped as there.

    Returns:
        the charts in the order of the metrics, the learning rate last.
    """
    names = metric_names(history, over)
    xs = [entry[over] for entry in history]
    columns = {name: [entry.get(name) for entry in history] for name in names}
    chosen = list((groups or {}).items())
    taken = {metric for _, lines in chosen for metric in lines.values()}
    chosen += grouped([n for n in names if n not in taken and n not in NO_METRICS])
    shown = [name for name in names if name != over]
    formed = [column_texts(name, columns[name]) for name in shown]
    return Curves(
        [chart(title, lines, xs, columns, over) for title, lines in chosen],
        [over, *(column_name(name, names) for name in shown)],
        [[str(x), *row] for x, row in zip(xs, zip(*formed))] if formed else [],
    )


def metric_names(history: list[dict[str, Any]], over: str) -> list[str]:
    """Names of what is a number in some entry, in order of appearance."""
    found: dict[str, None] = {}
    for entry in history:
        found |= dict.fromkeys(
            name
            for name, value in entry.items()
            if isinstance(value, Real) and not isinstance(value, bool) and name != over
        )
    return list(found)


# --- charts -------------------------------------------------------------------------------------


def grouped(names: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Which metrics share a chart: (title, {name of a line: metric}) of each chart."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        base = without_twin(name)
        bases = kinds.setdefault(kind_of(base), [])
        if base not in bases:
            bases.append(base)
    kinds = dict(sorted(kinds.items(), key=lambda item: item[0] == "lr"))
    found = []
    for kind, bases in kinds.items():
        title = kind if len(bases) > 1 else bases[0]
        lines: dict[str, str] = {}
        for base in bases:
            train, twin = line_names(base, kind, len(bases) == 1)
            lines |= {train: base} if base in names else {}
            lines |= {twin: VALIDATION + base} if VALIDATION + base in names else {}
        if list(lines.values()) == bases[:1]:
            lines = {words(bases[0]): bases[0]}  # alone, it need not say "training"
        text = words(title)
        found.append((text[:1].upper() + text[1:], lines))
    return found


def without_twin(name: str) -> str:
    """val_loss -> loss."""
    return name.removeprefix(VALIDATION)


def kind_of(base: str) -> str:
    """generator_loss -> loss, lr_generator -> lr; a metric of no known kind is of its own."""
    return next((kind for kind in KINDS if kind in base.split("_")), base)


def line_names(base: str, kind: str, alone: bool) -> tuple[str, str]:
    """Names of the lines of a metric and its twin."""
    if alone:
        return "training", "validation"
    name = " ".join(word for word in base.split("_") if word != kind) or words(base)
    return name, f"{name} (validation)"


def words(name: str) -> str:
    """A metric's name for people: "lr" -> "learning rate"."""
    if name in WORDS:
        return WORDS[name]
    return " ".join(WORDS.get(word, word) for word in name.split("_"))


def chart(
    title: str, lines: Mapping[str, str], xs: list[int], columns: dict[str, list], over: str
) -> Chart:
    """Draw one group. A validation is dashed; among several metrics it has its twin's colour."""
    known = {name: metric for name, metric in lines.items() if metric in columns}
    metrics = list(known.values())
    bases = list(dict.fromkeys(without_twin(metric) for metric in metrics))
    series = []
    for place, (name, metric) in enumerate(known.items()):
        base = without_twin(metric)
        dashed = metric != base and base in metrics
        colour = bases.index(base) if len(bases) > 1 else place
        series.append(Series(name, columns[metric], dashed, colour))
    is_share = bool(metrics) and all(shares(metric, columns[metric]) for metric in metrics)
    svg = line_chart(title, xs, series, axis_percent if is_share else short, over)
    legend = [(s.name, style_of(colour_of(s, i), s.dashed)) for i, s in enumerate(series)]
    return Chart(title, legend if len(legend) > 1 else [], svg)


# --- texts --------------------------------------------------------------------------------------


def shares(name: str, values: list) -> bool:
    """Whether the metric is shown in percent: its name says so, and its values are in [0, 1]."""
    is_named = any(word in SHARES for word in without_twin(name).split("_"))
    return is_named and all(0 <= value <= 1 for value in values if is_number(value))


def axis_percent(value: float) -> str:
    """0.5 as "50 %", with up to two decimals."""
    return f"{100 * value:.2f}".rstrip("0").rstrip(".") + "\u00a0%"


def short(value: float) -> str:
    """A value in four significant digits: 0.0123, 1.5e-4."""
    if value and not 1e-3 <= abs(value) < 1e5:
        digits, exponent = f"{value:.3e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.4g}"


def column_name(name: str, names: list[str]) -> str:
    """The heading of a metric in the table: "validation loss"."""
    base = without_twin(name)
    if name != base:
        return f"validation {words(base)}"
    return f"training {words(base)}" if VALIDATION + base in names else words(base)


def column_texts(name: str, values: list) -> list[str]:
    """A column of the table, with equally many decimals where the values allow it."""
    form = column_form(name, values)
    return [form(value) if is_number(value) else "-" for value in values]


def column_form(name: str, values: list) -> Callable[[float], str]:
    known = [abs(value) for value in values if is_number(value) and value]
    if shares(name, values):
        return lambda value: f"{100 * value:.2f}\u00a0%"
    if name in ("step", "iteration", "images_per_second"):
        return lambda value: f"{value:,.0f}"
    if name == "seconds":
        return lambda value: f"{value:,.1f}"
    if kind_of(without_twin(name)) == "lr" or not known:
        return short
    return (lambda v: f"{v:.4f}") if SMALLEST <= min(known) and max(known) < LARGEST else short
