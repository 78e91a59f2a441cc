"""The picture files that a command was given, by names of files and folders."""

from __future__ import annotations

from pathlib import Path

from minidl.data.pictures import is_picture
from minidl.errors import DataError


def picture_files(arguments: list[str], op: str) -> tuple[list[str], list[str]]:
    """The files among the arguments; a folder stands for all pictures in and below it.

    Args:
        arguments: names of files and folders.
        op: who asks, for errors.

    Returns:
        (picture files, other files of the folders), each folder's by name. A file that was named
        itself counts as a picture, whatever its name.

    Raises:
        DataError: there is no picture in a folder, or a name is empty.
    """
    found: list[str] = []
    others: list[str] = []
    for argument in arguments:
        if not argument:  # which Path takes for the folder that one is in
            raise DataError(op, "the name of a picture is empty", {"given": argument})
        folder = Path(argument)
        if not folder.is_dir():
            found.append(argument)
            continue
        below = sorted(str(path) for path in folder.rglob("*") if path.is_file())
        inside = [path for path in below if is_picture(path)]
        if not inside:
            raise DataError(op, "there are no pictures in the folder", {"folder": argument})
        found += inside
        others += [path for path in below if not is_picture(path)]
    return found, others
