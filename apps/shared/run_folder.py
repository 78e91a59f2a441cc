"""The folder of a run: what is in it, and how it is made.

checkpoint.safetensors   the latest state: weights, optimizer, position; what --resume reads
best.safetensors         the weights of the epoch with the lowest validation loss
features/                what frozen layers make of each picture, until the run has finished
run.json                 the settings, versions and figures, for people and scripts
metrics.jsonl            one line per epoch
events.out.tfevents...   the same for TensorBoard
report.html              the same to look at
"""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from apps.classify.options import Settings
from minidl.errors import ArgumentError, CheckpointError
from minidl.io.atomic import write_atomically
from minidl.io.json import to_json

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"
RUN = "run.json"
METRICS = "metrics.jsonl"
REPORT = "report.html"


def make_folder(output: str | None, settings: Settings, prefix: str = "") -> Path:
    """The folder for a new run: `output`, or runs/<prefix><model>-<data>-<time>.

    Raises:
        ArgumentError: the folder is in use, or cannot be made or written to.
    """
    if output is None:
        name = f"{prefix}{settings.model}-{short_name(settings.data)}-{now_name()}"
        return make_new(Path("runs"), name)
    folder = Path(output)
    if folder.is_dir() and any(folder.iterdir()):
        is_run = (folder / CHECKPOINT).exists()
        hint = f"go on with it: minidl train --resume {folder}; or " if is_run else ""
        raise ArgumentError(
            "train", "the output folder is not empty", {"--output": output},
            f"{hint}choose a new folder",
        )  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder)
    except OSError as error:
        raise cannot_write(output, error) from None
    return folder


def remove_if_empty(folder: Path) -> None:
    """Take back a folder that nothing was written into."""
    try:
        folder.rmdir()
    except OSError:
        pass  # something is in it


def make_new(parent: Path, name: str) -> Path:
    """A folder that did not exist before, also when two runs start in one second."""
    for number in range(1, 1000):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if not folder.exists():  # not the folder is in the way, but the parent is a file
                raise cannot_write(str(parent), NotADirectoryError("not a folder")) from None
        except OSError as error:
            raise cannot_write(str(folder), error) from None
    raise cannot_write(str(parent / name), FileExistsError("the name is taken"))


def check_writable(folder: Path) -> None:
    """Write a file there: access rights do not tell of read-only file systems."""
    probe = folder / ".minidl-write-test"
    probe.touch()
    probe.unlink()


def cannot_write(folder: str, error: OSError) -> ArgumentError:
    return ArgumentError(
        "train", f"the output folder cannot be used: {error.strerror or error}",
        {"--output": folder}, "choose another with --output",
    )  # fmt: skip


def short_name(data: str) -> str:
    """A data set's name, or the last part of its path without endings, fit for a folder name."""
    stem = Path(data).name.split(".")[0] or "data"
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in stem)[:40]


def now_name() -> str:
    return datetime.now().strftime("%Y%m%d-%H%M%S")


def now_text() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def find_checkpoint(run: str, op: str) -> Path:
    """The checkpoint of a run folder; a path of a checkpoint file is itself.

    Args:
        run: folder or file.
        op: who asks, for errors.

    Raises:
        CheckpointError: there is none.
    """
    path = Path(run)
    if path.is_dir():
        checkpoint = path / CHECKPOINT
        if checkpoint.exists():
            return checkpoint
        raise CheckpointError(op, f"the folder holds no {CHECKPOINT}", {"run": run}, similar(path))
    if not path.exists():
        raise CheckpointError(op, "no such run", {"run": run}, similar(path))
    return path


def similar(path: Path) -> str:
    """A hint: runs that are there, the nearest name or the latest ones."""
    from difflib import get_close_matches

    places = [folder for folder in (path.parent, Path("runs")) if folder.is_dir()]
    runs = {str(child) for place in places for child in place.iterdir() if (child / RUN).exists()}
    runs.discard(str(path))
    close = get_close_matches(str(path), runs, n=1)
    if close:
        return f"did you mean {close[0]}?"
    newest = sorted(runs, key=os.path.getmtime)[-3:]
    return f"runs here: {', '.join(newest)}" if newest else "minidl train lenet makes one"


def write_run(folder: Path, content: dict[str, Any]) -> None:
    """run.json, whole or not at all. Bytes of file names that are no UTF-8 become JSON escapes."""
    text = to_json(content, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / RUN, text.encode(errors="backslashreplace"), "train")


def versions() -> dict[str, str]:
    """Of what decides the numbers: minidl, Python, NumPy, Numba, the machine."""
    found = {"minidl": package_version("minidl"), "python": platform.python_version()}
    found |= {name: package_version(name) for name in ("numpy", "numba")}
    found["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return found


def package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
