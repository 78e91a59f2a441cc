"""The report of a texture: samples, result, how it grew, and where each pixel came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from apps.shared.page import Figure, Page, duration, number, settings_table, write_page
from apps.shared.page import render as render_page
from apps.shared.photo import Photo
from apps.shared.pictures import LARGE, Picture
from apps.shared.run_folder import now_text, versions
from apps.style.texture.task import Task, TextureRun


def write_report(
    path: Path, task: Task, run: TextureRun, made: Photo, figures: dict[str, Any],
    settings: dict[str, Any], command: str,
) -> None:  # fmt: skip
    """Write the page.

    Args:
        path: of the file.
        task, run: what was done.
        made: the picture.
        figures: as the command prints them.
        settings: of the command.
        command: what was typed.
    """
    page = Page(
        heading="Texture by "
        + ("quilting" if settings["method"] == "quilting" else "Efros and Leung"),
        note=f"{now_text()} · seed {settings['seed']}",
        figures=headline(task, figures),
        command=command,
        settings=settings_table(settings, versions()),
    )
    text = render_page(
        "style/texture/page.html.j2", page,
        made=Picture(made.over_white().bytes, "the texture", at_most=1024),
        samples=[
            Picture(photo.over_white().bytes, caption, at_most=LARGE)
            for photo, caption in zip(task.samples, sample_captions(task))
        ],
        origin=Picture(origin_map(task, run), "where each pixel was copied from", at_most=LARGE),
        key=Picture(key_map(task), "the same colours on the sample", at_most=LARGE),
        strip=run.filmstrip("From the first pixels to the last"),
    )  # fmt: skip
    write_page(path, text, "style texture")


def headline(task: Task, figures: dict[str, Any]) -> list[Figure]:
    """Size, time, how much is copied in one piece."""
    (height, width), seconds = task.size, figures["seconds"]
    pace = f"{figures['pixels'] / seconds:,.0f} pixels per second" if seconds else ""
    ending = "interrupted" if figures["interrupted"] else ""
    return [
        Figure("Picture", f"{width}x{height}", ending),
        Figure("Pixels made", number(figures["pixels"]), f"window {figures['window']}"),
        Figure("Time", duration(seconds), pace),
        Figure("Copied together", f"{100 * figures['coherence']:.0f}\u00a0%",
               "pixels whose left neighbour is its left neighbour in the sample, too"),
    ]  # fmt: skip


def coherence(source: np.ndarray) -> float:
    """The share of pixels that were copied with their left neighbour.

    Args:
        source: (H, W), numbers of the sample's pixels; -1 where there is none.
    """
    pairs = (source[:, 1:] >= 0) & (source[:, :-1] >= 0)
    together = (source[:, 1:] == source[:, :-1] + 1) & pairs
    return float(together.sum() / max(1, pairs.sum()))


def sample_captions(task: Task) -> list[str]:
    several = len(task.samples) > 1
    return [
        f"sample {i}, {photo.width}x{photo.height}" if several else
        f"the sample, {photo.width}x{photo.height}"
        for i, photo in enumerate(task.samples, 1)
    ]  # fmt: skip


# --- where pixels come from ---------------------------------------------------------------------


def origin_map(task: Task, run: TextureRun) -> np.ndarray:
    """(H, W, 3), uint8: a colour for each place of the samples; white where nothing is yet."""
    source = run.steps.canvas.source
    height, width = task.material.planes.shape[1:]
    rows, columns = np.divmod(source, width)
    colours = place_colours(rows, columns, height, width)
    colours[source < 0] = 255
    return colours


def key_map(task: Task) -> np.ndarray:
    """(H, W, 3), uint8: the colours of the samples' own pixels."""
    height, width = task.material.planes.shape[1:]
    rows, columns = np.mgrid[:height, :width]
    colours = place_colours(rows, columns, height, width)
    colours[~task.material.known] = 255
    return colours


def place_colours(rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> np.ndarray:
    """Blue grows to the right, yellow downwards; light and dark squares of 8 pixels show shape."""
    y, x = rows / max(1, height - 1), columns / max(1, width - 1)
    squares = ((rows // 8 + columns // 8) % 2)[..., None]
    colours = np.stack([40 + 200 * y, 70 + 90 * x + 70 * y, 60 + 190 * x], axis=-1)
    return np.clip(colours * (0.8 + 0.2 * squares), 0, 255).astype(np.uint8)
