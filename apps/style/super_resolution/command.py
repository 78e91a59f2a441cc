"""`minidl style super-resolution`: a picture with more pixels."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from apps.shared.command import command
from apps.shared.console import Console
from apps.shared.output_file import Out, Overwrite
from apps.shared.photo import size_text
from apps.style.group import style
from apps.style.resume import Order, Resume
from apps.style.super_resolution.settings import Settings

Image = Annotated[str, typer.Argument(metavar="IMAGE", help="The picture.")]
Test = Annotated[
    bool,
    typer.Option(
        "--test",
        help="Shrink the picture first, and say how near the result comes to it (PSNR), beside "
        "cubic interpolation.",
    ),
]


@command(style, "super-resolution", settings=Settings)
def super_resolution(
    image: Image,
    given: dict[str, Any],
    console: Console,
    output: Out,
    test: Test = False,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Enlarge a picture, and make up the detail that it lacks.

    mrf: Freeman, Pasztor and Carmichael 2000. The detail is put together from
    patches of sharp pictures: those which look alike where they are coarse, and
    agree with their neighbours, found by belief propagation. Ctrl-C keeps what
    is done, and --resume with the same options goes on, to the same bits.

    fast: a network (Johnson et al. 2016), trained by `minidl style fast-train`.

    OUT is the picture; beside it, OUT's name with .html is the report.
    """
    from apps.style.super_resolution.enlarge import enlarge

    figures = enlarge(image, Order(given, output, overwrite, resume, console.note), test)
    if test:
        console.line(
            f"PSNR {figures['psnr']:.2f} dB, cubic interpolation {figures['psnr_cubic']:.2f} dB"
        )
    size = size_text(figures["size"])
    console.line(f"{output}: {size} pixels, {figures['seconds']:.1f} s; {figures['report']}")
    console.json(figures)
    if figures["interrupted"]:
        raise KeyboardInterrupt(
            "interrupted; below what is done there is no more than interpolation. --resume goes on"
        )
