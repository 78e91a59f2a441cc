"""`minidl draw`: sample, train, score, check.

Each turns its options into settings, calls one function and prints what it returns. Slow imports
are inside the commands, so that --help answers at once.
"""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from apps.draw.settings import Settings
from apps.shared import run_folder
from apps.shared.command import DataDir, Output, Resume, application, command
from apps.shared.console import Console
from apps.shared.output_file import Overwrite

app = application()
draw = application("draw", "Text-to-image: draw a sentence, and learn to.")
app.add_typer(draw)
RESUME = "minidl draw train --resume"
RUN_HELP = "flowers (comes with the install), a run folder, or a .safetensors file of one."


@command(draw, "sample")
def sample(
    run: Annotated[str, typer.Argument(metavar="RUN|NAME", help=RUN_HELP)],
    captions: Annotated[list[str], typer.Argument(metavar="CAPTION...", help="Sentences to draw.")],
    console: Console,
    n: Annotated[int, typer.Option("-n", help="Pictures of each sentence.", min=1)] = 8,
    seed: Annotated[int, typer.Option(help="Of the noise.", min=0)] = 0,
    interpolate: Annotated[
        str | None,
        typer.Option(metavar="CAPTION", help="Walk to this sentence, with the same noise."),
    ] = None,
    interpolate_noise: Annotated[
        bool, typer.Option("--interpolate-noise", help="Walk from one noise to another.")
    ] = False,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="SHEET", help="The .png or .jpg to write.")
    ] = "drawn.png",
    overwrite: Overwrite = False,
) -> None:
    """Draw pictures for sentences.

    minidl draw sample flowers "the flower has yellow petals" -o flower.png

    A word that the training never saw is named on stderr, and counts as <unk>.
    """
    from apps.draw.sheet import Wish, draw_sheet

    wish = Wish(captions, n, seed, interpolate, interpolate_noise)
    figures = draw_sheet(run, wish, output, overwrite, console.note)
    count = figures["pictures"]
    console.line(f"written to {figures['sheet']}: {count} picture{'' if count == 1 else 's'}")
    console.json(figures)


@command(draw, "train", settings=Settings)
def train(
    given: dict[str, Any], console: Console, output: Output = None, resume: Resume = None
) -> None:
    """Learn to draw sentences; without options on flowers, which takes some 20 minutes.

    First a text encoder learns which sentence belongs to which picture, then
    generator and discriminator learn against each other (Reed et al. 2016).
    After Ctrl-C or kill -9 at any moment --resume goes on, and ends with the
    same bits.
    """
    from apps.draw import training
    from apps.draw.presets import from_checkpoint, from_command_line
    from apps.draw.run import open_drawing_run

    if resume is not None:
        folder, meta = open_drawing_run(resume, output)
        settings = from_checkpoint(meta, given)
    else:
        settings = from_command_line(given)
        name = f"draw-{run_folder.short_name(settings.data)}"
        folder = run_folder.make_folder(output, name, RESUME)

    typed = shlex.join(["minidl", *sys.argv[1:]])
    with run_folder.in_run_folder(folder, f"{RESUME} {folder}", is_resumed=resume is not None):
        figures = training.Training(settings, folder, typed, console.note).run()

    if "held_out" in figures:
        right = figures["held_out"]["attributes"].items()
        console.line(", ".join(f"{name} {100 * share:.1f} %" for name, share in right))
    if figures["diversity"] is not None:
        console.line(f"diversity {figures['diversity']:.2f} (real pictures: 1)")
    console.line(f"{figures['steps']:,} steps, {figures['seconds']:.0f} s")
    console.line(f"run folder: {folder} (report.html in it shows the run)")
    console.json(figures)


@command(draw, "score")
def score(
    run: Annotated[str, typer.Argument(metavar="RUN|NAME", help=RUN_HELP)],
    console: Console,
    data: Annotated[
        str | None, typer.Option(help="As for train; by default what the run was trained on.")
    ] = None,
    data_dir: DataDir = None,
    n: Annotated[
        int, typer.Option("-n", help="Pictures to draw; R-precision needs over 100.", min=50)
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Of noise and choice.", min=0)] = 0,
) -> None:
    """Measure how well pictures fit their sentences, and how different they are.

    Of flowers an oracle reads the attributes back from the pixels, of
    combinations that were held out and of seen ones. R-precision: how often a
    picture's own sentence is found among a hundred. Each also against shuffled
    sentences, the level of chance. The Frechet distance needs the weights of
    SqueezeNet (5 MB).
    """
    from apps.draw.score.score import score_run
    from apps.draw.score.text import show

    found = score_run(run, data, data_dir, n, seed, console.note)
    show(console, found)
    console.json({"run": run} | found)


@command(draw, "check")
def check(
    data: Annotated[str, typer.Argument(metavar="NAME|PATH", help="As --data of train.")],
    console: Console,
    data_dir: DataDir = None,
) -> None:
    """Say what is wrong with pictures and captions, before hours are spent on them."""
    from apps.shared.checking import check_data

    found = check_data(data, data_dir, console)
    console.json(found)
    if found["serious"]:
        raise typer.Exit(2)
