"""Where Numba keeps the compiled kernels: beside the source, or in NUMBA_CACHE_DIR.

Several processes may compile and keep the same kernel at once; Numba replaces its files whole.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

PREFIX = "minidl-compiled-"


def ensure_folder() -> None:
    """Give Numba a folder of this process where it would find none that can be written to.

    It looks for one in NUMBA_CACHE_DIR, beside the source and in the user's cache folder; without
    any it refuses the kernels as soon as they are imported. A read-only installation and no home
    are nothing unusual in a container.
    """
    if any(map(can_be_written, folders_of_numba())):
        return
    tried = ", ".join(map(str, folders_of_numba()))
    folder = tempfile.mkdtemp(prefix=PREFIX)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = folder
    from numba.core import config

    config.reload_config()  # where Numba was imported before
    warnings.warn(
        f"compiled kernels cannot be kept, and are compiled anew by each process: none of {tried} "
        "can be written to. Set NUMBA_CACHE_DIR to a folder that can.",
        stacklevel=2,
    )


def folders_of_numba() -> Iterator[Path]:
    """In Numba's order. Numba is imported for the last of them only: the first usually does."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    # That of a parent process is removed when the parent ends.
    if chosen and not Path(chosen).name.startswith(PREFIX):
        yield Path(chosen)
    yield Path(__file__).parent / "cpu" / "__pycache__"
    from numba.misc.appdirs import AppDirs

    yield Path(AppDirs(appname="numba", appauthor=False).user_cache_dir)


def can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
