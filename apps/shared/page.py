"""Every page that minidl writes: one HTML file that opens without a network.

A page extends shared/page.html.j2, which brings the head, the style, the headline figures, the
table of settings and the footer; the page itself fills the block `main`. It loads nothing: style
and pictures are part of the file, and its Content-Security-Policy forbids the rest. Scripts are
forbidden, too, but for the one in the block `script`, which the policy names by its SHA-256. Every
text that comes from data (class names, file names, captions) is escaped by the template engine.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from minidl.io.atomic import write_atomically

TEMPLATES = Path(__file__).parents[1]  # apps/; a template's name begins with its application


@dataclass
class Figure:
    """A headline figure.

    Args:
        what: "Test accuracy".
        value: "98.61 %".
        note: a few words below it.
    """

    what: str
    value: str
    note: str = ""


@dataclass
class Page:
    """What all pages have.

    Args:
        heading: the first line of the page.
        title: of the browser's tab; by default the heading.
        note: a line below the heading.
        figures: the headline figures.
        command: what the user typed.
        settings: (name, value) of each setting, see settings_table.
    """

    heading: str
    title: str = ""
    note: str = ""
    figures: list[Figure] = field(default_factory=list)
    command: str = ""
    settings: list[tuple[str, str]] = field(default_factory=list)


def render(template: str, page: Page, **values: Any) -> str:
    """A page as text.

    Args:
        template: its path below apps/, "classify/report/page.html.j2".
        page: what all pages have.
        values: what the template needs beside that.
    """
    return environment().get_template(template).render(page=page, **values)


def write_page(path: str | Path, text: str, op: str) -> None:
    """Write a page, whole or not at all.

    Bytes in names of files and classes that are no UTF-8 are written as escapes.

    Args:
        path: of the file.
        text: of the page.
        op: who writes, for errors.

    Raises:
        CheckpointError: the file cannot be written.
    """
    write_atomically(path, text.encode(errors="backslashreplace"), op)


@cache
def environment():
    """The template engine: all values are escaped, and a name that does not exist is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    engine = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    engine.filters |= {"percent": percent, "number": number, "sha256": csp_hash, "path": breakable}
    return engine


# --- texts --------------------------------------------------------------------------------------


def percent(value: float) -> str:
    """0.9917 as "99.17 %", with a space that does not break."""
    return f"{100 * value:.2f}\u00a0%"


def number(value: int) -> str:
    """1234567 as "1,234,567"."""
    return f"{value:,}"


def duration(seconds: float) -> str:
    """71.2 as "1:11 min", 3 as "3 s"."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"
    return f"{minutes}:{rest:02} min" if minutes else f"{rest} s"


def breakable(path: str):
    """A path that may go on in the next line after each of its slashes."""
    from markupsafe import Markup

    return Markup("/<wbr>").join(path.split("/"))


def csp_hash(script: str) -> str:
    """How a Content-Security-Policy names a script that may run."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def settings_table(*groups: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of settings, versions and the like, as texts.

    Args:
        groups: names and values, as run.json holds them.
    """
    pairs = [pair for group in groups for pair in group.items()]
    return [(name.replace("_", " "), setting_text(value)) for name, value in pairs]


def setting_text(value: Any) -> str:
    """A value of run.json for people: "-" for none, "Resize(size=32)" for a transform."""
    if value is None:
        return "-"
    if isinstance(value, dict) and "name" in value:
        arguments = ", ".join(f"{key}={v}" for key, v in value.items() if key != "name")
        return f"{value['name']}({arguments})"
    if isinstance(value, dict):
        value = [f"{key}={v}" for key, v in value.items()]
    if isinstance(value, list | tuple):
        return ", ".join(setting_text(part) for part in value) or "none"
    return str(value)
