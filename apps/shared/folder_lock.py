"""One process at a time trains in a run folder: two would write over each other's state.

The lock is the kernel's, on the folder itself. It leaves no file behind, and ends with its process,
however that ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.shared.options import OptionError
from minidl.training import slots

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """No other process trains in the folder meanwhile.

    Those who train together share a folder, of which one of them writes. Where the system or the
    file system has no such locks, nothing is checked.

    Args:
        folder: of a run; it is there.

    Raises:
        OptionError: another process trains in it.
    """
    if fcntl is None or slots.in_use is not None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OptionError(
                "another process trains in this folder", {"folder": str(folder)},
                "let it come to its end, or end it",
            ) from None  # fmt: skip
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)
