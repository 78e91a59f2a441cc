"""`minidl style texture`: more of a texture, or what is missing of a picture."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from apps.shared.command import command
from apps.shared.console import Console
from apps.shared.options import OptionError
from apps.shared.output_file import Out, OutputFile, Overwrite
from apps.style.group import style
from apps.style.texture.settings import Settings, checked

Samples = Annotated[list[str], typer.Argument(metavar="SAMPLE...", help="Pictures of the texture.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with an interrupted run of the same output.")
]
Coordinates = Annotated[
    str | None,
    typer.Option(metavar="OUT.npz", help="Also write where each pixel was copied from."),
]
Apply = Annotated[
    str | None,
    typer.Option(
        metavar="MAP.npz",
        help="Synthesise nothing: copy from SAMPLE... what a map of --coordinates says, which was "
        "made from other samples of the same sizes.",
    ),
]


@command(style, "texture", settings=Settings)
def texture(
    samples: Samples,
    given: dict[str, Any],
    console: Console,
    output: Out,
    coordinates: Coordinates = None,
    apply: Apply = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Make more of a texture, or fill a hole in a picture.

    Efros and Leung 1999, pixel by pixel: each is copied from where the sample
    looks most like what is there around it. Or image quilting (Efros and Freeman
    2001), patch by patch. Every pixel comes from a sample.

    OUT is the picture; OUT's name with .html is the report. Ctrl-C keeps what is
    done, and --resume with the same options goes on, to the same bits.
    """
    from apps.style.texture.make import (
        REPORT,
        STATE,
        apply_coordinates,
        check_sheet,
        make_sheet,
        make_texture,
    )

    if apply is not None:
        if given or coordinates or resume:
            raise OptionError("--apply takes samples and -o, nothing else", {"--apply": apply})
        figures = apply_coordinates(samples, apply, OutputFile(output, overwrite))
        console.line(f"{output}: {spoken(figures['size'])} pixels")
        console.json(figures)
        return
    settings = checked(given)
    if len(settings.window) > 1:
        check_sheet(settings, output, resume, coordinates)
        figures = make_sheet(samples, settings, OutputFile(output, overwrite), console.note)
        for one in figures["windows"]:
            console.line(f"window {one['window']}: {one['seconds']:.1f} s")
        console.line(f"{output}: the sheet")
        console.json(figures)
        return
    beside = [REPORT] if resume else [REPORT, STATE]
    file = OutputFile(output, overwrite or resume, beside=beside)
    map_file = None
    if coordinates is not None:
        map_file = OutputFile(coordinates, overwrite or resume, endings=[".npz"]).path
    typed = shlex.join(["minidl", *sys.argv[1:]])
    figures = make_texture(samples, settings, file, resume, map_file, typed, console.note)
    console.line(
        f"{figures['pixels']:,} pixels in {figures['seconds']:.1f} s, "
        f"{100 * figures['coherence']:.0f} % of them copied with their left neighbour"
    )
    console.line(
        f"{output}: {spoken(figures['size'])} pixels; {figures['report']} shows how it came about"
    )
    console.json(figures)
    if figures["interrupted"]:
        raise KeyboardInterrupt("interrupted; what is done is kept. --resume goes on")


def spoken(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
