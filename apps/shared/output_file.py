"""The file that a command writes: looked at before the work starts, so that none is in vain.

It is not overwritten unasked, its folder can be written to, and its ending names a format. Files
beside it, such as its report, have its name with another ending and are checked with it.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from apps.shared.options import OptionError
from apps.shared.run_folder import check_writable
from minidl.io.atomic import reason, write_atomically

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")

# What typing them looks like, for every command that writes a file.
Out = Annotated[
    str,
    typer.Option("--output", "-o", metavar="OUT", show_default=False, help="The file to write."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there already.")
]


class OutputFile:
    """A file to be written, checked.

    Args:
        path: as typed.
        overwrite: whether files that are there may be replaced.
        endings: that the file may have, each with its dot; none for any.
        beside: endings of further files that will be written, with the file's name otherwise.
        op: who writes, for errors.
        flag: the option that names it.

    Raises:
        OptionError: it cannot be written, or is there already.
    """

    def __init__(
        self,
        path: str | Path,
        overwrite: bool = False,
        endings: Collection[str] = PICTURES,
        beside: Collection[str] = (),
        op: str = "write",
        flag: str = "--output",
    ):
        self.path, self.op, self.flag = Path(path), op, flag
        self.check_ending(endings)
        self.check_folder()
        for file in (self.path, *map(self.beside, beside)):
            check_free(file, overwrite, flag)

    def beside(self, ending: str) -> Path:
        """The file of the same name with another ending: picture.png -> picture.html."""
        return self.path.with_name(self.path.stem + ending)

    def check_ending(self, endings: Collection[str]) -> None:
        if endings and self.path.suffix.lower() not in endings:
            raise OptionError(
                f"the output file ends in {', '.join(endings)}", {self.flag: str(self.path)}
            )

    def check_folder(self) -> None:
        """The folder is there and can be written to."""
        try:
            check_writable(self.path.parent)
        except OSError as error:
            raise OptionError(
                f"the folder of the output cannot be written to: {reason(error)}",
                {self.flag: str(self.path)}, "choose another",
            ) from None  # fmt: skip

    def write(self, content: bytes) -> None:
        """Write the file, whole or not at all.

        Raises:
            CheckpointError: the disk is full, or the folder is not there any more.
        """
        write_atomically(self.path, content, self.op)


def check_free(path: Path, overwrite: bool, flag: str = "--output") -> None:
    """Nothing is there, or a file that may be replaced."""
    if not os.path.lexists(path):
        return
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no ordinary file"
        raise OptionError(f"the output is a file, this is {what}", {flag: str(path)})
    if not overwrite:
        raise OptionError(
            "the output file is there already", {flag: str(path)},
            "--overwrite replaces it; or choose another name",
        )  # fmt: skip
