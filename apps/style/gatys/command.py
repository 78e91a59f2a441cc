"""`minidl style gatys`: a picture in the style of others."""

from __future__ import annotations

from typing import Any

from apps.shared.command import command
from apps.shared.console import Console
from apps.shared.output_file import Out, Overwrite
from apps.style.gatys.settings import Settings
from apps.style.group import style
from apps.style.resume import Order, Resume


@command(style, "gatys", settings=Settings)
def gatys(
    given: dict[str, Any],
    console: Console,
    output: Out,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Give a picture the style of others, by optimising its pixels.

    Gatys, Ecker and Bethge 2016. With SqueezeNet (5 MB, fetched once) a picture
    of 512 pixels takes seconds. OUT is the picture; beside it, OUT's name with
    .html is the report. Ctrl-C keeps the best picture so far, and --resume with
    the same options goes on.
    """
    from apps.style.gatys.transfer import transfer

    figures = transfer(Order(given, output, overwrite, resume, console.note))
    losses = "  ".join(f"{k.removesuffix('_loss')} {v:.4g}" for k, v in figures["losses"].items())
    height, width = figures["size"]
    iterations = figures["iterations"]
    console.line(f"{losses}  after {iterations} iterations, {figures['seconds']:.1f} s")
    console.line(f"{output}: {width}x{height} pixels; {figures['report']} shows how it came about")
    console.json(figures)
    if figures["interrupted"]:
        raise KeyboardInterrupt("interrupted; that is the best so far. --resume goes on")
