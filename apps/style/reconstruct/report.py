"""The report of reconstructions: the sheet, how its panels came about, their losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from apps.shared.curves import Curves, curves
from apps.shared.page import Figure, duration
from apps.shared.photo import size_text
from apps.shared.pictures import Filmstrip, Frame, Picture
from apps.shared.sheet import draw_sheet
from apps.style.reconstruct.panels import Panel, Sheet
from apps.style.reconstruct.sheet import layout
from apps.style.report.page import Shown, large, write_run_page


def write_report(path: Path, sheet: Sheet, settings: dict[str, Any], command: str) -> None:
    """Write the page.

    Args:
        path: of the file.
        sheet: what was reconstructed.
        settings: of the run.
        command: what was typed.
    """
    drawn = np.asarray(draw_sheet(**layout(sheet, settings["net"])))
    shown = Shown(
        f"What {settings['net']} knows of {Path(settings['image']).stem}",
        Picture(drawn, "the reconstructions", at_most=1600),
        [large(sheet.photo, "the picture")],
        headline(sheet),
        strip(sheet.panels),
        loss_curves(sheet.panels),
        [f"{panel.name}, {text}" for panel in sheet.panels for text in panel.restarts],
    )
    write_run_page(path, shown, settings, command)


def headline(sheet: Sheet) -> list[Figure]:
    """Size, panels, time."""
    seconds = sum(panel.seconds for panel in sheet.panels)
    iterations = sum(len(panel.losses) - 1 for panel in sheet.panels)
    pace = f"{1000 * seconds / max(iterations, 1):,.0f} ms per iteration"
    ending = "interrupted" if sheet.interrupted else f"{iterations:,} iterations"
    return [
        Figure("Panels", str(len(sheet.panels)), ending),
        Figure("Pixels", size_text(sheet.photo.size), "of each"),
        Figure("Time", duration(seconds), pace),
    ]


def strip(panels: list[Panel]) -> Filmstrip:
    """All panels side by side, at each moment of the first one."""
    frames = []
    for moment in panels[0].snapshots:
        pictures = []
        for panel in panels:
            until = [one for one in panel.snapshots if one.iteration <= moment.iteration]
            pictures.append(Picture(until[-1].image, panel.name))
        when = f"iteration {moment.iteration}" if moment.iteration else "the start"
        frames.append(Frame(when, pictures))
    return Filmstrip("From noise to what the layers know", frames)


def loss_curves(panels: list[Panel]) -> Curves:
    """A chart for the losses of content, and one for those of style."""
    groups: dict[str, dict[str, str]] = {}
    for panel in panels:
        line = panel.layers[-1] if panel.kind == "content" else f"to {panel.layers[-1]}"
        groups.setdefault(f"Loss of {panel.kind}", {})[line] = panel.name
    history = [
        {"iteration": i + 1}
        | {panel.name: panel.losses[i] for panel in panels if i < len(panel.losses) - 1}
        for i in range(max(len(panel.losses) for panel in panels) - 1)
    ]
    return curves(history, "iteration", groups)
