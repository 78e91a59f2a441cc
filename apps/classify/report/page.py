"""report.html: a training run on one page."""

from __future__ import annotations

from pathlib import Path

from apps.classify.metrics import Evaluation
from apps.classify.report.classes import classes_section
from apps.classify.report.confusion import confusion_section
from apps.classify.report.first_layer import first_layer
from apps.classify.report.maps import maps_section
from apps.classify.report.mistakes import confused_pairs, worst_mistakes
from apps.classify.report.weights import Weights, trained_count, weights_section
from apps.shared.curves import curves
from apps.shared.page import Figure, Page, duration, percent, settings_table, write_page
from apps.shared.page import render as render_page


def write_report(
    path: str | Path,
    run: dict,
    history: list[dict],
    evaluation: Evaluation,
    dataset,
    model,
    preprocessing=None,
) -> None:
    """Write the page.

    Args:
        path: of the file.
        run: what run.json holds: model, data, settings, command, versions, figures, and weights
            where the network began with those of a file.
        history: one dict per epoch: epoch and metrics by name.
        evaluation: of the test set.
        dataset: the test set, for the pictures.
        model: the trained network, for its first layer and feature maps, in evaluation mode.
        preprocessing: what a picture goes through before the network; without it the page shows
            no feature maps.
    """
    write_page(path, render(run, history, evaluation, dataset, model, preprocessing), "train")


def render(
    run: dict, history: list[dict], evaluation: Evaluation, dataset, model, preprocessing=None
) -> str:
    """The page as text; arguments as in write_report."""
    weights = weights_section(run, model)
    heading = f"{run['model']} on {run['data']}"
    page = Page(
        heading=heading,
        title=f"{heading}: {percent(evaluation.accuracy)}",
        note=subtitle(run, evaluation, weights),
        figures=headline(run, evaluation, model),
        command=run["command"],
        settings=settings_table(run["settings"], run["versions"]),
    )
    return render_page(
        "classify/report/page.html.j2",
        page,
        curves=curves(history),
        curves_note=run["curves_note"],
        weights=weights,
        confusion=confusion_section(evaluation),
        classes=classes_section(evaluation),
        pairs=confused_pairs(evaluation, dataset),
        mistakes=worst_mistakes(evaluation, dataset),
        n_mistakes=len(evaluation.mistakes()),
        first_layer=first_layer(model),
        maps=maps_section(model, preprocessing, evaluation, dataset),
    )


def subtitle(run: dict, evaluation: Evaluation, weights: Weights | None) -> str:
    """When, with which seed, of how many classes, from which weights."""
    parts = [run["date"], f"seed {run['settings']['seed']}", f"{len(evaluation.classes):,} classes"]
    if weights and weights.mode:
        parts.append(weights.mode)
    if weights and weights.source:
        parts.append(f"weights {weights.source}")
    return " · ".join(parts)


def headline(run: dict, evaluation: Evaluation, model) -> list[Figure]:
    """Accuracy, loss, epochs, time and size."""
    wrong, n = len(evaluation.mistakes()), len(evaluation.labels)
    said = f"{wrong:,} mistake{'' if wrong == 1 else 's'} in {n:,} pictures"
    figures = [Figure("Test accuracy", percent(evaluation.accuracy), said)]
    if evaluation.top5 is not None:
        note = "right class among the 5 most probable"
        figures = [Figure("Test accuracy, top-1", percent(evaluation.accuracy), said),
                   Figure("Test accuracy, top-5", percent(evaluation.top5), note)]  # fmt: skip
    rate, note = f"{run['images_per_second']:,.0f} pictures per second", "with evaluation"
    ending = []
    if run["stopped_early"] is not None:
        ending.append("stopped early")
    if run["tested_epoch"] != run["epochs"]:
        ending.append(f"tested: that of epoch {run['tested_epoch']}")
    if ending:  # takes the place of the rate, which moves to the time
        rate, note = ", ".join(ending), f"{note}, {rate}"
    trained = trained_count(model)
    part = f"{trained:,} trained" if trained < run["parameters"] else run["model"]
    return [
        *figures,
        Figure("Test loss", f"{evaluation.loss:.4f}", "mean cross entropy"),
        Figure("Epochs", f"{run['epochs']}", rate),
        Figure("Time", duration(run["seconds"]), note),
        Figure("Parameters", f"{run['parameters']:,}", part),
    ]
