"""`minidl weights`: published weights, fetching them, converting files."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from apps.shared.command_line import Debug, Json, app
from apps.shared.console import answering_errors, as_options, note, print_json

weights_app = typer.Typer(
    help="Weights that others have trained: which there are, fetching, converting.",
    no_args_is_help=True,
)
app.add_typer(weights_app, name="weights")


@weights_app.command("list")
def list_weights(as_json: Json = False, debug: Debug = False) -> None:
    """Show the published weights that have a name, and where they are on this machine."""
    with answering_errors(debug):
        from models.weights.published import available

        rows = available()
        say = note if as_json else print
        for row in rows:
            place = row["found"] or f"not here, {row['megabytes']} MB to fetch"
            say(f"{row['name']:<28} for {row['model']:<22} {row['what']}: {place}")
        if as_json:
            print_json({"weights": rows})
        sys.stdout.flush()


@weights_app.command("fetch")
def fetch_weights(
    name: Annotated[str, typer.Argument(help="One of `minidl weights list`.")],
    output: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder to put the file into.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Download published weights, unless they are there: to the cache folder, or to --output."""
    with answering_errors(debug):
        from models.weights.published import fetch

        print(f"{name} is in {fetch(name, output)}", flush=True)


@weights_app.command("convert")
def convert_weights(
    file: Annotated[
        str, typer.Argument(help="Weight file, run folder, or a name of `minidl weights list`.")
    ],
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
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Convert a weight file of another library into one with minidl's names.

    The answer says which tensors were converted, which layers of the network are
    not in the file, and what was not used. The new file holds what was converted.
    """
    with answering_errors(debug):
        from apps.classify.evaluate import weight_file
        from apps.files.models import parse_arguments
        from minidl.errors import CheckpointError
        from models.weights.convert import convert

        try:
            report = convert(
                weight_file(file, "convert"), model, output, num_classes,
                parse_arguments("convert", model_arg or []), by, fresh or (), channel_order,
            )  # fmt: skip
        except CheckpointError as error:
            error.hint = as_options(error.hint, "--by order", "--model-arg")
            raise
        say = note if as_json else print
        say(str(report))
        say(f"written to {output}: what was loaded, under our names")
        if as_json:
            print_json({"output": output, **report.as_json()})
        sys.stdout.flush()
