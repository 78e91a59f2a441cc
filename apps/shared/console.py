"""How the command line answers: figures to stdout, everything else to stderr, exit codes.

0    done
2    the user's mistake or the machine's (bad option, missing file, full disk): a few lines
130  interrupted with Ctrl-C
141  the reader of the output went away (`minidl data list | head -1`)
1    a fault in minidl
"""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from minidl.errors import MinidlError


def note(text: str) -> None:
    """A line about what is going on."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """The answer to --json, a line of strict JSON: NaN, which JSON has not, becomes null."""
    from minidl.io.json import to_json

    print(to_json(value), flush=True)


def print_anything() -> None:
    """Names that the terminal's encoding lacks are printed as escapes, not refused."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def answering_errors(debug: bool) -> Iterator[None]:
    """Turn exceptions into a short text on stderr and an exit code; with debug a traceback, too."""
    try:
        yield
    except typer.Exit:
        raise
    except SystemExit:  # how rich answers when nobody reads stderr any more
        forget_output()
        raise typer.Exit(141) from None
    except (Exception, KeyboardInterrupt) as error:
        if debug and not isinstance(error, BrokenPipeError):
            traceback.print_exc()
        code, text = explain(error)
        if code == 141:
            forget_output()
        else:
            note(text)
        raise typer.Exit(code) from None


# What hints of the library advise -> the same in the words of the command line.
IN_OPTIONS = {
    "(callbacks.ClipGradients)": "(--clip-grad)",
    "use a larger batch (drop_last=True), or eval() for this layer": (
        "a larger --batch-size, or larger pictures with --size"
    ),
}


def explain(error: BaseException) -> tuple[int, str]:
    """Exit code and text for an exception."""
    if isinstance(error, KeyboardInterrupt):
        return 130, str(error) or "interrupted"
    if isinstance(error, BrokenPipeError):
        return 141, ""
    if isinstance(error, MinidlError):
        for words, options in IN_OPTIONS.items():
            error.hint = error.hint.replace(words, options)
        return 2, f"error: {error}"
    if isinstance(error, OSError):
        what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        where = f": {error.filename}" if error.filename else ""
        return 2, f"error: {what or error}{where}"
    if isinstance(error, MemoryError):
        return 2, "error: not enough memory\n  hint: a smaller --batch-size needs less"
    return 1, (
        f"error: a fault in minidl, {type(error).__name__}: {error}\n"
        "  hint: --debug shows where; please report it"
    )


def as_options(hint: str, by_order: str, arguments: str) -> str:
    """A hint of load_weights in the words of the command line, where its arguments are options.

    Args:
        hint: as load_weights gives it, with fresh=['fc'] and by='order'.
        by_order: how one has the file's tensors placed by order.
        arguments: the options of the command that are arguments of the network.
    """
    hint = re.sub(r"fresh=\['([^']*)'\]", r"--fresh \1", hint)
    hint = hint.replace("as the file's", f"as the file's with {arguments}")
    return hint.replace("by='order'", by_order)


def forget_output() -> None:
    """Point stdout and stderr nowhere, so that Python's last flush does not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
