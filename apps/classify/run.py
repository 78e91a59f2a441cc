"""Start a run, or go on with one: which folder, which settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import minidl
import models
from apps.classify import options
from apps.classify.train import train
from apps.shared import run_folder
from minidl.errors import ArgumentError, CheckpointError, DataError


def start_run(
    given: dict[str, Any], output: str | None, command: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """A new run in a new folder.

    Args:
        given: options by name, None where not given.
        output: the folder, None for one under runs/.
        command: what the user typed.
        say: called with each line for the user.

    Returns:
        the figures, see train.

    Raises:
        MinidlError
    """
    if given.get("model") is None:
        raise ArgumentError(
            "train", "say which network", {}, f"minidl train {models.names()[0]}, or --resume RUN"
        )
    settings = options.from_command_line(given)
    folder = run_folder.make_folder(output, settings)
    return run_in(folder, settings, command, say, resume=False)


def resume_run(
    run: str, given: dict[str, Any], output: str | None, command: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """Go on with the run in a folder; arguments and result as of start_run.

    Raises:
        ArgumentError: options contradict the run.
        CheckpointError: there is no run, or its checkpoint is damaged.
    """
    path = run_folder.find_checkpoint(run, "train")
    folder = path.parent
    if path.name != run_folder.CHECKPOINT:
        raise ArgumentError(
            "train", "expects a run folder", {"--resume": run}, f"did you mean {folder}?"
        )
    if output is not None and Path(output).resolve() != folder.resolve():
        raise ArgumentError(
            "train", "a resumed run stays in its folder", {"--resume": run, "--output": output}
        )
    settings = options.from_checkpoint(minidl.io.load_checkpoint(path).meta, given)
    return run_in(folder, settings, command, say, resume=True)


def run_in(
    folder: Path, settings: options.Settings, command: str, say: Callable, resume: bool
) -> dict[str, Any]:
    """Train in a folder. Ctrl-C leaves a message that says how to go on.

    So does an error of a picture or the disk: once it is mended, the same settings will do.
    """
    try:
        return train(settings, folder, command, say, resume)
    except KeyboardInterrupt:
        if (folder / run_folder.CHECKPOINT).exists():
            raise KeyboardInterrupt(
                f"interrupted; the state is saved. Go on with: minidl train --resume {folder}"
            ) from None
        run_folder.remove_if_empty(folder)
        raise KeyboardInterrupt("interrupted before the first step; nothing was saved") from None
    except BaseException as error:
        mendable = isinstance(error, DataError | CheckpointError) and not resume
        if mendable and (folder / run_folder.CHECKPOINT).exists():
            saved = f"the state is saved; go on with minidl train --resume {folder}"
            error.hint = f"{error.hint}; {saved}" if error.hint else saved
        run_folder.remove_if_empty(
            folder
        )  # a mistake in an option should not leave a folder behind
        raise
