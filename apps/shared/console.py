"""What a command prints, figures on stdout and everything else on stderr, and its exit codes.

0    done
2    the user's mistake or the machine's (bad option, missing file, full disk): a few lines
130  interrupted with Ctrl-C
141  the reader of the output went away (`minidl data list | head -1`)
143  ended by SIGTERM, as `kill` sends it
1    a fault in minidl
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from apps.shared.ending import Terminated, sigterm_as_ctrl_c
from apps.shared.parse import as_literal
from apps.shared.tables import Column, aligned, rich_table
from minidl.errors import MinidlError

Words = Callable[[str, Any], "str | None"]  # an argument of the library and its value -> option

# How commands spell arguments of the library that hints name, where no option has the same name.
USUAL_WORDS = {
    "clip_gradients": "--clip-grad",
    "larger_batch": "a larger --batch-size",
    "evaluation": "larger pictures with --size",
    "in_preprocessing": "",  # an option sets the size
}


def usual_words(name: str, value: Any) -> str | None:
    """The `words` of a command that adds none of its own; see minidl.errors.Hint."""
    return USUAL_WORDS.get(name)


def words_for_networks(name: str, value: Any) -> str | None:
    """The `words` of a command with --model-arg, which sets any argument that has no option."""
    said = usual_words(name, value)
    return f"--model-arg {name}={as_literal(value)}" if said is None else said


# Options of which a smaller value spares memory, those that spare most first.
SPARING = ("--batch-size", "--size", "--beam")


class Console:
    """Where a command's output goes: to people, and with --json to programs.

    Args:
        command: its name, with which errors begin.
        as_json: whether stdout is for JSON; text for people goes to stderr then.
        words: how the command spells the arguments that hints name.
        flags: the options that it has.
    """

    def __init__(
        self, command: str = "", as_json: bool = False, words: Words = usual_words,
        flags: Collection[str] = (),
    ):  # fmt: skip
        self.command, self.as_json, self.words, self.flags = command, as_json, words, flags
        self.stream = sys.stderr if as_json else sys.stdout
        self.is_terminal = self.stream.isatty()

    # --- for people -----------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """A line about what is going on: to stderr."""
        print(text, file=sys.stderr, flush=True)

    def line(self, text: str = "", style: str = "") -> None:
        """A line of the answer; a terminal shows it in the style of rich ("bold", "dim")."""
        if self.is_terminal and style:
            from rich.text import Text

            self.rich(Text(text, style))
        else:
            print(text, file=self.stream, flush=True)

    def table(self, title: str, columns: list[Column], rows: Iterable[list[str]]) -> None:
        """A table, with a title above it if there is one; see tables.py."""
        rows = list(rows)
        if self.is_terminal:
            self.rich(rich_table(title, columns, rows))
            return
        for text in [title, *aligned(columns, rows)] if title else aligned(columns, rows):
            self.line(text)

    def rich(self, thing: Any) -> None:
        """Something that rich draws, on a terminal."""
        from rich.console import Console as RichConsole
        from rich.text import Text

        is_line = isinstance(thing, Text)  # which the terminal wraps, if it has to
        RichConsole(file=self.stream, highlight=False).print(thing, soft_wrap=is_line)

    # --- for programs ---------------------------------------------------------------------------

    def json(self, value: Any) -> None:
        """With --json, print one line of strict JSON, with null for NaN, which JSON lacks."""
        if self.as_json:
            from minidl.io.json import to_json

            print(to_json(value), flush=True)

    # --- errors ---------------------------------------------------------------------------------

    def error(self, error: BaseException) -> int:
        """Say what went wrong, and return the exit code for it."""
        code, text = self.explain(error)
        if code == 141:
            forget_output()
        else:
            self.note(text)
        return code

    def explain(self, error: BaseException) -> tuple[int, str]:
        """Exit code and text for an exception."""
        if isinstance(error, Terminated):
            return 143, str(error) or "terminated"
        if isinstance(error, KeyboardInterrupt):
            return 130, str(error) or "interrupted"
        if isinstance(error, BrokenPipeError):
            return 141, ""
        if isinstance(error, MinidlError):
            return 2, f"error: {error.text(self.command or None, self.words)}"
        if isinstance(error, OSError):
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            what = "the disk is full" if full else error.strerror or str(error)
            return 2, f"error: {what}" + (f": {error.filename}" if error.filename else "")
        if isinstance(error, MemoryError):
            sparing = [flag for flag in SPARING if flag in self.flags]
            hint = f"\n  hint: a smaller {sparing[0]} needs less" if sparing else ""
            return 2, f"error: not enough memory{hint}"
        return 1, (
            f"error: a fault in minidl, {type(error).__name__}: {error}\n"
            "  hint: --debug shows where; please report it"
        )

    @contextmanager
    def answering_errors(self, debug: bool = False) -> Iterator[None]:
        """Turn exceptions into a few lines and an exit code; with debug show a traceback, too."""
        try:
            with sigterm_as_ctrl_c():
                yield
        except typer.Exit:
            raise
        except SystemExit:  # how rich answers when nobody reads stderr any more
            forget_output()
            raise typer.Exit(141) from None
        except (Exception, KeyboardInterrupt) as error:
            if debug and not isinstance(error, BrokenPipeError):
                traceback.print_exc()
            raise typer.Exit(self.error(error)) from None


def forget_output() -> None:
    """Point stdout and stderr nowhere, so that Python's last flush does not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
