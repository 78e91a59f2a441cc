"""The map in minidl_dist's docstring names every file of the folder, and what is where."""

import importlib
import re
from functools import reduce
from pathlib import Path

import minidl_dist

FOLDER = Path(minidl_dist.__file__).parent


def test_every_file_is_on_the_map():
    words = set(re.findall(r"\w+", minidl_dist.__doc__))
    files = {path.stem for path in FOLDER.rglob("*.py")} - {"__init__"}
    assert files - words == set()


def test_what_the_map_says_is_there():
    places = re.findall(r"\b([a-z_.]+):(\w+(?:\.\w+)?)", minidl_dist.__doc__)
    assert len(places) > 10
    for file, name in places:
        module = importlib.import_module(f"minidl_dist.{file}")
        assert callable(reduce(getattr, name.split("."), module)), (file, name)
