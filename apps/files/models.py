"""`minidl models` and `minidl summary`: which networks there are, and what one consists of."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from apps.shared import parse
from apps.shared.command import application, command
from apps.shared.console import Console, words_for_networks
from apps.shared.options import Option

app = application()

MODEL_ARG = Option(
    "", "Argument of the network, as in shortcut=B; repeatable.", called="model-arg",
    metavar="NAME=VALUE",
)  # fmt: skip
ModelArg = Annotated[list[str] | None, typer.Option(metavar=MODEL_ARG.metavar, help=MODEL_ARG.help)]


@command(app, "models")
def list_models(console: Console) -> None:
    """Show the networks that have a name.

    MACs: multiply-accumulates for one picture of the size that the network is
    usually given. `minidl summary` shows the layers of one of them.
    """
    rows = known_models()
    console.line(f"{'network':<24} {'parameters':>11} {'MACs':>14} {'pixels':>6}  what it is")
    for row in rows:
        console.line(
            f"{row['name']:<24} {row['parameters']:>11,} {row['macs']:>14,} "
            f"{row['size']:>6}  {row['summary']}"
        )
    console.json({"models": rows})


@command(app, "summary", words=words_for_networks)
def show_summary(
    model: Annotated[str, typer.Argument(help="Network, as `minidl models` lists them.")],
    console: Console,
    size: Annotated[
        int | None,
        typer.Option(help="Pixels per side; by default what the network is usually given."),
    ] = None,
    num_classes: Annotated[int | None, typer.Option(help="Scores that it gives.")] = None,
    in_channels: Annotated[int | None, typer.Option(help="1 for grey, 3 for colour.")] = None,
    model_arg: ModelArg = None,
) -> None:
    """Show the layers of a network: output shapes, parameters, multiply-accumulates,
    receptive fields.

    A network with auxiliary heads is shown as it classifies: they are listed,
    and not called.
    """
    given = {"num_classes": num_classes, "in_channels": in_channels}
    arguments = {name: value for name, value in given.items() if value is not None}
    arguments |= model_arguments(model_arg or [])
    found, shape = summarize(model, size, arguments)
    console.line(str(found))
    figures = {"parameters": found.parameters, "trainable": found.trainable}
    layers = [vars(layer) for layer in found.layers]
    about = {"model": model, "arguments": arguments, "input_shape": shape}
    console.json({**about, **figures, "macs": found.macs, "layers": layers})


def known_models() -> list[dict[str, Any]]:
    """What the registry knows of each network."""
    import models
    from models.registry import arguments_of

    rows = []
    for name in models.names():
        known = models.entry(name)
        row = {"name": name, "summary": known.summary, "size": known.size}
        row |= {"parameters": known.parameters, "macs": known.macs, "head": known.head}
        row |= {"aux_heads": known.aux_heads, "arguments": arguments_of(name)}
        rows.append(row)
    return rows


def summarize(name: str, size: int | None, arguments: dict[str, Any]) -> tuple[Any, tuple]:
    """The summary of a network for one picture, and the shape of that picture.

    A network whose classifier is made for one size is made for this one, as in training.
    """
    import models
    from minidl.debug import summary
    from minidl.nn.checks import check_sizes
    from models.registry import arguments_of

    size = models.entry(name).size if size is None else size
    check_sizes("summary", size=size)
    if "size" in arguments_of(name):
        arguments = {"size": size, **arguments}
    net = models.build(name, **arguments)
    shape = (1, net.in_channels, size, size)
    return summary(net, shape), shape


def model_arguments(texts: list[str]) -> dict[str, Any]:
    """The arguments of a network from "shortcut=B" and "width=0.5".

    Raises:
        OptionError: as of parse.literals.
    """
    return parse.literals(MODEL_ARG, texts)
