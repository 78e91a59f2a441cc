"""`minidl style fast-train` and `minidl style fast`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from apps.shared.command import command
from apps.shared.console import Console
from apps.shared.output_file import Overwrite
from apps.style.fast.settings import TrainSettings
from apps.style.group import style
from apps.style.resume import Order, Resume


@command(style, "fast-train", settings=TrainSettings)
def fast_train(
    given: dict[str, Any],
    console: Console,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="MODEL", show_default=False,
                     help="The .safetensors file to write; its report stands beside it."),
    ],
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:  # fmt: skip
    """Train a network that draws any picture in one style, in one pass.

    After Johnson et al. 2016. Ctrl-C keeps the state and the network so far;
    --resume goes on, and ends with the same bits as a run without a break.
    """
    from apps.style.fast.run import train

    figures = train(Order(given, output, overwrite, resume, console.note))
    losses = ", ".join(f"{name} {value:.3g}" for name, value in figures["losses"].items())
    console.line(f"{figures['iterations']:,} steps in {figures['seconds']:.0f} s: {losses}")
    console.line(f"written to {figures['model']}; report: {figures['report']}")
    console.json(figures)


@command(style, "fast")
def fast(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL|NAME", help="A file of fast-train, or starry-night."),
    ],
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Pictures, GIFs, videos, folders of them; - reads "
                       "a picture from stdin."),
    ],
    console: Console,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="OUT", show_default=False,
                     help="The file to write; of several pictures, or a folder, a folder."),
    ],
    overwrite: Overwrite = False,
    size: Annotated[
        int | None,
        typer.Option(metavar="PIXELS", help="Bring the longer side to so many pixels first: "
                     "strokes stay as large, so a smaller picture has coarser ones."),
    ] = None,
    strength: Annotated[
        float, typer.Option(help="Between the picture itself, 0, and what the network draws, 1.")
    ] = 1.0,
    colors: Annotated[
        str, typer.Option(help="style; or luma: the colours stay those of the picture.")
    ] = "style",
    median: Annotated[
        bool, typer.Option("--median", help="A 3x3 median takes single bright dots away.")
    ] = False,
    smooth: Annotated[
        float | None,
        typer.Option(help="Of GIFs and videos: how much of the frame before is kept where nothing "
                     "moves, from 0 to below 1; 0.8. Without it frames flicker.", metavar="SHARE"),
    ] = None,
) -> None:  # fmt: skip
    """Draw pictures in the style of a trained network, in one pass each.

    minidl style fast starry-night PHOTO.jpg -o OUT.jpg

    Transparency, the size, and the frames' times stay; a video's sound does not. Of
    several files, one that cannot be read is named on stderr; the others are
    drawn, and the exit code is 2.
    """
    from apps.style.fast.drawing import draw_all
    from apps.style.fast.stylize import Look

    look = Look(strength, colors, median, size, smooth)
    figures = draw_all(model, images, output, overwrite, look, console)
    console.json(figures)
    if figures["failed"]:
        raise typer.Exit(2)
