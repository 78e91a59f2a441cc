"""`minidl style compare`: the ways to give a picture a style, side by side."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from apps.shared.command import command
from apps.shared.console import Console
from apps.shared.output_file import Overwrite
from apps.style.compare.settings import Settings
from apps.style.group import style
from apps.style.resume import Order, Resume

Sheet = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="SHEET.html", show_default=False,
        help="The page to write; the pictures go into a folder of the same name.",
    ),
]  # fmt: skip


@command(style, "compare", settings=Settings)
def compare(
    given: dict[str, Any],
    console: Console,
    output: Sheet,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Give one picture the style of another in several ways, side by side.

    Image quilting (MRF), Gatys (CNN) and CNNMRF, and one pass of a network where
    there is one for the style; each with the defaults of its command, with its
    seconds, and the same measures for all.
    """
    from apps.style.compare.comparison import compare as run

    figures = run(Order(given, output, overwrite, resume, console.note))
    rows = [
        [name, f"{w['seconds']:.1f}", f"{w['content']:.3f}", f"{w['style']:.4f}",
         f"{w['patches']:.3f}"]
        for name, w in figures["ways"].items()
    ]  # fmt: skip
    headings = ("seconds", "content", "style", "patches")
    console.table("", [("way", "left"), *((name, "right") for name in headings)], rows)
    console.line(f"{output} shows the pictures; they are in {figures['folder']}")
    console.json(figures)
    if figures["interrupted"]:
        raise KeyboardInterrupt("interrupted; --resume goes on")
