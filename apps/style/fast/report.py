"""The report of a training run: what the network draws, how it learned that, its losses.

The squares shown are of photographs that are held out. Where there are too few for that, they are
cut from those of the training, and the page says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.shared.curves import curves
from apps.shared.options import to_dict
from apps.shared.page import Figure, Page, duration, number, render, settings_table, write_page
from apps.shared.pictures import LARGE, Filmstrip, Frame, Picture
from apps.shared.run_folder import now_text, versions

POINTS = 200  # of a curve


def write_report(path: Path, training: Any, losses: dict[str, float], command: str) -> None:
    """Write the page.

    Args:
        path: of the file.
        training: a Training.
        losses: the parts at its end.
        command: what was typed.
    """
    settings, notes = training.settings, training.notes
    what = "Fast style" if training.style is not None else "Fast super-resolution"
    page = Page(
        heading=what if settings.style is None else f"{what}: {Path(settings.style).stem}",
        note=f"{now_text()} · seed {settings.seed}", command=command,
        figures=headline(training, losses),
        settings=settings_table(to_dict(settings), versions()),
    )  # fmt: skip
    squares = training.unseen[: len(notes.samples[-1][1]) if notes.samples else 0]
    unseen = bool(training.photographs.held_out)
    text = render(
        "style/fast/report.html.j2", page,
        style=None if training.style is None else Picture(
            training.style.bytes, "the style picture", at_most=LARGE
        ),
        photographs=[Picture(square, "a photograph", at_most=LARGE) for square in squares],
        drawn=[Picture(one, "as the network draws it", at_most=LARGE)
               for one in (notes.samples[-1][1] if notes.samples else ())],
        strip=strip(notes.samples), unseen=unseen,
        curves=curves(thinned([as_losses(one) for one in notes.losses]), "step"),
        checks=curves([as_losses(one) for one in notes.checks], "step") if unseen else None,
    )  # fmt: skip
    write_page(path, text, "fast-train")


def headline(training: Any, losses: dict[str, float]) -> list[Figure]:
    """Steps, time, network, losses."""
    notes, settings = training.notes, training.settings
    parameters = sum(parameter.numel() for parameter in training.net.parameters())
    of = (
        "" if notes.step == settings.iterations else f"of {number(settings.iterations)}: unfinished"
    )
    pace = f"{1000 * notes.seconds / max(1, notes.step):,.0f} ms per step"
    figures = [
        Figure("Steps", number(notes.step), of),
        Figure("Time", duration(notes.seconds), pace),
        Figure("Parameters", number(parameters), f"width {settings.width:g}"),
        Figure("Photographs", number(len(training.photographs)),
               f"and {number(training.photographs.held_out)} held out"),
    ]  # fmt: skip
    words, check = {"tv": "Total variation"}, (notes.checks or [{}])[-1]
    for name, value in losses.items():
        of_others = f"weighted loss; held out {check[name]:.4g}" if name in check else ""
        of_others = of_others if training.photographs.held_out else "weighted loss"
        figures.append(Figure(words.get(name, name.capitalize()), f"{value:.4g}", of_others))
    return figures


def strip(samples: list[tuple[int, Any]]) -> Filmstrip | None:
    """What the network drew of the same photographs over time."""
    frames = [
        Frame(
            f"step {number(step)}",
            [Picture(one, alt=f"drawn after step {step}", at_most=LARGE) for one in drawn],
        )
        for step, drawn in samples
    ]
    return Filmstrip("What the network draws, from its first steps on", frames) if frames else None


def as_losses(entry: dict[str, float]) -> dict[str, float]:
    """Metrics whose names put them into one chart: content_loss, style_loss, tv_loss."""
    return {name if name == "step" else f"{name}_loss": value for name, value in entry.items()}


def thinned(history: list[dict[str, float]]) -> list[dict[str, float]]:
    """At most POINTS entries, each the mean of several."""
    at_once = -(-len(history) // POINTS) or 1
    parts = [history[i : i + at_once] for i in range(0, len(history), at_once)]
    return [
        {name: sum(one[name] for one in part) / len(part) for name in part[0]}
        | {"step": part[-1]["step"]}
        for part in parts
    ]
