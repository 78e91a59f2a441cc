"""How commands answer: options that all of them have, and errors in a few lines."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]


@contextmanager
def answering_errors(command: str, debug: bool) -> Iterator[None]:
    """A user's mistake and a full disk are answered in a few lines, and with an exit code.

    2: a mistake; 130: Ctrl-C; 1: a fault in minidl.
    """
    from minidl.errors import MinidlError
    from minidl.io.atomic import reason

    try:
        yield
    except typer.Exit:
        raise
    except BrokenPipeError:  # the reader of the output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(141) from None
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        code, text = 1, f"error: a fault in minidl, {type(error).__name__}: {error}"
        if isinstance(error, KeyboardInterrupt):
            code, text = 130, "interrupted"
        elif isinstance(error, MinidlError):
            code, text = 2, f"error: {error.text(f'dist {command}')}"
        elif isinstance(error, OSError):
            where = f": {error.filename}" if error.filename else ""
            code, text = 2, f"error: {reason(error)}{where}"
        print(text, file=sys.stderr, flush=True)
        raise typer.Exit(code) from None
