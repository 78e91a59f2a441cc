"""`minidl data`: which data sets there are, and fetching one."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from apps.shared.command_line import DataDir, Debug, Json, app
from apps.shared.console import answering_errors, note, print_json

data_app = typer.Typer(help="Data sets: which there are, and fetching one.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command("list")
def list_data(data_dir: DataDir = None, as_json: Json = False, debug: Debug = False) -> None:
    """Show the data sets that have a name, and where they are on this machine."""
    with answering_errors(debug):
        from minidl.data import available

        rows = available(data_dir)
        say = note if as_json else print
        for row in rows:
            place = row["found"] or f"not here, {row['size'] / 1e6:.0f} MB to fetch"
            say(f"{row['name']:<14} {row['what']}: {place}")
        if as_json:
            print_json({"datasets": rows})
        sys.stdout.flush()


@data_app.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help="mnist, fashion-mnist or cifar10.")],
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """Download a data set, unless it is there: to the cache folder, or below --data-dir."""
    with answering_errors(debug):
        from pathlib import Path

        from minidl.data import fetch

        folder = fetch(name, None if data_dir is None else Path(data_dir) / name)
        where = f"is in {folder}" if folder.is_dir() else "needs no download"
        print(f"{name} {where}", flush=True)
