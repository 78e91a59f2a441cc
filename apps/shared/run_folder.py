"""The folder of a run: its files, how it is made and found again, and what an error leaves of it.

checkpoint.safetensors   the latest state: weights, optimizer, position; what --resume reads
best.safetensors         the weights of the epoch with the best validation
features/                outputs of frozen layers for each picture, until the run has finished
run.json                 the settings, versions and figures, for people and scripts
metrics.jsonl            one line per epoch
events.out.tfevents...   the same for TensorBoard
report.html              the same to look at
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from apps.shared.folder_lock import alone_in
from apps.shared.options import OptionError
from minidl.errors import CheckpointError, DataError
from minidl.io.atomic import write_atomically
from minidl.io.checkpoint import CheckpointContent, load_checkpoint
from minidl.io.json import to_json
from minidl.training import slots

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"
RUN = "run.json"
METRICS = "metrics.jsonl"
REPORT = "report.html"
MAKERS = "minidl train, minidl draw train and minidl caption train make runs"
OP = "run folder"  # what errors begin with, unless a command says its own name


# --- a new run ----------------------------------------------------------------------------------


def make_folder(output: str | None, name: str, resume_command: str) -> Path:
    """The folder for a new run: `output`, or runs/<name>-<time>; that of all who train together.

    Args:
        output: as typed, or None.
        name: what the run is called, such as lenet-digits.
        resume_command: what goes on with a run, such as "minidl train --resume".

    Raises:
        OptionError: the folder is in use, or cannot be made or written to.
    """
    if output is None:
        return make_new(Path("runs"), f"{name}-{now_name()}")
    folder = Path(output)
    if slots.in_use is not None:  # the folder of all, chosen by who launched them
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    if folder.is_dir() and any(folder.iterdir()):
        is_run = (folder / CHECKPOINT).exists()
        hint = f"go on with it: {resume_command} {folder}; or " if is_run else ""
        raise OptionError(
            "the output folder is not empty", {"--output": output}, f"{hint}choose a new folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder)
    except OSError as error:
        raise cannot_write(output, error) from None
    return folder


def remove_if_empty(folder: Path) -> None:
    """Delete a folder if nothing was written into it, or no more than files without an epoch."""
    metrics = folder / METRICS
    if metrics.is_file() and not metrics.stat().st_size and not has_state(folder):
        for file in (metrics, *folder.glob("events.out.tfevents.*")):
            file.unlink()
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
            if not folder.exists():  # the parent is what exists, and it is a file
                raise cannot_write(str(parent), NotADirectoryError("not a folder")) from None
        except OSError as error:
            raise cannot_write(str(folder), error) from None
    raise cannot_write(str(parent / name), FileExistsError("the name is taken"))


def check_writable(folder: Path) -> None:
    """Write a file there: access rights do not tell of read-only file systems."""
    probe = folder / ".minidl-write-test"
    probe.touch()
    probe.unlink()


def cannot_write(folder: str, error: OSError) -> OptionError:
    return OptionError(
        f"the output folder cannot be used: {error.strerror or error}",
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


@contextmanager
def removed_if_empty(folder: Path) -> Iterator[None]:
    """An error inside leaves no folder into which nothing was written."""
    try:
        yield
    except BaseException:
        remove_if_empty(folder)
        raise


@contextmanager
def in_run_folder(folder: Path, resume_command: str, is_resumed: bool = False) -> Iterator[None]:
    """Leave either a run to go on with or no folder at all, whatever happens inside.

    Ctrl-C, or SIGTERM, says how to go on. So does an error of a picture or the disk: once it is
    mended, the same settings will do. A mistake in an option leaves no folder behind.

    Args:
        folder: of the run.
        resume_command: what goes on with it, such as "minidl train --resume runs/a".
        is_resumed: whether the run began earlier: errors then leave out how to go on.

    Raises:
        OptionError: another process trains in the folder, which stays as it is.
    """
    with alone_in(folder):
        try:
            yield
        except KeyboardInterrupt:
            if has_state(folder):
                raise KeyboardInterrupt(
                    f"interrupted; the state is saved. Go on with: {resume_command}"
                ) from None
            remove_if_empty(folder)
            raise KeyboardInterrupt(
                "interrupted before the first step; nothing was saved"
            ) from None
        except BaseException as error:
            if isinstance(error, DataError | CheckpointError) and not is_resumed:
                if has_state(folder):
                    saved = f"the state is saved; go on with {resume_command}"
                    error.hint = f"{error.hint}; {saved}" if error.hint else saved
            remove_if_empty(folder)
            raise


def has_state(folder: Path) -> bool:
    """Whether there is a checkpoint to go on with, of the run or of a first phase in its folder."""
    return (folder / CHECKPOINT).exists() or any(folder.glob(f"*/{CHECKPOINT}"))


# --- a run that is there ------------------------------------------------------------------------


def find_checkpoint(run: str) -> Path:
    """The checkpoint of a run folder; a path of a checkpoint file is itself.

    Args:
        run: folder or file.

    Raises:
        CheckpointError: there is none.
    """
    path = Path(run)
    if path.is_dir():
        checkpoint = path / CHECKPOINT
        if checkpoint.exists():
            return checkpoint
        raise CheckpointError(OP, f"the folder holds no {CHECKPOINT}", {"run": run}, similar(path))
    if not path.exists():
        raise CheckpointError(OP, "no such run", {"run": run}, similar(path))
    return path


def open_run(run: str, output: str | None = None) -> tuple[Path, CheckpointContent]:
    """The folder of a run to go on with, and its checkpoint.

    Args:
        run: the value of --resume.
        output: the value of --output, which may only repeat it.

    Raises:
        OptionError: the two contradict each other, or `run` is a file.
        CheckpointError: there is no run, or its checkpoint is damaged.
    """
    path = find_checkpoint(run)
    folder = path.parent
    if path.name != CHECKPOINT:
        raise OptionError("expects a run folder", {"--resume": run}, f"did you mean {folder}?")
    if output is not None and Path(output).resolve() != folder.resolve():
        raise OptionError(
            "a resumed run stays in its folder", {"--resume": run, "--output": output}
        )
    return folder, load_checkpoint(path)


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
    return f"runs here: {', '.join(newest)}" if newest else MAKERS


# --- run.json -----------------------------------------------------------------------------------


def write_run(folder: Path, content: dict[str, Any]) -> None:
    """run.json, whole or not at all. Bytes of file names that are no UTF-8 become JSON escapes."""
    text = to_json(content, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / RUN, text.encode(errors="backslashreplace"), OP)


def versions() -> dict[str, str]:
    """Versions of what decides the results: minidl, Python, NumPy, Numba, the machine."""
    found = {"minidl": package_version("minidl"), "python": platform.python_version()}
    found |= {name: package_version(name) for name in ("numpy", "numba")}
    found["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return found


def package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
