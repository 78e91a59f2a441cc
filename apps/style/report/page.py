"""The report of a picture that was optimised: what it is made of, how it came about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.shared.curves import Curves, curves
from apps.shared.page import Figure, Page, duration, settings_table, write_page
from apps.shared.page import render as render_page
from apps.shared.photo import Photo
from apps.shared.pictures import LARGE, Filmstrip, Frame, Picture
from apps.shared.run_folder import now_text, versions
from apps.style.optimize.loop import Outcome


@dataclass
class Shown:
    """What the page of a run shows.

    Args:
        heading: of the page.
        made: the result.
        sources: the pictures that it was made from.
        figures: in large letters.
        strip: how it came about.
        curves: of the losses.
        restarts: what was begun afresh, in words.
    """

    heading: str
    made: Picture
    sources: list[Picture]
    figures: list[Figure]
    strip: Filmstrip | None
    curves: Curves
    restarts: list[str]


def write_run_page(path: Path, shown: Shown, settings: dict[str, Any], command: str) -> None:
    """Write the page of a run.

    Args:
        path: of the file.
        shown: what it shows.
        settings: of the run.
        command: what was typed.
    """
    page = Page(
        heading=shown.heading, note=f"{now_text()} · seed {settings.get('seed', 0)}",
        figures=shown.figures, command=command, settings=settings_table(settings, versions()),
    )  # fmt: skip
    write_page(path, render_page("style/report/page.html.j2", page, shown=shown), "style")


def write_report(
    path: Path,
    made: Photo,
    content: Photo | None,
    styles: list[Photo],
    outcome: Outcome,
    settings: dict[str, Any],
    command: str,
    heading: str,
) -> None:
    """Write the page of one picture.

    Args:
        path: of the file.
        made: the result.
        content: the content picture, None where there is none.
        styles: the style pictures.
        outcome: of the loop.
        settings: of the run.
        command: what was typed.
        heading: of the page.
    """
    shown = Shown(
        heading, large(made, "the result"), sources(content, styles), headline(made, outcome),
        strip(outcome), curves(outcome.history, "iteration"), outcome.restarts,
    )  # fmt: skip
    write_run_page(path, shown, settings, command)


def headline(made: Photo, outcome: Outcome) -> list[Figure]:
    """Size, iterations, time and losses."""
    pace = outcome.seconds / max(outcome.iterations, 1)
    ending = "interrupted: the best so far" if outcome.interrupted else ""
    figures = [
        Figure("Picture", f"{made.width}x{made.height}", "pixels"),
        Figure("Iterations", f"{outcome.iterations:,}", ending),
        Figure("Time", duration(outcome.seconds), f"{1000 * pace:,.0f} ms per iteration"),
    ]
    for name, value in outcome.losses.items():
        what = {"tv": "Total variation"}.get(part := name.removesuffix("_loss"), part.capitalize())
        figures.append(Figure(what, f"{value:.4g}", "weighted loss"))
    return figures


def large(photo: Photo, caption: str, at_most: int = 1024) -> Picture:
    return Picture(photo.over_white().bytes, caption, at_most=at_most)


def sources(content: Photo | None, styles: list[Photo]) -> list[Picture]:
    """Content and styles, with their captions."""
    found = [] if content is None else [large(content, "content", LARGE)]
    numbered = len(styles) > 1
    for number, photo in enumerate(styles, 1):
        found.append(large(photo, f"style {number}" if numbered else "style", LARGE))
    return found


def strip(outcome: Outcome) -> Filmstrip | None:
    """The picture over time."""
    frames = []
    for moment in outcome.snapshots:
        when = f"iteration {moment.iteration}" if moment.iteration else "the start"
        picture = Picture(moment.image, when, at_most=LARGE)
        frames.append(Frame(when, [picture], f"scale {moment.scale + 1}"))
    return Filmstrip("From the first picture to the last", frames) if frames else None
