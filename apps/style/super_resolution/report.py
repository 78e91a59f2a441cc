"""The report of an enlarged picture: all of it, a detail beside interpolation, how it grew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.shared.page import Figure, Page, duration, render, settings_table, write_page
from apps.shared.photo import Photo, size_text
from apps.shared.pictures import Picture
from apps.shared.run_folder import now_text, versions

if TYPE_CHECKING:
    from apps.style.super_resolution.enlarge import Enlarged

DETAIL = 160  # pixels of the sides of the detail


def write_report(
    path: Path,
    small: Photo,
    plain: Photo,
    made: Enlarged,
    truth: Photo | None,
    figures: dict[str, Any],
    settings: dict[str, Any],
    command: str,
) -> None:
    """Write the page.

    Args:
        path: of the file.
        small: the picture that was enlarged.
        plain: it, enlarged by cubic interpolation.
        made: the result.
        truth: what it should be, where it was shrunk for that.
        figures: as the command prints them.
        settings: of the run.
        command: what was typed.
    """
    times = {2: "Twice", 4: "Four times"}[settings["scale"]]
    how = "by patches of pictures" if made.run is not None else "by a network"
    page = Page(
        heading=f"{times} as large, {how}", note=now_text(),
        figures=headline(small, made, figures), command=command,
        settings=settings_table(settings, versions()),
    )  # fmt: skip
    text = render(
        "style/super_resolution/page.html.j2", page,
        made=Picture(made.photo.over_white().bytes, "the result", at_most=1280),
        details=details(plain, made.photo, truth),
        strip=None if made.run is None else made.run.filmstrip("From interpolation to detail"),
    )  # fmt: skip
    write_page(path, text, "super-resolution")


def headline(small: Photo, made: Enlarged, figures: dict[str, Any]) -> list[Figure]:
    """Size, time, and with --test how near it comes to the truth."""
    ending = "interrupted" if made.interrupted else f"from {size_text(small.size)}"
    found = [
        Figure("Picture", size_text(made.photo.size), ending),
        Figure("Time", duration(made.seconds)),
    ]
    if "psnr" in figures:
        cubic = f"cubic interpolation {figures['psnr_cubic']:.2f} dB"
        found.append(Figure("PSNR", f"{figures['psnr']:.2f} dB", cubic))
    return found


def details(plain: Photo, made: Photo, truth: Photo | None) -> list[Picture]:
    """The square in which the result differs most from plain interpolation, of each picture."""
    y, x = most_different(made.pixels, plain.pixels)
    named = [(plain, "cubic interpolation"), (made, "the result"), (truth, "what it was")]
    return [
        Picture(photo.bytes[y : y + DETAIL, x : x + DETAIL, :3], caption, exact=True)
        for photo, caption in named
        if photo is not None
    ]


def most_different(a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
    """The first row and column of the square of DETAIL pixels in which two pictures, (H, W, 3),
    differ most."""
    total = np.abs(a - b).sum(axis=2, dtype=np.float64).cumsum(axis=0).cumsum(axis=1)
    total = np.pad(total, ((1, 0), (1, 0)))
    rows, columns = (min(DETAIL, length) for length in a.shape[:2])
    squares = (
        total[rows:, columns:] - total[:-rows, columns:] - total[rows:, :-columns]
        + total[:-rows, :-columns]
    )  # fmt: skip
    y, x = np.unravel_index(int(squares.argmax()), squares.shape)
    return int(y), int(x)
