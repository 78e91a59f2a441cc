"""Training runs of a benchmark: through the command line, each in a folder, so that they can go on.

A run that was finished is not run again, one that was interrupted is resumed; so a benchmark of
many hours can be stopped and started at any time, and a table can be written anew from what is
there. Beside each run folder lies a file of its name (.json) with the arguments that it was begun
with and what it ran on each time: date, commit, machine, versions. A run of that name with other
arguments is refused, so that no table shows a command beside the figures of another.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import provenance
from minidl.io.atomic import write_atomically


@dataclass(frozen=True)
class Training:
    """One run.

    Args:
        name: of its folder.
        arguments: of the command, without --output.
        twin: the module that takes the same arguments and trains with another library; or None.
        program: the words of the command behind minidl.
    """

    name: str
    arguments: tuple[str, ...]
    twin: str | None = None
    program: tuple[str, ...] = ("train",)

    @property
    def command(self) -> list[str]:
        """What takes the arguments."""
        if self.twin:
            return [sys.executable, "-m", self.twin]
        return [minidl_command(), *self.program]

    @property
    def spoken(self) -> str:
        """The command as one types it."""
        return f"python -m {self.twin}" if self.twin else shlex.join(["minidl", *self.program])


@dataclass(frozen=True)
class Finished:
    """What a run left behind.

    Args:
        training: the run.
        figures: the content of its run.json.
        history: one dict per epoch, from its metrics.jsonl.
        provenance: what it ran on.
        cpu_seconds: of the processors, user and system; None where a part of it is not known.
    """

    training: Training
    figures: dict[str, Any]
    history: list[dict[str, Any]]
    provenance: str
    cpu_seconds: float | None = None

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


def run_together(trainings: list[Training], runs: Path) -> list[Finished]:
    """Bring the runs to their ends at the same time, each with one thread, on its own processor.

    Another program may take time from one and not from the other: CPU seconds are what compares.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < len(trainings):
        raise SystemExit(f"{len(trainings)} runs at once need as many cores, there are {cores}")
    with ThreadPoolExecutor(len(trainings)) as pool:
        return list(pool.map(run, trainings, [runs] * len(trainings), cores))


def run(training: Training, runs: Path, core: int | None = None) -> Finished:
    """Start a run, go on with it, or find it finished.

    Args:
        training: the run.
        runs: folder of the runs.
        core: the processor that it is to use, with one thread; None for all.

    Raises:
        SystemExit: it failed; the command said why. Or there is one of other arguments.
    """
    folder = runs / training.name
    notes = read_notes(training, folder)
    if not notes["finished"] or not (folder / "run.json").exists():  # removed: begin anew
        begun = any(folder.glob("checkpoint.*"))
        ran_on = provenance("minidl", "numpy", "numba", *(["torch"] if training.twin else []))
        if not begun:
            if folder.exists():  # ended before its first checkpoint
                shutil.rmtree(folder)
            notes |= {"ran_on": [], "cpu_seconds": 0.0}
        if ran_on not in notes["ran_on"]:
            notes["ran_on"].append(ran_on)
        # Not known if this process is ended before it can write what the run took.
        spent = notes.pop("cpu_seconds", None)
        write_notes(folder, notes)
        # The arguments again where it goes on: `minidl train` refuses others than it began with.
        arguments = [*training.arguments, "--resume" if begun else "--output", str(folder)]
        print(f"{training.name}: {training.spoken} {shlex.join(arguments)}", flush=True)
        exit_code, seconds = run_on(core, [*training.command, *arguments])
        notes["cpu_seconds"] = None if spent is None else spent + seconds
        write_notes(folder, notes)
        if exit_code:
            raise SystemExit(f"{training.name} ended with exit code {exit_code}")
        notes["finished"] = True
        write_notes(folder, notes)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    figures = json.loads((folder / "run.json").read_text())
    history = [json.loads(line) for line in lines]
    ran_on = " Then ".join(notes["ran_on"])
    finished = Finished(training, figures, history, ran_on, notes.get("cpu_seconds"))
    if "test_accuracy" in figures:
        print(f"{training.name}: test accuracy {100 * finished.accuracy:.2f} %", flush=True)
    return finished


