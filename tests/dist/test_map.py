"""The map in minidl_dist's docstring names every file of the folder."""

import re
from pathlib import Path

import minidl_dist

FOLDER = Path(minidl_dist.__file__).parent


def test_every_file_is_on_the_map():
    words = set(re.findall(r"\w+", minidl_dist.__doc__))
    files = {path.stem for path in FOLDER.rglob("*.py")} - {"__init__"}
    assert files - words == set()
