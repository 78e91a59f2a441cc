"""`minidl weights`: published weights, fetching them, converting files."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.files.models import model_arguments
from apps.shared.command import application, command
from apps.shared.console import Console, words_for_networks

app = application()
weights = application(
    "weights", "Weights that others have trained: which there are, fetching, converting."
)
app.add_typer(weights)


@command(weights, "list")
def list_weights(console: Console) -> None:
    """Show the published weights that have a name, and where they are on this machine."""
    from models.weights.published import available

    rows = available()
    for row in rows:
        place = row["found"] or f"not here, {row['megabytes']} MB to fetch"
        console.line(f"{row['name']:<28} for {row['model']:<22} {row['what']}: {place}")
    console.json({"weights": rows})


@command(weights, "fetch", has_json=False)
def fetch_weights(
    name: Annotated[str, typer.Argument(help="One of `minidl weights list`.")],
    console: Console,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder to put the file into."),
    ] = None,
) -> None:
    """Download published weights, unless they are there: to the cache folder, or to --output."""
    from models.weights.published import fetch

    console.line(f"{name} is in {fetch(name, output)}")


@command(weights, "convert", words=words_for_networks)
def convert_weights(
    file: Annotated[
        str, typer.Argument(help="Weight file, run folder, or a name of `minidl weights list`.")
    ],
    console: Console,
    model: Annotated[str, typer.Option(help="Network that the weights are for.")],
    output: Annotated[
        str, typer.Option("--output", "-o", help="New file, *.safetensors or *.npz.")
    ],
    num_classes: Annotated[
        int | None, typer.Option(help="Of the network; by default as many as the file has.")
    ] = None,
    model_arg: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Argument of the network, as in size=128; repeatable."
        ),
    ] = None,
    fresh: Annotated[
        list[str] | None,
        typer.Option(metavar="LAYER", help="Leave a layer out, such as classifier.fc6."),
    ] = None,
    by: Annotated[
        str, typer.Option(help="name; order: place the tensors one after the other.")
    ] = "name",
    channel_order: Annotated[
        str | None,
        typer.Option(help="RGB or BGR, what the file expects, if not its library's usual order."),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(help="How the names of the network begin, if the file has it several times."),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="Convert also less than half of a network, or a part of a larger one."
        ),
    ] = False,
) -> None:
    """Convert a weight file of another library into one with minidl's names.

    The answer says which tensors were converted, which layers of the network are
    not in the file, and what was not used. The new file holds what was converted.
    """
    from apps.shared.trained import weight_file
    from models.weights.convert import convert

    report = convert(
        weight_file(file), model, output, num_classes, model_arguments(model_arg or []), by,
        fresh or (), channel_order, prefix, partial,
    )  # fmt: skip
    console.line(str(report))
    console.line(f"written to {output}: what was loaded, under our names")
    console.json({"output": output, **report.as_json()})