def run_on(core: int | None, command: list[str]) -> tuple[int, float]:
    """Run a command on one core with one thread, or on all; its exit code and CPU seconds."""
    environment = dict(os.environ)
    if core is not None:
        command = ["taskset", "--cpu-list", str(core), *command]
        environment |= {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment)
    try:
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:  # Ctrl-C, which the command got, too
        process.wait()
        raise
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def notes_file(folder: Path) -> Path:
    return folder.with_name(folder.name + ".json")


def read_notes(training: Training, folder: Path) -> dict[str, Any]:
    """What is known of a run; new notes where it was not begun yet.

    Raises:
        SystemExit: it was begun with other arguments, or not by a benchmark.
    """
    wanted, file = list(training.arguments), notes_file(folder)
    if not file.exists():
        if folder.exists():
            raise SystemExit(
                f"{folder} was not made by this benchmark: remove it, or choose another --runs"
            )
        return {"arguments": wanted, "ran_on": [], "finished": False}
    notes = json.loads(file.read_text())
    if without_paths(notes["arguments"]) != without_paths(wanted):
        raise SystemExit(
            f"{folder} has a run of other arguments:\n  {shlex.join(notes['arguments'])}\n"
            f"wanted:\n  {shlex.join(wanted)}\nremove it and {file.name}, or choose another --runs"
        )
    return notes


def write_notes(folder: Path, notes: dict[str, Any]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(notes_file(folder), (json.dumps(notes, indent=1) + "\n").encode())


def without_paths(words: list[str]) -> list[str]:
    """A command without the values of --data and --data-dir."""
    return [w for w, before in zip(words, ["", *words]) if before not in ("--data", "--data-dir")]


def minidl_command() -> str:
    """The command of the environment that this Python belongs to."""
    return shutil.which("minidl", path=str(Path(sys.executable).parent)) or "minidl"


BY_THE_CLOCK = "Minutes are by the clock, on a machine where other programs ran as well."


def percent(value: float) -> str:
    """0.912 as "91.20 %"."""
    return f"{100 * value:.2f} %"


def commands(finished: list[Finished], hidden: dict[str, str]) -> str:
    """The commands of the runs as a code block; `hidden` replaces paths by what they stand for."""
    lines = [
        f"minidl {shlex.join(done.training.program)} {joined(done.training.arguments, hidden)}"
        for done in finished
    ]
    return "```sh\n" + "\n".join(lines) + "\n```"


def this_command(name: str, hidden: dict[str, str]) -> str:
    """The command of a benchmark as it was typed, without --runs, which decides nothing."""
    words = [word for word in sys.argv[1:] if not word.startswith("--runs=")]
    if "--runs" in words:
        del words[words.index("--runs") : words.index("--runs") + 2]
    return f"python -m benchmarks.{name} {joined(words, hidden)}".strip()


def joined(words: Sequence[str], hidden: dict[str, str]) -> str:
    """Words as a line for the shell; whole words that are paths stand for something."""
    shown = []
    for word in words:
        option, equals, value = word.partition("=")
        shown.append(
            f"{option}{equals}{hidden[value]}" if value in hidden else hidden.get(word, word)
        )
    return shlex.join(shown)


def provenances(finished: list[Finished]) -> str:
    """What the runs ran on, said once where it is the same for all."""
    runs_of: dict[str, list[str]] = {}
    for done in finished:
        runs_of.setdefault(done.provenance, []).append(done.training.name)
    if len(runs_of) == 1:
        return next(iter(runs_of))
    return "\n\n" + "\n".join(f"- {', '.join(names)}: {text}" for text, names in runs_of.items())
