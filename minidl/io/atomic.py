"""Writing a file so that a crash at any moment leaves either the old one or the new one, whole.

The bytes go to a temporary file in the same folder and to the disk (fsync), then the name moves
over in one step (rename), then the folder, which holds the names, goes to the disk.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from minidl.errors import ArgumentError, CheckpointError


def write_atomically(path: str | Path, data: bytes, op: str = "write_atomically") -> None:
    """Replace the file at `path` by `data` in one step, surviving a kill or power cut at any time.

    Args:
        path: the file; its folder must exist.
        data: all of the new content.
        op: who writes, for the error.

    Raises:
        CheckpointError: the disk is full, or the folder is missing or cannot be written to. The
            old file is intact.
    """
    path = Path(os.path.realpath(path))  # a link stays: what it leads to is replaced
    # One name for all saves: what a killed process left behind is overwritten by the next save.
    temporary = path.with_name(path.name + ".tmp")
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EISDIR, "")  # root could rename over /dev/null
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        except BaseException:  # also Ctrl-C: leave no half file behind
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CheckpointError(
            op,
            f"cannot write the file: {reason(error)}",
            {"path": str(path), "bytes": len(data)},
            "the file that was there before is intact" if path.is_file() else "",
        ) from error


def as_path(op: str, name: str, value: Any) -> Path:
    """The path in an argument.

    Raises:
        ArgumentError: it is no path.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise ArgumentError(op, f"{name} is a path", {name: value})
    return Path(text)


def sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows cannot open a folder and does not need it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def reason(error: OSError) -> str:
    """What the operating system says, in words that help."""
    return {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.ENOENT: "no such file or folder",
        errno.EACCES: "permission denied",
        errno.EISDIR: "it is a folder or a device",
    }.get(error.errno, error.strerror or str(error))
