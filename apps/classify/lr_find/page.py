"""lr.html: a learning-rate range test on one page."""

from __future__ import annotations

from typing import Any

from apps.classify.lr_find.chart import lr_chart
from apps.classify.lr_find.sweep import Sweep
from apps.shared.page import Figure, Page, render, settings_table


def lr_page(
    figures: dict[str, Any], sweep: Sweep, settings: dict[str, Any], data: str, date: str
) -> str:
    """The page as text.

    Args:
        figures: suggestion, lr_of_lowest_loss and steps.
        sweep: what the range test saw.
        settings: of the run, as run.json would hold them.
        data: name of the data set.
        date: of the range test.
    """
    notes = [date, settings["optimizer"], f"batches of {settings['batch_size']}",
             f"mode {settings['mode']}", f"seed {settings['seed']}"]  # fmt: skip
    page = Page(
        heading=f"Learning rate of {settings['model']} on {data}",
        note=" · ".join(str(note) for note in notes),
        figures=headline(figures, sweep),
        settings=settings_table(settings),
    )
    rows = zip(sweep.rates, sweep.losses, sweep.smoothed)
    return render("classify/lr_find/page.html.j2", page, rows=list(rows), chart=lr_chart(sweep))


def headline(figures: dict[str, Any], sweep: Sweep) -> list[Figure]:
    """The suggestion, the lowest loss, the steps."""
    rate = figures["suggestion"]
    suggestion = Figure("Suggestion", "none", "the loss did not fall: more steps?")
    if rate:
        suggestion = Figure("Suggestion", f"{rate:.2g}", "where the loss falls most steeply")
    lowest = f"{figures['lr_of_lowest_loss']:.2g}"
    return [
        suggestion,
        Figure("Rate of the lowest loss", lowest, "too high already"),
        Figure("Steps", str(figures["steps"]), sweep.ended or "up to the highest rate"),
    ]
