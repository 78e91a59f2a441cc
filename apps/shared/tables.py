"""Tables on the terminal; where the output is read by another program, aligned text.

A column is (heading, alignment); a row is a list of texts. Text that goes to a file or pipe is one
line per row with each heading before its value, so that a line found by grep explains itself; the
first column names the row and goes without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

Column = tuple[str, str]  # heading, and "left" or "right"


class Out:
    """Where the answer for people goes: stdout, or stderr where stdout is for JSON.

    Args:
        as_json: whether stdout is for JSON.
    """

    def __init__(self, as_json: bool):
        self.stream = sys.stderr if as_json else sys.stdout
        self.is_terminal = self.stream.isatty()

    def line(self, text: str = "", style: str = "") -> None:
        """A line of text; a terminal shows it in the style of rich ("bold", "dim")."""
        if self.is_terminal and style:
            from rich.text import Text

            self.rich(Text(text, style))
        else:
            print(text, file=self.stream, flush=True)

    def table(self, title: str, columns: list[Column], rows: Iterable[list[str]]) -> None:
        """Show a table, with a title above it if there is one."""
        rows = list(rows)
        if self.is_terminal:
            self.rich(rich_table(title, columns, rows))
            return
        for text in [title, *aligned(columns, rows)] if title else aligned(columns, rows):
            self.line(text)

    def rich(self, thing: Any) -> None:
        """Show something that rich draws, on a terminal."""
        from rich.console import Console
        from rich.text import Text

        is_line = isinstance(thing, Text)  # which the terminal wraps, if it has to
        Console(file=self.stream, highlight=False).print(thing, soft_wrap=is_line)


def aligned(columns: list[Column], rows: list[list[str]]) -> list[str]:
    """Rows as lines of equal columns, two spaces apart, all but the first after their heading."""
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(len(columns))]
    lines = []
    for row in rows:
        cells = []
        for cell, width, (heading, alignment) in zip(row, widths, columns):
            text = cell.rjust(width) if alignment == "right" else cell.ljust(width)
            cells.append(f"{heading} {text}" if cells else text)
        lines.append("  ".join(cells).rstrip())
    return lines


def rich_table(title: str, columns: list[Column], rows: list[list[str]]) -> Any:
    """The table as rich draws it. Names are texts, not markup: "[red]" is shown as it is."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    if title:
        table.title, table.title_justify = Text(title, "bold"), "left"
    for heading, alignment in columns:
        table.add_column(Text(heading), justify=alignment, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
