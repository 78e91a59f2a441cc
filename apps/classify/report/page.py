"""report.html: one run on one page, in one file that opens without a network.

The page holds no script. Its Content-Security-Policy forbids any, and every text that comes from
data (class names, file names, options) is escaped by the template engine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import apps.shared
from apps.classify.metrics import Evaluation
from apps.classify.report.pictures import (
    first_layer,
    maps_of_one_picture,
    mistake_pictures,
    pair_pictures,
)
from apps.classify.report.weights import trained_count, weights_section
from apps.shared.charts import Series, line_chart
from minidl.io.atomic import write_atomically

BESIDE = 10  # classes; a larger matrix gets the whole width of the page
MATRIX_CLASSES = 40  # with more the matrix is unreadable; the page lists confused pairs instead
LISTED_CLASSES = 40  # with more the hardest are listed, all of them folded away
HARDEST = 20
PAIRS = 20
STRONG = {"hit": 0.825, "miss": 0.71}  # from this depth on text needs the other colour to be read


def write_report(
    path, run: dict, history: list[dict], evaluation: Evaluation, dataset, model, preprocessing=None
):
    """Write the page.

    Args:
        path: of the file.
        run: what run.json holds: model, data, settings, command, versions, figures, and weights
            where the network began with those of a file.
        history: one dict per epoch: epoch, loss, accuracy, lr and, where there was a validation,
            val_loss and val_accuracy.
        evaluation: of the test set.
        dataset: the test set, for the pictures.
        model: the trained network, for its first layer and feature maps, in evaluation mode.
        preprocessing: what a picture goes through before the network; without it the page shows
            no feature maps.
    """
    text = render(run, history, evaluation, dataset, model, preprocessing)
    # Names of files and classes may hold bytes that are no UTF-8: they are shown as escapes.
    write_atomically(path, text.encode(errors="backslashreplace"), "train")


def render(
    run: dict, history: list[dict], evaluation: Evaluation, dataset, model, preprocessing=None
) -> str:
    """The page as text; arguments as in write_report."""
    matrix = None
    if len(evaluation.classes) <= MATRIX_CLASSES:
        matrix = confusion_rows(evaluation)
    template = environment().get_template("classify/report/page.html.j2")
    return template.render(
        run=run,
        evaluation=evaluation,
        figures=headline(run, evaluation, model),
        charts=charts(history),
        history=history,
        weights=weights_section(run, model),
        matrix=matrix,
        wide=matrix is None or len(matrix) > BESIDE,
        long_names=max(len(name) for name in evaluation.classes) > 3,
        pairs=evaluation.confused_pairs(PAIRS),
        pair_pictures=pair_pictures(evaluation, dataset),
        per_class=evaluation.per_class(),
        hardest=hardest(evaluation),
        macro=evaluation.macro(),
        mistakes=mistake_pictures(evaluation, dataset),
        n_mistakes=len(evaluation.mistakes()),
        filters=first_layer(model),
        maps=maps_of_one_picture(model, preprocessing, evaluation, dataset),
        settings=settings_table(run),
    )


def environment():
    """The template engine: everything is escaped, and a name that is not there is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(Path(apps.shared.__file__).parents[1]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    found.filters["percent"] = percent
    found.filters["number"] = lambda value: f"{value:,}"
    return found


def hardest(evaluation: Evaluation) -> list[dict] | None:
    """The classes with the lowest F1, where there are too many to list."""
    if len(evaluation.classes) <= LISTED_CLASSES:
        return None
    return evaluation.hardest(HARDEST)


def headline(run: dict, evaluation: Evaluation, model) -> list[tuple[str, str, str]]:
    """(what, figure, note) of the large numbers on top."""
    wrong, n = len(evaluation.mistakes()), len(evaluation.labels)
    minutes, seconds = divmod(round(run["seconds"]), 60)
    said = f"{wrong:,} mistake{'' if wrong == 1 else 's'} in {n:,} pictures"
    rows = [("Test accuracy", percent(evaluation.accuracy), said)]
    if evaluation.top5 is not None:
        note = "right class among the 5 most probable"
        rows = [("Test accuracy, top-1", percent(evaluation.accuracy), said),
                ("Test accuracy, top-5", percent(evaluation.top5), note)]  # fmt: skip
    rate, note = f"{run['images_per_second']:,.0f} pictures per second", "with evaluation"
    ending = []
    if run["stopped_early"] is not None:
        ending.append("stopped early")
    if run["tested_epoch"] != run["epochs"]:
        ending.append(f"tested: that of epoch {run['tested_epoch']}")
    if ending:
        rate, note = ", ".join(ending), f"{note}, {rate}"
    trained = trained_count(model)
    part = f"{trained:,} trained" if trained < run["parameters"] else run["model"]
    return [
        *rows,
        ("Test loss", f"{evaluation.loss:.4f}", "mean cross entropy"),
        ("Epochs", f"{run['epochs']}", rate),
        ("Time", f"{minutes}:{seconds:02} min" if minutes else f"{seconds} s", note),
        ("Parameters", f"{run['parameters']:,}", part),
    ]


def percent(value: float) -> str:
    """0.9917 as "99.17 %", with a space that does not break."""
    return f"{100 * value:.2f}\u00a0%"


def axis_percent(value: float) -> str:
    """For axes and pointers: as many digits as the value has, up to two."""
    return f"{100 * value:.2f}".rstrip("0").rstrip(".") + "\u00a0%"


def short(value: float) -> str:
    """A value in four significant digits."""
    return f"{value:.4g}"


def charts(history: list[dict]) -> list[dict]:
    """Title, legend and SVG of the curves: loss, accuracy, learning rate."""
    epochs = [entry["epoch"] for entry in history]

    def column(name: str) -> list:
        return [entry.get(name) for entry in history]

    def chart(title: str, form, **columns) -> dict:
        series = [Series(name, column(key)) for name, key in columns.items()]
        series = [s for s in series if any(value is not None for value in s.values)]
        legend = [s.name for s in series] if len(series) > 1 else []
        svg = line_chart(title, epochs, series, form)
        return {"title": title, "legend": legend, "svg": svg}

    return [
        chart("Loss", short, training="loss", validation="val_loss"),
        chart("Accuracy", axis_percent, training="accuracy", validation="val_accuracy"),
        chart("Learning rate", short, rate="lr"),
    ]


def confusion_rows(evaluation: Evaluation) -> list[dict]:
    """Rows of the matrix: name, and cells with count, share of the row, and how dark they are.

    Hits are blue by their share of the row. Mistakes are orange and scaled to the most frequent
    mistake, or they would all be white beside the hits.
    """
    confusion = evaluation.confusion()
    totals = np.maximum(confusion.sum(axis=1), 1)
    mistakes = confusion - np.diag(confusion.diagonal())
    most = max(int(mistakes.max()), 1)
    rows = []
    for t, name in enumerate(evaluation.classes):
        cells = []
        for p, count in enumerate(confusion[t].tolist()):
            share = count / totals[t]
            kind = "hit" if t == p else "miss"
            depth = 0.12 + 0.78 * float(share if t == p else count / most) if count else 0.0
            cells.append(
                {
                    "count": count,
                    "kind": kind,
                    "depth": round(depth, 3),
                    "strong": depth >= STRONG[kind],
                    "says": f"{name} taken for {evaluation.classes[p]}: {count} of "
                    f"{int(confusion[t].sum())} ({percent(share)})",
                }
            )
        rows.append({"name": name, "cells": cells})
    return rows


def settings_table(run: dict) -> list[tuple[str, str]]:
    """(name, value) of the settings and versions, as text."""
    rows = []
    for group in ("settings", "versions"):
        for name, value in run[group].items():
            if isinstance(value, dict):
                value = [f"{key}={v}" for key, v in value.items()]
            if isinstance(value, list):
                value = ", ".join(describe_step(v) for v in value) if value else "none"
            rows.append((name.replace("_", " "), "-" if value is None else str(value)))
    return rows


def describe_step(step) -> str:
    """A preprocessing step {"name": "Resize", "size": 32} as "Resize(size=32)"."""
    if not isinstance(step, dict):
        return str(step)
    arguments = ", ".join(f"{k}={v}" for k, v in step.items() if k != "name")
    return f"{step.get('name', '')}({arguments})"
