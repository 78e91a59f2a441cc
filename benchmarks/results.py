"""Write a section of benchmarks/RESULTS.md, and say how its figures came about.

Each benchmark owns one section of the file, between two comment lines; running it again replaces
that section and leaves the others alone.
"""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
HEADER = """# Results

Every section is written by the command it names, on the code of the commit it names; none by hand.
"""


def write_section(name: str, title: str, body: str, file: Path = RESULTS) -> None:
    """Put `body` (Markdown) under a heading into the file, in place of an older section `name`."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n## {title}\n\n{body.strip()}\n{end}\n"
    text = file.read_text() if file.exists() else HEADER
    if begin in text:
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end + "\n")
        text = before + section + after
    else:
        text = text.rstrip("\n") + "\n\n" + section
    file.write_text(text)


def provenance(*packages: str) -> str:
    """One paragraph: date, commit, machine, Python and the versions of packages."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    return (
        f"{datetime.date.today()}, commit {commit()}, {processor()}, "
        f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, {versions}."
    )


def commit() -> str:
    """The short hash of the code that runs, with "+changes" when files differ from it.

    Results themselves do not count: they change while the benchmarks run.
    """
    root = RESULTS.parent.parent
    head = run_git(root, "rev-parse", "--short=10", "HEAD")
    results = [f":!benchmarks/{name}" for name in ("RESULTS.md", "curves", "pictures")]
    changed = run_git(root, "status", "--porcelain", "--", ".", *results)
    return (head or "unknown") + ("+changes" if changed else "")


def run_git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    return done.stdout.strip()


def processor() -> str:
    """The processor's name and its widest vector extension."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line for line in text.splitlines() if line.startswith("model name")]
    name = names[0].split(":")[1].strip() if names else platform.machine()
    vectors = next((v for v in ("avx512f", "avx2", "avx") if f" {v}" in text), "no AVX")
    return f"{name} ({vectors})"


def table(columns: list[str], rows: list[list]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
