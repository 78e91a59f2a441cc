"""Where the files of a data set that has a name are looked for."""

from __future__ import annotations

import os
from pathlib import Path

from minidl.data.cache import cache_folder
from minidl.data.sources import SYSTEM_FOLDER


def find(name: str, files: tuple[str, ...], data_dir: str | Path | None) -> Path | None:
    """The first file, or folder with something in it, of some names; None if there is none.

    It is looked for in data_dir, $MINIDL_DATA, the cache folder and /usr/share/datasets, directly
    and in a folder with the name of the data set.

    Args:
        name: of the data set.
        files: names of the file or folder, any of which will do.
        data_dir: first place to look.
    """
    roots = (data_dir, os.environ.get("MINIDL_DATA"), cache_folder(), SYSTEM_FOLDER)
    for root in roots:
        for folder in (Path(root), Path(root) / name) if root else ():
            for file in files:
                found = folder / file
                if found.is_file() or (found.is_dir() and any(found.iterdir())):
                    return found
    return None
