"""Training runs of a benchmark: through the command line, each in a folder, so that they can go on.

A run that was finished is not run again, one that was interrupted is resumed; so a benchmark of
many hours can be stopped and started at any time, and a table can be written anew from what is
there. Beside each finished run lies what it ran on: commit, machine, versions, date.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import provenance

PROVENANCE = "provenance.txt"


@dataclass(frozen=True)
class Training:
    """One run.

    Args:
        name: of its folder.
        arguments: of `minidl train`, without --output.
    """

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Finished:
    """What a run left behind.

    Args:
        training: the run.
        figures: the content of its run.json.
        history: one dict per epoch, from its metrics.jsonl.
        provenance: what it ran on.
    """

    training: Training
    figures: dict[str, Any]
    history: list[dict[str, Any]]
    provenance: str

    @property
    def accuracy(self) -> float:
        return self.figures["test_accuracy"]


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the option that all benchmarks of this kind have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "--runs", default="runs/benchmarks", type=Path,
        help="folder of the runs; finished ones are not run again, interrupted ones go on",
    )  # fmt: skip
    return made


def run_all(trainings: list[Training], runs: Path) -> list[Finished]:
    """Bring every run to its end, one after the other."""
    return [run(training, runs) for training in trainings]


def run(training: Training, runs: Path) -> Finished:
    """Start a run, go on with it, or find it finished.

    Raises:
        SystemExit: it failed; the command said why.
    """
    folder = runs / training.name
    if not (folder / PROVENANCE).exists():
        if (folder / "checkpoint.safetensors").exists():
            arguments = ["--resume", str(folder)]
        else:
            arguments = [*training.arguments, "--output", str(folder)]
        print(f"{training.name}: minidl train {shlex.join(arguments)}", flush=True)
        done = subprocess.run([minidl_command(), "train", *arguments])
        if done.returncode:
            raise SystemExit(f"{training.name} ended with exit code {done.returncode}")
        (folder / PROVENANCE).write_text(provenance("minidl", "numpy", "numba") + "\n")
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    figures = json.loads((folder / "run.json").read_text())
    history = [json.loads(line) for line in lines]
    finished = Finished(training, figures, history, (folder / PROVENANCE).read_text().strip())
    print(f"{training.name}: test accuracy {100 * finished.accuracy:.2f} %", flush=True)
    return finished


def minidl_command() -> str:
    """The command of the environment that this Python belongs to."""
    return shutil.which("minidl", path=str(Path(sys.executable).parent)) or "minidl"


def percent(value: float) -> str:
    """0.912 as "91.20 %"."""
    return f"{100 * value:.2f} %"


def commands(finished: list[Finished], hidden: dict[str, str]) -> str:
    """The commands of the runs as a code block; `hidden` replaces paths by what they stand for."""
    lines = []
    for done in finished:
        line = "minidl train " + shlex.join(done.training.arguments)
        for path, name in hidden.items():
            line = line.replace(path, name)
        lines.append(line)
    return "```sh\n" + "\n".join(lines) + "\n```"


def provenances(finished: list[Finished]) -> str:
    """What the runs ran on, said once where it is the same for all."""
    runs_of: dict[str, list[str]] = {}
    for done in finished:
        runs_of.setdefault(done.provenance, []).append(done.training.name)
    if len(runs_of) == 1:
        return next(iter(runs_of))
    return "\n".join(f"- {', '.join(names)}: {text}" for text, names in runs_of.items())
