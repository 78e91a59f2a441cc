"""`minidl data`: which data sets there are, and fetching one."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.shared.command import DataDir, application, command
from apps.shared.console import Console

app = application()
data = application("data", "Data sets: which there are, and fetching one.")
app.add_typer(data)


@command(data, "list")
def list_data(console: Console, data_dir: DataDir = None) -> None:
    """Show the data sets that have a name, and where they are on this machine."""
    from minidl.data import available

    rows = available(data_dir)
    for row in rows:
        place = row["found"] or f"not here, {row['size'] / 1e6:.0f} MB to fetch"
        console.line(f"{row['name']:<14} {row['what']}: {place}")
    console.json({"datasets": rows})


@command(data, "fetch", has_json=False)
def fetch_data(
    name: Annotated[str, typer.Argument(help="mnist, fashion-mnist or cifar10.")],
    console: Console,
    data_dir: DataDir = None,
) -> None:
    """Download a data set, unless it is there: to the cache folder, or below --data-dir."""
    from pathlib import Path

    from minidl.data import fetch

    folder = fetch(name, None if data_dir is None else Path(data_dir) / name)
    where = f"is in {folder}" if folder.is_dir() else "needs no download"
    console.line(f"{name} {where}")
