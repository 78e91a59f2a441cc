"""Tables on the terminal; where the output is read by another program, aligned text.

A column is (heading, alignment); a row is a list of texts. Text that goes to a file or pipe is one
line per row with each heading before its value, so that a line found by grep explains itself; the
first column names the row and goes without.
"""

from __future__ import annotations

from typing import Any, Literal

Column = tuple[str, Literal["left", "right"]]  # heading, and where its cells stand


def aligned(columns: list[Column], rows: list[list[str]]) -> list[str]:
    """Rows as lines of equal columns, two spaces apart, all but the first after their heading."""
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(len(columns))]
    lines = []
    for row in rows:
        cells: list[str] = []
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
