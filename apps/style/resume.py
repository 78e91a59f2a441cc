"""The files of a run, and --resume: what it makes, its report, its state while it is unfinished.

    cat.jpg    cat.html    cat.jpg.resume.safetensors

The state's name has the ending of the picture: cat.png and cat.jpg are two runs.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from apps.shared.options import OptionError, check_resumed, stored_values, to_dict
from apps.shared.output_file import PICTURES, OutputFile
from apps.style.fingerprint import check_same
from minidl.errors import CheckpointError
from minidl.io.checkpoint import CheckpointContent, load_checkpoint

REPORT, STATE = ".html", ".resume.safetensors"
Settings = TypeVar("Settings")

Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with an interrupted run of the same output.")
]


def typed() -> str:
    """The command, for its report."""
    return shlex.join(["minidl", *sys.argv[1:]])


@dataclass
class Order:
    """What a command is to do.

    Args:
        given: the options that were typed, parsed.
        output: the file of what is made, as typed.
        overwrite: whether files that are there may be replaced.
        resume: go on with an interrupted run.
        note: called with lines of text for people.
        command: what was typed, for the report.
    """

    given: dict[str, Any]
    output: str | Path
    overwrite: bool = False
    resume: bool = False
    note: Callable[[str], None] = lambda text: None
    command: str = field(default_factory=typed)

    def check_given(self, op: str, **called: str) -> None:
        """Arguments are there that are options to the command line.

        Args:
            op: the command, as in "gatys".
            called: name of a setting -> what the command line calls it.

        Raises:
            OptionError: one is missing.
        """
        for name, words in called.items():
            if name not in self.given:
                raise OptionError(f"say which picture is the {words}", {},
                                  f"minidl style {op} --help")  # fmt: skip


class RunFiles:
    """The files of a run, checked before it begins.

    Args:
        order: what is to be done.
        op: who writes, for errors.
        endings: that the output may have.

    Attributes:
        output: the file.
        report, state: paths.
        saved: the state to go on with; None without --resume.

    Raises:
        OptionError: a file cannot be written, or is there and not to be replaced.
        CheckpointError: with --resume, there is no state, or it is damaged.
    """

    def __init__(self, order: Order, op: str, endings: Collection[str] = PICTURES):
        overwrite = order.overwrite or order.resume
        self.order = order
        self.state = Path(f"{order.output}{STATE}")
        if self.state.exists() and not overwrite:
            raise OptionError(
                "an unfinished run of this output is there", {"file": str(self.state)},
                "--resume goes on with it; --overwrite begins anew",
            )  # fmt: skip
        self.output = OutputFile(order.output, overwrite, endings, (REPORT,), op)
        self.report = self.output.beside(REPORT)
        self.saved = load_state(self.state) if order.resume else None

    def settings(self, kind: type[Settings], usual: dict[str, Any] | None = None) -> Settings:
        """The settings: what was typed, and else what the run to resume had, or the defaults.

        Args:
            kind: their dataclass.
            usual: defaults that depend on what was typed.

        Raises:
            OptionError: an option contradicts the run to resume.
            CheckpointError: its state is of something else.
        """
        given = self.order.given
        if self.saved is None:
            return kind(**{**(usual or {}), **given})
        stored = stored_values(kind, self.saved.meta.get("settings"))
        check_resumed(kind, stored, given)
        return kind(**{**stored, **given})

    def meta(self, settings: Any, fingerprint: int) -> dict[str, Any]:
        """What the state holds beside the state: the settings, and which pictures were read.

        Raises:
            OptionError: those of the run to resume were others.
        """
        if self.saved is not None:
            check_same(self.saved.meta.get("pictures"), fingerprint)
        return {"settings": to_dict(settings), "pictures": fingerprint}

    def forget(self) -> None:
        """The state goes when what was made is written."""
        self.state.unlink(missing_ok=True)


def load_state(path: Path) -> CheckpointContent:
    """The state of a run.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    if not path.exists():
        raise CheckpointError(
            "resume", "there is no unfinished run to go on with", {"file": str(path)},
            "leave --resume out to start one",
        )  # fmt: skip
    return load_checkpoint(path)
