"""The sheet: content, style and what each way made of them, with seconds and measures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.shared.page import Page, duration, render, settings_table, write_page
from apps.shared.photo import Photo
from apps.shared.pictures import Picture
from apps.shared.run_folder import now_text, versions
from apps.style.compare.measure import Measures
from apps.style.compare.ways import Job, Way

LARGE = 768  # pixels of a picture's longer side


@dataclass
class Row:
    """A way and what it made.

    Args:
        way: which.
        photo: the picture.
        seconds: that it took.
        measures: of the picture.
        interrupted: whether Ctrl-C ended it.
    """

    way: Way
    photo: Photo
    seconds: float
    measures: Measures
    interrupted: bool = False

    @property
    def time(self) -> str:
        return f"{self.seconds:.1f} s" if self.seconds < 10 else duration(self.seconds)

    @property
    def picture(self) -> Picture:
        return Picture(self.photo.over_white().bytes, self.way.title, at_most=LARGE)


def write_sheet(
    path: Path, job: Job, rows: list[Row], before: Measures, settings: dict[str, Any], command: str
) -> None:
    """Write the page.

    Args:
        path: of the file.
        job: the pictures.
        rows: of the ways, in order.
        before: measures of the content itself.
        settings: of the command.
        command: what was typed.
    """
    names = [Path(settings[which]).stem for which in ("content", "style")]
    height, width = job.content.size
    page = Page(
        heading=f"{names[0]} in the style of {names[1]}, {len(rows)} ways",
        note=f"{now_text()} · {width}x{height} pixels · {settings['net']} · seed "
        f"{settings['seed']}",
        command=command,
        settings=settings_table(settings, versions()),
    )
    pictures = [
        Picture(photo.bytes, name, at_most=LARGE)
        for name, photo in (("content", job.content), ("style", job.style))
    ]
    text = render("style/compare/page.html.j2", page, sources=pictures, rows=rows, before=before)
    write_page(path, text, "style")
