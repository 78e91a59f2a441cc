"""`minidl style cnnmrf`: a picture put together from patches of a style's features."""

from __future__ import annotations

from typing import Any

from apps.shared.command import command
from apps.shared.console import Console
from apps.shared.output_file import Out, Overwrite
from apps.style.cnnmrf.settings import Settings
from apps.style.group import style
from apps.style.resume import Order, Resume


@command(style, "cnnmrf", settings=Settings)
def cnnmrf(
    given: dict[str, Any],
    console: Console,
    output: Out,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Give a picture the local patterns of another, patch by patch.

    Li and Wand 2016 (CNNMRF): every patch of the picture's features is drawn to
    the style's most similar one, found anew in each iteration. Suits a style
    that shows the same things, such as a face for a face. With one picture
    alone, a new picture of its patches. OUT is the picture; beside it, OUT's
    name with .html is the report. Ctrl-C keeps the best picture so far, and
    --resume with the same options goes on.
    """
    from apps.style.cnnmrf.synthesis import synthesise

    figures = synthesise(Order(given, output, overwrite, resume, console.note))
    losses = "  ".join(f"{k.removesuffix('_loss')} {v:.4g}" for k, v in figures["losses"].items())
    alike = "  ".join(f"{k} {v:.2f}" for k, v in figures["correlation"].items())
    height, width = figures["size"]
    iterations = figures["iterations"]
    console.line(f"{losses}  after {iterations} iterations, {figures['seconds']:.1f} s")
    if alike:
        console.line(f"correlation of patches with their matches: {alike}")
    console.line(f"{output}: {width}x{height} pixels; {figures['report']} shows how it came about")
    console.json(figures)
    if figures["interrupted"]:
        raise KeyboardInterrupt("interrupted; that is the best so far. --resume goes on")
