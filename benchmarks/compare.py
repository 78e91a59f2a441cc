"""What the comparisons with PyTorch have in common: their options, and how a case is measured."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.results import provenance, table, write_section
from benchmarks.timing import Timings, Worker, alternate, serve

ROUNDS, QUICK_ROUNDS = 20, 5
# Columns of the tables, heading -> key of the rows: speed, and how much was measured.
SPEED = {
    "PyTorch": "ratio", "goal": "goal", "NCHW": "ratio_nchw",
    "channels last": "ratio_channels_last",
}  # fmt: skip
MEASURED = {"rounds": "rounds", "spoiled": "spoiled"}


class Spoiled(Exception):
    """Other programs took the processors in too many rounds of a case."""


@dataclass
class Compared:
    """Timings of all sides of a case, the first being minidl, and the peak memory of each in MB."""

    sides: tuple[str, ...]
    timings: Timings
    peaks: list[int]

    @property
    def ms(self) -> float:
        """minidl's median."""
        return 1e3 * self.timings.median(0)

    def ratios(self) -> dict[str, float]:
        """The time of each other side over minidl's: the median over the rounds."""
        return {side: self.timings.ratio(i, 0) for i, side in enumerate(self.sides) if i}

    def rounds(self) -> dict[str, int]:
        return {"rounds": len(self.timings.seconds[0]), "spoiled": self.timings.spoiled}


def options_of(doc: str, what: str, names: Iterable[str]) -> argparse.ArgumentParser:
    """The parser of a comparison. `what` says what is chosen from the names, as in "models"."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument(f"--{what}", dest="words", nargs="+", help=", ".join(names))
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds, not {ROUNDS}")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    return parser


def words_of(options: argparse.Namespace) -> list[str]:
    """What was chosen, by commas or spaces; nothing for all."""
    return [word for group in options.words or [] for word in group.split(",") if word]


def section_of(name: str, title: str, what: str, words: list[str]) -> tuple[str, str, str]:
    """Where in RESULTS.md a comparison goes, and the command: what was chosen has its own section.

    Args:
        name: of the benchmark, and of the section of all its cases.
        title: of that section.
        what: is chosen from, as in "models".
        words: that were given to choose; [] for all.

    Returns:
        The name of the section, its title, and the command that writes it.
    """
    command = f"python -m benchmarks.{name}"
    if not words:
        return name, title, f"{command} --write"
    chosen = " ".join(f"'{word}'" if " " in word else word for word in words)
    return (
        f"{name} {chosen}",
        f"{title}: {', '.join(words)}",
        f"{command} --{what} {chosen} --write",
    )


def names_of(
    parser: argparse.ArgumentParser, options: argparse.Namespace, names: Collection[str]
) -> list[str]:
    """The chosen names, all where none is given; another name ends the program."""
    chosen = words_of(options) or list(names)
    for name in chosen:
        if name not in names:
            parser.error(f"no such model: {name}. There are {', '.join(names)}")
    return chosen


def serve_worker(options: argparse.Namespace, function_of: Callable[[str, str], Callable]) -> bool:
    """Whether this process is a worker of a comparison, and then its work has been done."""
    if options.worker:
        serve(function_of(*options.worker))
    return bool(options.worker)


def compare(module: str, sides: tuple[str, ...], name: str, quick: bool) -> Compared:
    """Let a worker for each side of a case run in turn.

    Raises:
        Spoiled: other programs took the processors in so many rounds that too few count.
    """
    workers = [Worker("-m", f"benchmarks.{module}", "--worker", side, name) for side in sides]
    rounds = QUICK_ROUNDS if quick else ROUNDS
    timings = alternate(workers, rounds)
    peaks = [worker.peak_mb() for worker in workers]
    for worker in workers:
        worker.close()
    if len(timings.seconds[0]) < rounds:
        raise Spoiled(f"{name}: other programs spoiled {timings.spoiled} rounds; try later")
    return Compared(sides, timings, peaks)


def measure_all(
    names: Iterable[str], measure: Callable, describe: Callable, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measure each case and print its figures, as JSON or as described.

    Raises:
        SystemExit: a case was spoiled by other programs; the others have been measured.
    """
    rows, spoiled = [], []
    for name in names:
        try:
            rows.append(measure(name, options.quick))
        except Spoiled as why:
            print(why, file=sys.stderr, flush=True)
            spoiled.append(name)
        else:
            print(json.dumps(rows[-1]) if options.json else describe(rows[-1]), flush=True)
    if spoiled:
        raise SystemExit(f"spoiled: {', '.join(spoiled)}" + "; nothing written" * options.write)
    return rows


def run_comparison(
    parser: argparse.ArgumentParser,
    cases: Collection[str],
    function_of: Callable[[str, str], Callable],
    measure: Callable,
    describe: Callable,
    write: Callable,
    arguments: list[str] | None = None,
) -> None:
    """The program of a comparison whose cases are chosen by their names.

    Args:
        parser: from options_of.
        cases: their names.
        function_of: (side, case) -> what a worker of that side repeats.
        measure: (case, quick) -> a row.
        describe: row -> its figures in words.
        write: (rows, words) -> None: writes the section of RESULTS.md.
        arguments: of the command line; None for those that were typed.
    """
    options = parser.parse_args(arguments)
    if serve_worker(options, function_of):
        return
    rows = measure_all(names_of(parser, options, cases), measure, describe, options)
    if options.write:
        write(rows, words_of(options))


def against_torch(row: dict[str, Any]) -> str:
    """A row's speed in words, for the faster of PyTorch's memory formats and for each."""
    return (
        f"{row['ratio']:.2f} x as fast as torch (nchw {row['ratio_nchw']:.2f}, "
        f"channels last {row['ratio_channels_last']:.2f})"
    )


def rounds_in_words(row: dict[str, Any]) -> str:
    return f"{row['rounds']} rounds, {row['spoiled']} spoiled"


def write_comparison(
    name: str,
    title: str,
    what: str,
    words: list[str],
    about: str,
    columns: dict[str, str],
    rows: list[dict[str, Any]],
    notes: str = "",
    packages: tuple[str, ...] = (),
) -> None:
    """Write the section of RESULTS.md: what was measured, and a table of it.

    Args:
        name, title, what, words: as section_of has them.
        about: the text above the table.
        columns: heading -> key of the rows.
        rows: as they were measured.
        notes: the text below the table.
        packages: beside minidl, NumPy, Numba and PyTorch, those whose versions matter.
    """
    section, title, command = section_of(name, title, what, words)
    lines = [[row[key] for key in columns.values()] for row in rows]
    versions = provenance("minidl", "numpy", "numba", "torch", *packages)
    parts = [about, table(list(columns), lines), notes, f"All by `{command}`. {versions}"]
    write_section(section, title, "\n\n".join(part for part in parts if part))
