"""Tables on the terminal; where the output is read by another program, aligned text.

A column is (heading, alignment); a row is a list of texts. Text that goes to a file or pipe is one
line per row with each heading before its value, so that a line found by grep explains itself; the
first column names the row and goes without.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

Alignment = Literal["left", "right"]
Column = tuple[str, Alignment]  # heading, and where its cells stand


def aligned(columns: list[Column], rows: list[list[str]]) -> list[str]:
    """Rows as lines of equal columns, two spaces apart, all but the first after their heading."""
    widths = [widest(row[i] for row in rows) for i in range(len(columns))]
    lines = []
    for row in rows:
        cells: list[str] = []
        for cell, width, (heading, alignment) in zip(row, widths, columns):
            text = filled(cell, width, alignment)
            cells.append(f"{heading} {text}" if cells else text)
        lines.append("  ".join(cells).rstrip())
    return lines


def widest(texts: Iterable[str]) -> int:
    """Columns of a terminal that the widest of some texts takes."""
    return max(map(width_of, texts), default=0)


def width_of(text: str) -> int:
    """Columns of a terminal that a text takes: two for 花, none for an accent behind its letter.

    Bytes of a file name that are no UTF-8 are printed as escapes, "\\udcff".
    """
    from rich.cells import cell_len

    return cell_len(text.encode(errors="backslashreplace").decode())


def filled(text: str, width: int, alignment: Alignment = "left") -> str:
    """A text with the spaces that make it so many columns wide."""
    spaces = " " * (width - width_of(text))
    return spaces + text if alignment == "right" else text + spaces


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
