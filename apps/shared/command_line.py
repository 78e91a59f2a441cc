"""The command line itself, to which each file of commands adds its own, and options they share."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    name="minidl",
    help="Train and use the networks of minidl.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]
DataDir = Annotated[str | None, typer.Option(help="Folder in which to look for data first.")]
Workers = Annotated[int | None, typer.Option(help="Threads that prepare batches; 0: none.")]
RUN_HELP = "Run folder, or a .safetensors file in one."


def print_version(wanted: bool) -> None:
    if wanted:
        from minidl import __version__

        print(f"minidl {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Train and use the networks of minidl."""
