"""`minidl style reconstruct`: what each layer knows of a picture."""

from __future__ import annotations

from typing import Any

from apps.shared.command import command
from apps.shared.console import Console
from apps.shared.output_file import Out, Overwrite
from apps.style.group import style
from apps.style.reconstruct.settings import Settings
from apps.style.resume import Order, Resume


@command(style, "reconstruct", settings=Settings)
def reconstruct(
    given: dict[str, Any],
    console: Console,
    output: Out,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Reconstruct a picture from each layer of a network: one sheet.

    Figure 1 of Gatys et al. 2016. A content panel is the picture that has the
    same features in a layer, with its peak signal-to-noise ratio; with --style a
    second row of panels has the same Gram matrices in the first layer, the first
    two, and so on. All begin with the same noise. OUT is the sheet; beside it,
    OUT's name with .html is the report. Ctrl-C keeps the panels so far, and
    --resume with the same options goes on.
    """
    from apps.style.reconstruct.make import make_sheet

    figures = make_sheet(Order(given, output, overwrite, resume, console.note))
    for panel in figures["panels"]:
        near = "" if panel["psnr"] is None else f", {panel['psnr']:.1f} dB"
        layers = ", ".join(panel["layers"])
        console.line(f"{panel['kind']} of {layers}: loss {panel['loss']:.3g}{near}")
    console.line(f"{output}: the sheet; {figures['report']} shows how it came about")
    console.json(figures)
    if figures["interrupted"]:
        raise KeyboardInterrupt("interrupted; the panels so far are kept. --resume goes on")
