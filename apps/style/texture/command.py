"""`minidl style texture`: more of a texture, or what is missing of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from apps.shared.command import command
from apps.shared.console import Console
from apps.shared.options import OptionError
from apps.shared.output_file import Out, OutputFile, Overwrite
from apps.shared.photo import size_text
from apps.style.group import style
from apps.style.resume import Order, Resume
from apps.style.texture.settings import Settings, checked

Samples = Annotated[list[str], typer.Argument(metavar="SAMPLE...", help="Pictures of the texture.")]
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
    if apply is not None:
        if given or coordinates or resume:
            raise OptionError("--apply takes samples and -o, nothing else", {"--apply": apply})
        apply_map(samples, apply, OutputFile(output, overwrite), console)
        return
    settings = checked(given)
    if len(settings.window) > 1:
        check_sheet(settings, output, resume, coordinates)
        compare_windows(samples, settings, OutputFile(output, overwrite), console)
        return
    make_picture(samples, settings, output, coordinates, overwrite, resume, console)


def apply_map(samples: list[str], file: str, output: OutputFile, console: Console) -> None:
    """--apply."""
    from apps.style.texture.make import apply_coordinates

    figures = apply_coordinates(samples, file, output)
    console.line(f"{output.path}: {size_text(figures['size'])} pixels")
    console.json(figures)


def check_sheet(settings: Settings, output: str, resume: bool, coordinates: str | None) -> None:
    """A sheet of several windows has no state, no map, and an ending of its own.

    Raises:
        OptionError
    """
    from apps.shared.sheet import FORMATS

    if resume or coordinates:
        flag = "--resume" if resume else "--coordinates"
        raise OptionError(f"{flag} belongs to a single --window", {"--window": settings.window})
    if Path(output).suffix.lower() not in FORMATS:
        raise OptionError(
            f"a sheet is a file that ends in {', '.join(FORMATS)}", {"--output": output}
        )


def compare_windows(
    samples: list[str], settings: Settings, output: OutputFile, console: Console
) -> None:
    """Several windows in --window."""
    from apps.style.texture.make import make_sheet

    figures = make_sheet(samples, settings, output, console.note)
    for one in figures["windows"]:
        console.line(f"window {one['window']}: {one['seconds']:.1f} s")
    console.line(f"{output.path}: the sheet")
    console.json(figures)
    if figures["interrupted"]:
        raise KeyboardInterrupt("interrupted; the sheet has what was made. It cannot be resumed")


def make_picture(
    samples: list[str], settings: Settings, output: str, coordinates: str | None,
    overwrite: bool, resume: bool, console: Console,
) -> None:  # fmt: skip
    """One window."""
    from apps.style.texture.make import make_texture

    map_file = None
    if coordinates is not None:
        map_file = OutputFile(coordinates, overwrite or resume, endings=[".npz"]).path
    order = Order({}, output, overwrite, resume, console.note)
    figures = make_texture(samples, settings, order, map_file)
    console.line(
        f"{figures['pixels']:,} pixels in {figures['seconds']:.1f} s, "
        f"{100 * figures['coherence']:.0f} % of them copied with their left neighbour"
    )
    console.line(
        f"{output}: {size_text(figures['size'])} pixels; "
        f"{figures['report']} shows how it came about"
    )
    console.json(figures)
    if figures["interrupted"]:
        raise KeyboardInterrupt("interrupted; what is done is kept. --resume goes on")
